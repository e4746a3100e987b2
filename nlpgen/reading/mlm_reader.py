"""Reading comprehension with a masked language model (Su Jianlin, 2019, https://kexue.fm/archives/7148)."""

from dataclasses import replace

import numpy as np
from keras import ops

from nlpgen.reading.decoding import greedy_span
from nlpgen.reading.models import SlotModel
from nlpgen.reading.reader import Reader, check_finite
from nlpgen.reading.scoring import SlotSpanLoss, slot_span_scores, span_at, span_index
from nlpgen.text import bucket, pad

LOSSES, DECODINGS = ("spans", "tokens"), ("exact", "greedy")


class MLMReader(Reader):
    """Finds the answer to a question in passages: a masked language model fills it into `[MASK]` slots, in one pass.

    The model reads `[CLS] [MASK]… [SEP] question [SEP] passage [SEP]` and says at each slot which token of the passage
    stands there, or that the answer is over (`[SEP]`). All spans of the passage are scored at once by that, and the
    best are exact; see `nlpgen.reading.scoring`. An answer that begins with `[SEP]` is none. There are no new weights,
    so that few examples go a long way, and an untrained reader answers too.

    Args:
        mlm: a `MaskedLM` with its tokenizer; it stays as it is: each `fit` trains a copy.
        answer_length: slots; an answer has at most one token less.
        question_length, passage_length: most tokens of a question, and of a window of a passage, with their `[SEP]`.
        stride: a window begins so many tokens after the one before; `None` to read the first window alone, as the
            article does. Longer answers than `passage_length - stride` tokens may lie in no window as a whole.
        vote: how windows and passages are weighed: `"probability"`, see `nlpgen.reading.decoding.pooled`, or
            `"bert4keras"`, the article's Σ s² / (Σ s + 1), which knows no threshold. Equal passages are read once;
            with the article's vote each of them votes.
        decoding: `"exact"`; or `"greedy"`, slot by slot, as the article does, with a softmax over the whole vocabulary
            (in training too); needs `vote="bert4keras"`.
        iterations: passes over each window. From the second on the tokens that are surest stand in their slots and the
            others are asked for again (Mask-Predict, Ghazvininejad et al., 2019, https://arxiv.org/abs/1904.09324);
            trained with more than 1, half of the rows show some of the answer, and the rest of it is learned.
        loss: `"spans"`, the negative log of the share of all occurrences of the answers among all spans, see
            `nlpgen.reading.scoring.SlotSpanLoss`; or `"tokens"`, the article's cross-entropy of the first occurrence's
            tokens over the whole vocabulary.
        negative_rate: share of the rows without an answer, see `nlpgen.reading.rows.TrainingRows`.
        negatives: whose passages these are, `"random"` or `"bm25"` (needs the extra `search`).
        threshold: a question is answered where p(best) / (p(best) + p(none)) is as much or more. `None`: fitted on
            validation data; 0.5 without.
        epochs, batch_size: of the training; an epoch has one window of each question.
        learning_rate: the highest; it rises to it over the first tenth of the steps and falls to zero.
        weight_decay: factor of AdamW.
        patience: epochs without a better score on the validation data after which training ends; `None` for all.
        seed: of dropout, windows and the order of the rows.
        verbose: whether a line is printed for each epoch.

    Attributes:
        model_: the trained `SlotModel`.
        temperature_, threshold_, calibration_: see `calibrate`; without it 1, 0.5 and `None`.
        history_: a dict for each epoch: epoch, loss, seconds, and score (mean of exact match and F1) on the validation
            data.
        unlearned_: `(index of the example, why)` of those that were left out.

    Example:
        >>> from nlpgen import MaskedLM, MLMReader, QAExample
        >>> mlm = MaskedLM.from_pretrained("bert-tiny-zh")
        >>> passage = "小明今年九岁，住在北京。"
        >>> examples = [QAExample("小明几岁？", passage, "九岁"), QAExample("小明住在哪里？", passage, "北京")]
        >>> reader = MLMReader(mlm, epochs=15, learning_rate=1e-3, negative_rate=0).fit(examples)
        >>> answer = reader.answer("小明住在哪里？", passage)
        >>> answer.text, passage[answer.start : answer.end]
        ('北京', '北京')
    """

    model_class = SlotModel

    def __init__(
        self,
        mlm,
        answer_length=32,
        question_length=64,
        passage_length=256,
        stride=128,
        vote="probability",
        decoding="exact",
        iterations=1,
        loss="spans",
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
        self.question_length = question_length
        self.passage_length = passage_length
        self.stride = stride
        self.vote = vote
        self.decoding = decoding
        self.iterations = iterations
        self.loss = loss
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
        model = SlotModel.like(self.mlm, self.seed)
        model.tokenizer.mask_id  # noqa: B018  (raises where there is none)
        return model

    def _fitted(self):
        if not hasattr(self, "model_"):  # an untrained one answers too
            self.model_ = self._new_model()
        return self.model_

    def _choices(self):
        return super()._choices() | {"loss": LOSSES, "decoding": DECODINGS, "iterations": (1, 2, 4)}

    def _problems(self):
        if self.decoding == "greedy" and self.vote != "bert4keras":
            yield "`decoding='greedy'` gives no probabilities of spans: it needs `vote='bert4keras'`"
        yield from super()._problems()

    def _before(self, tokenizer, question):
        slots = [tokenizer.mask_id] * self.answer_length
        return [tokenizer.cls_id, *slots, tokenizer.sep_id, *question, tokenizer.sep_id]

    def _none_at(self, before):
        return len(before) - 1  # a [SEP]

    def _longest(self):
        return self.answer_length - 1

    def _inputs(self, model, rows, length):
        inputs = super()._inputs(model, rows, length)
        slots = np.arange(1, self.answer_length + 1, dtype="int32")
        inputs["positions"] = np.repeat(slots[None], len(rows), axis=0)
        if self.decoding == "exact":
            inputs["distinct"] = distinct(np.take_along_axis(inputs["token_ids"], inputs["columns"], axis=1))
            inputs["distinct"] *= inputs["column_mask"]
        return inputs

    def _targets(self, model, rows, inputs, generator):
        """A batch of the training: inputs, `(rows, g)` targets, and weights of these or `None`."""
        asked = np.ones((len(rows), self.answer_length), "int32")
        if self.iterations > 1:
            triples = zip(rows, inputs["token_ids"], asked, strict=True)
            rows = [self._shown(*triple, model.tokenizer.sep_id, generator) for triple in triples]
            inputs["asked"] = asked
        if self.loss == "tokens":
            ids = [[*row.answer, model.tokenizer.sep_id] for row in rows]
            weights = pad([[1] * len(row) for row in ids], 0, self.answer_length) * asked
            kept = {name: inputs[name] for name in ("token_ids", "padding_mask", "positions")}
            return kept, pad(ids, 0, self.answer_length), weights.astype("float32")
        width = inputs["columns"].shape[1] - 1
        gold = [[span_index(*span, width) for span in row.spans] or [0] for row in rows]
        return inputs, pad(gold, -1, bucket(max(map(len, gold)))), None

    def _loss(self):
        return SlotSpanLoss() if self.loss == "spans" else None

    def _shown(self, row, ids, asked, sep, generator):
        """Write some of the answer into the slots of a row, in half of the cases, and 0 into `asked` there.

        Returns:
            The row, where something is shown with the occurrences of that answer alone.
        """
        if generator.random() < 0.5:
            return row
        tokens = np.array([*row.answer, sep])
        hidden = generator.integers(1, len(tokens) + 1)
        shown = generator.permutation(len(tokens))[hidden:]
        if not len(shown):
            return row
        ids[1 + shown], asked[shown] = tokens[shown], 0
        same = [(first, last) for first, last in row.spans if row.token_ids[first : last + 1] == row.answer]
        return replace(row, spans=tuple(same))

    def _outputs(self, model, inputs, rows):
        outputs = super()._outputs(model, inputs, rows)
        for n in range(1, self.iterations):
            outputs = np.array(ops.convert_to_numpy(outputs))
            inputs = inputs | {"token_ids": inputs["token_ids"].copy()}
            again = self._hide(outputs, inputs["token_ids"], rows, 1 - n / self.iterations, model.tokenizer)
            fresh = ops.convert_to_numpy(super()._outputs(model, inputs, rows))
            outputs = np.where(again[:, :, None], fresh, outputs)
        return outputs

    def _hide(self, outputs, token_ids, rows, share, tokenizer):
        """Write the best span of each row into its slots, but for the least sure `share` of its tokens.

        Returns:
            `(batch, slots)`, true where a slot is to be asked again: those, and all behind the span.
        """
        again = np.ones(outputs.shape[:2], bool)
        scores = ops.convert_to_numpy(slot_span_scores(outputs))
        for i, best in enumerate(scores.argmax(axis=1).tolist()):
            columns = [0]
            if best:
                first, last = span_at(best, outputs.shape[2] - 1)
                columns = [*range(1 + first, 2 + last), 0]
            sure = outputs[i, np.arange(len(columns)), columns]
            kept = np.argsort(sure, kind="stable")[int(share * len(columns)) :]
            ids = [*(rows[i].token_ids[column - 1] for column in columns[:-1]), tokenizer.sep_id]
            token_ids[i, 1 : 1 + self.answer_length] = tokenizer.mask_id
            token_ids[i, 1 + kept] = np.array(ids)[kept]
            again[i, kept] = False
        return again

    def _votes(self, model, rows, pairs):
        if self.decoding == "exact":
            yield from super()._votes(model, rows, pairs)
            return
        for batch, outputs in self._batches(model, rows):
            for row, log_probs in zip(batch, outputs, strict=True):
                check_finite(log_probs, pairs[row.index[0]][0])
                found = greedy_span(log_probs[:, : 1 + row.end - row.begin], row.token_ids)
                if found is None:
                    continue
                first, last, score = found
                span = self._span(row.passage, row.index[1], row.begin + first, row.begin + last, score)
                if span.key and span.text:
                    yield row.index[0], span

    def _key(self, passage, first, last, text):
        if self.decoding == "greedy":
            return self._tokenizer().decode(passage.token_ids[first : last + 1])
        return super()._key(passage, first, last, text)


def distinct(ids):
    """1 at the first place of each id of a row: int32 of the same shape, `(batch, n)`.

    >>> distinct(np.array([[3, 5, 3, 7, 5]]))
    array([[1, 1, 0, 1, 0]], dtype=int32)
    """
    out = np.zeros(ids.shape, "int32")
    for row, values in zip(out, ids, strict=True):
        row[np.unique(values, return_index=True)[1]] = 1
    return out
