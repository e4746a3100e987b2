"""Train the embedded reader: `MLMReader` from bert-tiny-zh on CMRC 2018's training questions.

    python benchmarks/train_reader.py --train TRAIN.json --dev DEV.json --work FOLDER --save pretrained/reader-tiny-zh

The files are CMRC 2018's (CC BY-SA 4.0), which nlpgen does not ship. The run is kept in `--work` after each epoch: if
it is stopped the same command goes on from there, and with `--epochs` lowered to what it has done it ends with the best
of them. The best epoch is chosen on about `--valid` questions that are held out of the training set with their
passages; on them, and on as many with a passage of another question, temperature and threshold are fitted; a threshold
with which nothing is answered is best by F1 where a reader is seldom right, and `--threshold 0` is then of more use.
The dev set is only scored at the end, by the reader as it was saved (in float16), with and without the threshold, and
never chosen by. With `--trained FOLDER` a reader is not trained, only calibrated and scored anew (and saved, with
`--save`).
"""

import argparse
import random
import time
from collections import Counter

import numpy as np
from machine import machine

from nlpgen import MaskedLM, MLMReader, QAExample, Seq2SeqReader, SpanReader, read_qa
from nlpgen.reading import Retriever, answer_scores

READERS = {"mlm": MLMReader, "span": SpanReader, "seq2seq": Seq2SeqReader}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--reader", choices=READERS, default="mlm")
    parser.add_argument("--train", required=True)
    parser.add_argument("--dev", required=True)
    parser.add_argument("--work", help="a folder for the state of the run, six times the size of the model")
    parser.add_argument("--trained", help="a reader, or the name of an embedded one")
    parser.add_argument("--save")
    parser.add_argument("--questions", type=int, help="of the training set; all by default")
    parser.add_argument("--dev-questions", type=int, help="of the dev set; all by default")
    parser.add_argument("--valid", type=int, default=300, help="questions held out of the training set, about")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--answer-length", type=int, default=32)
    parser.add_argument("--passage-length", type=int, default=160)
    parser.add_argument("--stride", type=int, help="half of the passage's length by default")
    parser.add_argument("--negative-rate", type=float, default=0.25)
    parser.add_argument("--threshold", type=float, help="of answering; fitted by default, 0 to answer always")
    parser.add_argument("--dtype", help="e.g. mixed_bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    valid, train = by_passage(shuffled(read_qa(options.train), options.seed), options.valid)
    train = train[: options.questions]
    dev = shuffled(read_qa(options.dev), 0)[: options.dev_questions]
    if options.trained:
        reader = READERS[options.reader].load(options.trained, threshold=options.threshold)
    else:
        reader = trained(options, train, valid)
    unanswerable = mismatched(valid)
    calibration = reader.calibrate(valid + unanswerable)
    print(calibration)
    reader.set_params(threshold=None)  # who trains it further has one fitted; it keeps this one
    if options.save:
        reader.save(options.save, dtype="float16")
        reader = READERS[options.reader].load(options.save)
    none = [[each.no_answer for each in answers(reader, examples)] for examples in (valid, unanswerable)]
    right = np.mean(np.subtract.outer(none[1], none[0]) > 0)
    print(f"no answer is likelier for a question without one than for one with, in {right:.1%} of pairs")
    begin, found = time.perf_counter(), answers(reader, dev)
    rate = len(dev) / (time.perf_counter() - begin)
    report("dev", dev, found)
    if calibration["threshold"]:
        report("dev, always answered", dev, answers(reader.set_params(threshold=0.0), dev))
    print(f"{rate:.2f} questions per second; {machine('tensorflow', 'keras')}")


def trained(options, train, valid):
    """The reader, of its best epoch."""
    reader = READERS[options.reader](
        MaskedLM.from_pretrained(options.model, dtype=options.dtype),
        answer_length=options.answer_length,
        passage_length=options.passage_length,
        stride=options.stride or options.passage_length // 2,
        negative_rate=options.negative_rate,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        threshold=options.threshold,
        seed=options.seed,
        verbose=True,
    )
    begin, cpu = time.perf_counter(), time.process_time()
    reader.fit(train, validation_data=valid, state=options.work)
    seconds = sum(epoch["seconds"] for epoch in reader.history_)
    print(f"{time.perf_counter() - begin:.0f} s, {time.process_time() - cpu:.0f} s of processors")
    print(f"{len(train)} questions, {len(train) * len(reader.history_) / seconds:.1f} per second while training")
    return reader


def report(name, examples, found):
    scores = answer_scores(examples, found)
    print(f"{name}: EM {scores['exact_match']:.2f}, F1 {scores['f1']:.2f}, ECE {scores['ece']:.3f}")
    lengths = [len(each.text) for each in found], [len(each.answers[0]) for each in examples]
    print("characters of an answer, and of a right one, medians: {:.0f}, {:.0f}".format(*map(np.median, lengths)))


def answers(reader, examples):
    return reader.answer_batch([(each.question, each.passages) for each in examples])


def shuffled(examples, seed):
    examples = list(examples)
    random.Random(seed).shuffle(examples)
    return examples


def by_passage(examples, count):
    """Two lists that share no passage: the first passages with `count` questions or a few more, and the others."""
    questions, first, taken = Counter(each.passages for each in examples), set(), 0
    for passages in questions:
        if taken < count:
            first.add(passages)
            taken += questions[passages]
    return [e for e in examples if e.passages in first], [e for e in examples if e.passages not in first]


def mismatched(examples):
    """The questions with the passage of another one that is most like them and has no answer."""
    passages = list(dict.fromkeys(each.passages[0] for each in examples))
    found = Retriever(passages).search_batch([each.question for each in examples], 5)
    made = []
    for example, hits in zip(examples, found, strict=True):
        others = [h.text for h in hits if not any(a in h.text for a in example.targets)]
        made += [QAExample(example.question, text, []) for text in others[:1]]
    return made


if __name__ == "__main__":
    main()
