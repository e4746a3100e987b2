"""Readers on the same encoder, questions and seeds: EM, F1, questions per second, and what decoding costs.

    python benchmarks/reading.py --data FOLDER --questions 16,128,1024 --seeds 3

FOLDER holds `cmrc2018`, `expmrc`, `dureader_robust`, `webqa` and `cjrc` with the sets' own files, which nlpgen may not
ship. `--readers` takes those that are trained:

- mlm (exact decoding), mlm-tokens (with the article's loss), mlm-2 and mlm-4 (two and four passes);
- span and span-long (answers of up to `--answer-length` less one, and of 63 tokens);
- seq2seq (a beam of 4);

and those that have the weights of one that stands before them:

- mlm-greedy and mlm-tokens-greedy (bert4keras' decoding and vote), mlm-vote (its vote over exact answers);
- seq2seq-greedy (a beam of 1).

Each row is one training. The expected calibration error is given without and with the temperature; EM and F1 also
without the threshold, if there is one above 0. What a reader does not have stays blank. Where some questions have no
answer, what never answering reaches is given too, and of several seeds the means, with the values of each.

At the end the last readers answer in turns, so that what else the machine does falls on all: with seq2seq-greedy also
without its cache, as bert4keras writes, and with mlm-greedy also a port of the article's script to PyTorch and
transformers. `--set` chooses what is tested on: cmrc2018, dureader_robust (the readers of cmrc2018, as they are
calibrated there), webqa (512 questions, each with its passage and four that are like the question) or cjrc (1,000 of
its questions, trained on the others). No passage is in two of training, validation and test set, but for webqa's four,
which training and validation set share.

With `--work` each reader that was trained and each row stay in a folder, by what made them: the same command goes on
from there, and several, of other sizes or readers, may run side by side and be gathered by one that asks for all. They
know nothing of the code that made them: after a change of it delete the `.json` of a row to have it scored again.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
from machine import machine
from reading_peers import TorchPort, UncachedReader
from train_reader import by_passage, shuffled

from nlpgen import MaskedLM, MLMReader, QAExample, Retriever, Seq2SeqReader, SpanReader, read_qa
from nlpgen.checkpoints.files import write_json
from nlpgen.metrics import reading_scores
from nlpgen.reading import answer_scores
from nlpgen.reading.decoding import answer_of
from nlpgen.reading.windows import matchable
from nlpgen.training.plot import check_figure, figure_class, save_figure

READERS = {
    "mlm": (MLMReader, {}),
    "mlm-tokens": (MLMReader, {"loss": "tokens"}),
    "mlm-2": (MLMReader, {"iterations": 2}),
    "mlm-4": (MLMReader, {"iterations": 4}),
    "span": (SpanReader, {}),
    "span-long": (SpanReader, {"answer_length": 63}),
    "seq2seq": (Seq2SeqReader, {}),
}
# The class and the changed options of those that have the weights of another.
ARTICLE = {"decoding": "greedy", "vote": "bert4keras"}
TWINS = {
    "mlm-vote": ("mlm", MLMReader, {"vote": "bert4keras"}),
    "mlm-greedy": ("mlm", MLMReader, ARTICLE),
    "mlm-tokens-greedy": ("mlm-tokens", MLMReader, ARTICLE),
    "seq2seq-greedy": ("seq2seq", Seq2SeqReader, {"beam_width": 1}),
    "seq2seq-greedy, no cache": ("seq2seq", UncachedReader, {"beam_width": 1}),
}
SETS = {
    "cmrc2018": ("cmrc2018/cmrc2018_dev.json", "cmrc2018"),
    "dureader_robust": ("dureader_robust/dev.json", "dureader_robust"),
    "webqa": ("webqa/me_test.ann.json", "sogouqa"),
    "cjrc": ("cjrc/dev_ground_truth.json", "cjrc"),
}
TRAINED_ON = {"dureader_robust": "cmrc2018"}  # where it is another set

MEASURES = ("EM", "F1", "ECE before", "ECE after", "always answering: EM", "always answering: F1")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--set", choices=SETS, default="cmrc2018")
    parser.add_argument("--readers", default="mlm,mlm-greedy,span,seq2seq,seq2seq-greedy")
    parser.add_argument("--questions", default="128", help="sizes of the training set, with commas")
    parser.add_argument("--valid", type=int, default=200, help="further ones, for threshold and temperature")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400, help="of each training, at least")
    parser.add_argument("--epochs", type=int, default=3, help="of each training, at least")
    parser.add_argument("--learning-rate", type=rates, default="4e-4", help="of all, or by reader: 4e-4,span=2e-4")
    parser.add_argument("--passage-length", type=int, default=160)
    parser.add_argument("--answer-length", type=int, default=32, help="slots, or tokens with their end (default 32)")
    parser.add_argument("--test", type=int, help="questions of the test set; all by default")
    parser.add_argument("--timed", type=int, default=100, help="questions of it that speed is measured on; 0 for none")
    parser.add_argument("--work", type=Path, help="keeps what is finished")
    parser.add_argument("--plot", type=Path, help="a picture: EM and F1 over the number of questions")
    options = parser.parse_args(arguments)
    if options.plot:
        check_figure(options.plot)
    train, test, metric = sets(options)
    mlm, names = MaskedLM.from_pretrained(options.model), options.readers.split(",")
    print(f"| {options.set}, {len(test)} questions | trained on | seed | {' | '.join(MEASURES)} |")
    print("|---|---|---|" + "---|" * len(MEASURES))
    rows = []
    for count in map(int, options.questions.split(",")):
        for seed in range(options.seeds):
            valid, others = by_passage(shuffled(train, seed), options.valid)
            chosen, fitted = others[:count], {}
            for name in names:
                folder = kept(options, name, len(chosen), seed)
                fitted[name] = reader = trained(name, mlm, chosen, valid, options, seed, fitted, folder)
                row = scores(reader, test, metric, folder and folder.with_suffix(f".{options.set}.{len(test)}.json"))
                rows.append((name, len(chosen), seed, row))
                cells = " | ".join("" if value is None else f"{value:.2f}" for value in row)
                print(f"| {name} | {len(chosen)} | {seed} | {cells} |", flush=True)
    if unanswerable := sum(not each.targets for each in test):
        silent = reading_scores([""] * len(test), [each.answers for each in test], metric)
        scored = f"EM {silent['exact_match']:.2f}, F1 {silent['f1']:.2f}"
        print(f"never answering: {scored}; {unanswerable} of {len(test)} questions have no answer")
    if options.seeds > 1:
        print_seeds(rows)
    if options.plot:
        plot(rows, options.plot)
    if options.timed:
        for name, rate in speeds(fitted | peers(fitted), test[: options.timed]).items():
            print(f"{name}: {rate:.2f} questions per second")
    if options.timed and "mlm" in fitted:
        share = decoding_share(fitted["mlm"], test[:20])
        print(f"mlm, from its outputs to the answers / until its outputs: {100 * share:.1f} %")
    print(machine("tensorflow", "keras"))


def rates(text):
    """`{reader: rate}` of `4e-4` or `4e-4,span=2e-4`; the one without a name, under "", is that of the others."""
    pairs = [part.rpartition("=") for part in text.split(",")]
    return {"": 4e-4} | {name: float(rate) for name, _, rate in pairs}


def sets(options):
    """Training and test examples, and the metric."""
    path, metric = SETS[options.set]
    test = shuffled(read_qa(f"{options.data}/{path}"), 0)
    if options.set == "cjrc":
        test, train = by_passage(test, 1000)
    elif options.set == "webqa":
        test = list({each.passages: each for each in test}.values())  # a question of each passage
        test, train = with_distractors(test[:512]), with_distractors(test[512:])
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
    model, rate = Path(options.model).name, learning_rate(options, name)
    made = (trained_on(options), name, count, seed, options.valid, options.steps, options.epochs, rate)
    lengths = (options.passage_length, options.answer_length)
    return options.work / "-".join(map(str, (model, *made, *lengths))).replace(".", "_")


def trained_on(options):
    """The set whose training questions those are."""
    return TRAINED_ON.get(options.set, options.set)


def learning_rate(options, name):
    """Of the reader, or of that whose weights it has."""
    source = TWINS[name][0] if name in TWINS else name
    return options.learning_rate.get(source, options.learning_rate[""])


def trained(name, mlm, examples, valid, options, seed, fitted, folder):
    """The reader of that name, from its folder where it is there."""
    if name in TWINS:
        return twin(name, fitted)
    cls, changes = READERS[name]
    if folder is not None and folder.is_dir():
        return cls.load(folder)
    epochs = max(options.epochs, -(-options.steps * 16 // len(examples)))
    lengths = {
        "passage_length": options.passage_length,
        "stride": options.passage_length // 2,
        "answer_length": options.answer_length - (cls is SpanReader),  # the others have their end in it
    }
    rate = learning_rate(options, name)
    reader = cls(mlm, epochs=epochs, learning_rate=rate, seed=seed, **lengths | changes)
    reader.fit(examples)
    reader.calibrate(valid, SETS[trained_on(options)][1])
    if folder is not None:
        reader.save(folder)
    return reader


def scores(reader, test, metric, file):
    """The MEASURES of a reader, `None` for what it does not have; from a file where it is there."""
    if file is not None and file.exists():
        return json.loads(file.read_text())
    pools, threshold = reader._pools([(each.question, each.passages) for each in test]), reader.threshold_

    def found(temperature, threshold):
        answers = [answer_of(pool, 1, reader.vote, temperature, threshold) for pool in pools]
        return answer_scores(test, answers, metric)

    own = found(reader.temperature_, threshold)
    row = [own["exact_match"], own["f1"], None, None, None, None]
    if reader.vote == "probability":
        row[2:4] = 100 * found(1.0, threshold)["ece"], 100 * own["ece"]
        if threshold:  # where all that it was fitted on have an answer it is 0
            always = found(reader.temperature_, 0.0)
            row[4:] = always["exact_match"], always["f1"]
    if file is not None:
        write_json(file, row)
    return row


def by_size(rows, column):
    """`{reader: {questions: values of the seeds}}` of one of the MEASURES, by rising numbers of questions; of those
    that have it.
    """
    found = {}
    for name, count, _, row in sorted(rows, key=lambda row: row[1]):
        if row[column] is not None:
            found.setdefault(name, {}).setdefault(count, []).append(row[column])
    return found


def print_seeds(rows):
    """Each of the MEASURES, a line a reader and a column a number of questions: the mean of the seeds, and each."""
    counts = sorted({count for _, count, _, _ in rows})
    for column, measure in enumerate(MEASURES):
        sizes = by_size(rows, column)
        if not sizes:
            continue
        print("\n| " + " | ".join([measure, *map(str, counts)]) + " |")
        print("|---" * (1 + len(counts)) + "|")
        for name, values in sizes.items():
            seeds = [values.get(count, []) for count in counts]
            cells = [f"{np.mean(v):.1f} ({', '.join(f'{each:.1f}' for each in v)})" if v else "" for v in seeds]
            print("| " + " | ".join([name, *cells]) + " |")
    print()


def plot(rows, path):
    """Draw EM and F1 over the number of questions: a line a reader, the mean of its seeds, and a band, all of them."""
    figure = figure_class()(figsize=(10, 4.5), layout="constrained")
    for axes, column in zip(figure.subplots(1, 2), (0, 1), strict=True):
        for name, values in by_size(rows, column).items():
            axes.plot(list(values), [np.mean(each) for each in values.values()], marker="o", label=name)
            lowest, highest = [[edge(each) for each in values.values()] for edge in (min, max)]
            axes.fill_between(list(values), lowest, highest, alpha=0.2)
        axes.set_xscale("log", base=2)
        axes.set(xlabel="questions trained on", ylabel=f"{MEASURES[column]}, %")
    axes.legend()
    save_figure(figure, path)


def twin(name, fitted):
    """The reader of that name in `TWINS`."""
    source, cls, changes = TWINS[name]
    return like(fitted[source], cls, changes)


def like(reader, cls, changes):
    """What a reader has learned in another."""
    made = cls(**reader.get_params() | changes)
    made.model_, made.temperature_, made.threshold_ = reader.model_, reader.temperature_, reader.threshold_
    return made


def peers(fitted):
    """What is compared with readers for speed alone."""
    found = {}
    if "seq2seq-greedy" in fitted:
        found["seq2seq-greedy, no cache"] = twin("seq2seq-greedy, no cache", fitted)
    if "mlm-greedy" in fitted:
        found["mlm-greedy, PyTorch port"] = TorchPort(fitted["mlm-greedy"])
    return found


def speeds(readers, examples, rounds=5):
    """Questions per second of each, in turns, medians. Says whether peers answer as what they are compared with."""
    pairs, seconds = [(each.question, each.passages) for each in examples], {name: [] for name in readers}
    answers = {name: reader.answer_batch(pairs) for name, reader in readers.items()}
    for name in (name for name in readers if ", " in name):
        both = zip(answers[name], answers[name.split(", ")[0]], strict=True)
        same = sum(plain(one.text) == plain(other.text) for one, other in both)
        print(f"{name}: the same answer to {same} of {len(pairs)} questions")
    for _ in range(rounds):
        for name, reader in readers.items():
            begin = time.perf_counter()
            reader.answer_batch(pairs)
            seconds[name].append(time.perf_counter() - begin)
    return {name: len(pairs) / np.median(spent) for name, spent in seconds.items()}


def plain(text):
    """A text without what decoding of tokens may change."""
    return matchable(text).replace(",", "")


class ReaderOfOutputs(MLMReader):
    """Answers from rows that were read, and what the model said of them, before."""

    def _row_reader(self, model):
        return self

    def rows(self, pairs):
        return self.kept, 0

    def _batches(self, model, rows):
        return self.outputs


def decoding_share(reader, examples):
    """Seconds from the model's outputs to the answers for each second until the outputs: the median of five rounds."""
    pairs, later = [(each.question, each.passages) for each in examples], like(reader, ReaderOfOutputs, {})
    later.kept, _ = reader._row_reader(reader.model_).rows(pairs)
    shares = []
    for _ in range(6):
        begin = time.perf_counter()
        later.outputs = list(reader._batches(reader.model_, later.kept))
        middle = time.perf_counter()
        later.answer_batch(pairs)
        shares.append((time.perf_counter() - middle) / (middle - begin))
    return np.median(shares[1:])  # the first one compiles


if __name__ == "__main__":
    main()
