"""Reading comprehension by writing the answer, token by token (Su Jianlin, 2019, https://kexue.fm/archives/7115)."""

from numbers import Integral

import numpy as np
from keras import ops

from nlpgen.generation import Beam, NGrams
from nlpgen.reading.models import WritingModel
from nlpgen.reading.reader import Reader
from nlpgen.reading.scoring import HIDDEN
from nlpgen.text import bucket, length_batches, pad

WINDOWS = 16  # that are written for at once


class Seq2SeqReader(Reader):
    """Finds the answer to a question in passages: a UniLM writes it, and may write only what stands there.

    The model reads `[CLS] question [SEP] passage [SEP]` and writes `answer [SEP]` by beam search over the n-grams of
    the window; an answer that begins with `[SEP]` is none. It is what the one pass of `MLMReader` is compared with, and
    used as that is, whose arguments it has but those of the slots.

    The score of an answer is the product of its tokens' probabilities. Where the search did not keep "no answer", its
    probability is computed after it. What is written is taken to stand at its first occurrence in the window; where two
    windows have other ones, both count.

    Args:
        mlm: a `MaskedLM` with its tokenizer; it stays as it is: each `fit` trains a copy.
        answer_length: most tokens that are written; the last one is `[SEP]`.
        beam_width: hypotheses that go on for each window. With 1 they follow the likeliest tokens, and the answer is
            one of the beginnings of these.
        question_length, passage_length, stride, vote, negative_rate, negatives, threshold, epochs, batch_size,
            learning_rate, weight_decay, patience, seed, verbose: see `MLMReader`.

    Attributes:
        model_: the trained `UniLM`; the others as of `MLMReader`.
    """

    model_class = WritingModel

    def __init__(
        self,
        mlm,
        answer_length=32,
        beam_width=4,
        question_length=64,
        passage_length=256,
        stride=128,
        vote="probability",
        negative_rate=0.25,
        negatives="random",
        threshold=None,
        epochs=5,
        batch_size=16,
        learning_rate=5e-5,
        weight_decay=0.01,
        patience=None,
        seed=0,
        verbose=False,
    ):
        self.mlm = mlm
        self.answer_length = answer_length
        self.beam_width = beam_width
        self.question_length = question_length
        self.passage_length = passage_length
        self.stride = stride
        self.vote = vote
        self.negative_rate = negative_rate
        self.negatives = negatives
        self.threshold = threshold
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.patience = patience
        self.seed = seed
        self.verbose = verbose

    def _new_model(self):
        return WritingModel.like(self.mlm, self.seed)

    def _problems(self):
        if not isinstance(self.beam_width, Integral) or self.beam_width < 1:
            yield f"`beam_width` must be a whole number, 1 or more. Received: {self.beam_width!r}"
        yield from super()._problems()

    def _most(self, tokenizer):
        return super()._most(tokenizer) + self.answer_length

    def _longest(self):
        return self.answer_length - 1

    def _length(self, row):
        return super()._length(row) + len(row.answer)

    def _inputs(self, model, rows, length):
        """A batch to be scored, as `UniLM` makes it."""
        pairs = [(self._source(row), [*row.answer, model.tokenizer.eos_id]) for row in rows]
        return model.scoring_inputs(pairs, length)

    def _targets(self, model, rows, inputs, generator):
        """A batch of the training: inputs, `(rows, width)` targets and their weights."""
        sizes = [len(row.answer) + 1 for row in rows]
        width = bucket(max(sizes))
        positions, targets = inputs["model"]["positions"][:, :width], inputs["targets"][:, :width]
        weights = pad([[1] * size for size in sizes], 0, width).astype("float32")
        return inputs["model"] | {"positions": positions}, targets, weights

    def _loss(self):
        return None

    def _source(self, row):
        tokenizer = self._tokenizer()
        return [*self._before(tokenizer, row.question), *row.token_ids, tokenizer.sep_id]

    def _scores(self, model, rows):
        end, ngrams = model.tokenizer.eos_id, [NGrams([row.token_ids]) for row in rows]

        def allowed(index, ids):
            return {end} if len(ids) == self._longest() else ngrams[index].following(ids) | {end}

        sources = [self._source(row) for row in rows]
        found = [{tuple(ids[:-1]): score for ids, score in each} for each in self._hypotheses(model, sources, allowed)]
        without = [i for i, scores in enumerate(found) if () not in scores]
        for indices, length in length_batches([len(sources[i]) for i in without]):
            batch = [without[i] for i in indices]
            log_probs = next_log_probs(model, [sources[i] for i in batch], [[]] * len(batch), length)
            for i, none in zip(batch, log_probs[:, end], strict=True):
                found[i][()] = none
        for row, own, scores in zip(rows, ngrams, found, strict=True):
            none, spans = scores.pop(()), np.full((self._longest(), row.end - row.begin), HIDDEN)
            for ids, score in scores.items():
                _, first = own.places(ids)[0]
                spans[len(ids) - 1, first] = score
            yield row, none, spans

    def _hypotheses(self, model, sources, allowed):
        """For each source what the search found, `(ids with their end, log probability)`, the likeliest first.

        Args:
            sources: lists of ids.
            allowed: function from the index of a source and the ids written so far to those that may follow.
        """
        beam = Beam(self.beam_width, n_best=self.beam_width + 1)
        batch_size = WINDOWS * self.beam_width
        return model.generate_ids(
            sources, beam, max_new_tokens=self.answer_length, constraint=allowed, batch_size=batch_size
        )


def next_log_probs(model, sources, written, length):
    """Log probabilities of the tokens that may follow.

    Args:
        model: a `UniLM`.
        sources: lists of ids.
        written: of each source the ids that are written already.
        length: that rows are padded to.

    Returns:
        `(rows, vocab_size)` in float32.
    """
    rows = [[*source, *ids] for source, ids in zip(sources, written, strict=True)]
    segments = [[0] * len(source) + [1] * len(ids) for source, ids in zip(sources, written, strict=True)]
    inputs = {
        "token_ids": pad(rows, 0, length),
        "segment_ids": pad(segments, 0, length),
        "padding_mask": pad([[1] * len(row) for row in rows], 0, length),
        "positions": np.array([[len(row) - 1] for row in rows]),
    }
    logits = np.asarray(ops.convert_to_numpy(model.predict_on_batch(inputs)), "float32")[:, 0]
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
