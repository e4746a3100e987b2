"""Readers on the same encoder, questions and seeds: EM, F1, questions per second, and what decoding costs.

    python benchmarks/reading.py --data FOLDER --questions 16,128,1024 --seeds 3

FOLDER holds `cmrc2018`, `expmrc`, `dureader_robust`, `webqa` and `cjrc` with the sets' own files, which nlpgen may not
ship. `--readers` takes mlm (exact decoding), mlm-greedy (the weights of mlm before it, decoded as bert4keras does),
mlm-tokens (the article's loss, decoded exactly), mlm-2 and mlm-4 (two and four passes), span, seq2seq (a beam of 4) and
seq2seq-greedy (the weights of seq2seq before it). Each row is one training; at the end the last readers answer in
turns, so that what else the machine does falls on all: with seq2seq-greedy also without its cache, as bert4keras
writes, and with mlm-greedy also a port of the article's script to PyTorch and transformers. `--set` chooses what is
tested on: cmrc2018, dureader_robust, webqa (a passage with the answer and four that are like the question) or cjrc
(trained on 5,000 of its questions, tested on the others, with and without the threshold).

With `--work` each reader that was trained and each row stay in a folder, by what made them: the same command goes on
from there, and several, of other sizes or readers, may run side by side and be gathered by one that asks for all.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
from keras import ops
from machine import machine
from reading_peers import TorchPort, UncachedReader
from train_reader import shuffled

from nlpgen import MaskedLM, MLMReader, QAExample, Retriever, Seq2SeqReader, SpanReader, read_qa
from nlpgen.checkpoints.files import write_json
from nlpgen.reading.windows import matchable

READERS = {
    "mlm": (MLMReader, {}),
    "mlm-tokens": (MLMReader, {"loss": "tokens"}),
    "mlm-2": (MLMReader, {"iterations": 2}),
    "mlm-4": (MLMReader, {"iterations": 4}),
    "span": (SpanReader, {"answer_length": 31}),
    "seq2seq": (Seq2SeqReader, {}),
}
# The class and the changed options of those that have the weights of another.
TWINS = {
    "mlm-greedy": ("mlm", MLMReader, {"decoding": "greedy", "vote": "bert4keras"}),
    "seq2seq-greedy": ("seq2seq", Seq2SeqReader, {"beam_width": 1}),
    "seq2seq-greedy, no cache": ("seq2seq", UncachedReader, {"beam_width": 1}),
}
SETS = {
    "cmrc2018": ("cmrc2018/cmrc2018_dev.json", "cmrc2018"),
    "dureader_robust": ("dureader_robust/dev.json", "dureader_robust"),
    "webqa": ("webqa/me_test.ann.json", "sogouqa"),
    "cjrc": ("cjrc/dev_ground_truth.json", "cjrc"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--set", choices=SETS, default="cmrc2018")
    parser.add_argument("--readers", default="mlm,mlm-greedy,span,seq2seq,seq2seq-greedy")
    parser.add_argument("--questions", default="128", help="sizes of the training set, with commas")
    parser.add_argument("--valid", type=int, default=200, help="further questions, for threshold and temperature")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400, help="of each training, at least")
    parser.add_argument("--epochs", type=int, default=3, help="of each training, at least")
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--passage-length", type=int, default=160)
    parser.add_argument("--test", type=int, help="questions of the test set; all by default")
    parser.add_argument("--timed", type=int, default=100, help="questions of it that speed is measured on; 0 for none")
    parser.add_argument("--work", type=Path, help="keeps what is finished")
    options = parser.parse_args()
    train, test, metric = sets(options)
    mlm, names = MaskedLM.from_pretrained(options.model), options.readers.split(",")
    print(f"| {options.set}, {len(test)} questions | trained on | seed | EM | F1 | ECE | always answering: EM | F1 |")
    print("|---|---|---|---|---|---|---|---|")
    for count in map(int, options.questions.split(",")):
        for seed in range(options.seeds):
            mixed = shuffled(train, seed)
            valid, chosen = mixed[: options.valid], mixed[options.valid :][:count]
            fitted = {}
            for name in names:
                folder = kept(options, name, len(chosen), seed)
                fitted[name] = reader = trained(name, mlm, chosen, valid, options, seed, fitted, folder)
                row = scores(reader, test, metric, folder and folder.with_suffix(f".{len(test)}.json"))
                cells = " | ".join(f"{value:.2f}" for value in row)
                print(f"| {name} | {len(chosen)} | {seed} | {cells} |", flush=True)
    if options.timed:
        for name, rate in speeds(fitted | peers(fitted), test[: options.timed]).items():
            print(f"{name}: {rate:.2f} questions per second")
    if options.timed and "mlm" in fitted:
        print(f"decoding / forward pass: {100 * decoding_share(fitted['mlm'], test[:20]):.1f} %")
    print(machine("tensorflow", "keras"))


def sets(options):
    """Training and test examples, and the metric."""
    path, metric = SETS[options.set]
    test = shuffled(read_qa(f"{options.data}/{path}"), 0)
    if options.set == "cjrc":
        train, test = test[:5000], test[5000:]
    elif options.set == "webqa":
        test = with_distractors(test)
        train, test = test[:2000], test[2512:]
    else:
        train = read_qa(f"{options.data}/expmrc/train-pseudo-cmrc2018.json")
    return train, test[: options.test], metric


def with_distractors(examples, count=4):
    """Each question with its passage among those of others that are like it and do not hold the answer."""
    retriever, made = Retriever([each.passages[0] for each in examples]), []
    found = retriever.search_batch([each.question for each in examples], 20)
    for i, (example, hits) in enumerate(zip(examples, found, strict=True)):
        others = [h.text for h in hits if not any(a in h.text for a in example.targets)][:count]
        passages = [*example.passages, *others]
        random.Random(i).shuffle(passages)
        made.append(QAExample(example.question, passages, example.answers))
    return made


def kept(options, name, count, seed):
    """The folder of a trained reader, without a suffix; `None` if none is to be kept."""
    if options.work is None:
        return None
    model = Path(options.model).name
    made = (options.set, name, count, seed, options.valid, options.steps, options.epochs, options.learning_rate)
    return options.work / "-".join(map(str, (model, *made, options.passage_length))).replace(".", "_")


def trained(name, mlm, examples, valid, options, seed, fitted, folder):
    """The reader of that name, from its folder where it is there."""
    if name in TWINS:
        return twin(name, fitted)
    cls, changes = READERS[name]
    if folder is not None and folder.is_dir():
        return cls.load(folder)
    epochs = max(options.epochs, -(-options.steps * 16 // len(examples)))
    reader = cls(
        mlm,
        passage_length=options.passage_length,
        stride=options.passage_length // 2,
        epochs=epochs,
        learning_rate=options.learning_rate,
        seed=seed,
        **changes,
    )
    reader.fit(examples)
    reader.calibrate(valid)
    if folder is not None:
        reader.save(folder)
    return reader


def scores(reader, test, metric, file):
    """EM, F1 and ECE, and EM and F1 without the threshold; from a file where it is there."""
    if file is not None and file.exists():
        return json.loads(file.read_text())
    found = reader.evaluate(test, metric)
    row = [found["exact_match"], found["f1"], 100 * found.get("ece", np.nan)]
    if "ece" in found and reader.threshold_:  # where all that it was fitted on have an answer it is 0
        found = reader.set_params(threshold=0.0).evaluate(test, metric)
        reader.set_params(threshold=None)
    row += [found["exact_match"], found["f1"]]
    if file is not None:
        write_json(file, row)
    return row


def twin(name, fitted):
    """The reader of that name in `TWINS`."""
    source, cls, changes = TWINS[name]
    reader = cls(**fitted[source].get_params() | changes)
    reader.model_, reader.temperature_ = fitted[source].model_, fitted[source].temperature_
    reader.threshold_ = fitted[source].threshold_
    return reader


def peers(fitted):
    """What is compared with readers for speed alone."""
    found = {}
    if "seq2seq-greedy" in fitted:
        found["seq2seq-greedy, no cache"] = twin("seq2seq-greedy, no cache", fitted)
    if "mlm-greedy" in fitted:
        found["mlm-greedy, PyTorch port"] = TorchPort(fitted["mlm-greedy"])
    return found


def speeds(readers, examples, rounds=3):
    """Questions per second of each, in turns. Says too whether the port answers as what it is compared with."""
    pairs, seconds = [(each.question, each.passages) for each in examples], dict.fromkeys(readers, 0.0)
    answers = {name: reader.answer_batch(pairs) for name, reader in readers.items()}
    for name in (name for name in readers if "port" in name):
        both = zip(answers[name], answers[name.split(", ")[0]], strict=True)
        same = sum(plain(one.text) == plain(other.text) for one, other in both)
        print(f"{name}: the same answer to {same} of {len(pairs)} questions")
    for _ in range(rounds):
        for name, reader in readers.items():
            begin = time.perf_counter()
            reader.answer_batch(pairs)
            seconds[name] += time.perf_counter() - begin
    return {name: rounds * len(pairs) / spent for name, spent in seconds.items()}


def plain(text):
    """A text without what decoding of tokens may change."""
    return matchable(text).replace(",", "")


def decoding_share(reader, examples):
    """Seconds of scoring and ranking all spans for each second of the model."""
    model, pairs = reader.model_, [(each.question, each.passages) for each in examples]
    rows, _ = reader._row_reader(model).rows(pairs)
    rows = rows[:8]
    inputs = reader._inputs(model, rows, max(map(reader._length, rows)))
    seconds = np.zeros(2)
    for i in range(6):
        begin = time.process_time()
        outputs = ops.convert_to_numpy(reader._outputs(model, inputs, rows))
        middle = time.process_time()
        list(reader._decoded(model, outputs, rows, pairs))
        if i:
            seconds += middle - begin, time.process_time() - middle
    return seconds[1] / seconds[0]


if __name__ == "__main__":
    main()
