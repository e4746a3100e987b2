"""Named entities by fine-tuning: texts and spans of characters in, spans of characters out."""

import itertools
import warnings

import numpy as np
from keras import ops

from nlpgen.errors import InputError, NonFiniteOutput
from nlpgen.estimator import Estimator
from nlpgen.metrics import span_scores
from nlpgen.models import POINTERS, TAG_DECODERS, SequenceTagger, SpanTagger, load_tagger
from nlpgen.tasks.entities import (
    SCHEMES,
    Entity,
    aligned,
    check_entities,
    penalties,
    spans_of,
    tags_for,
    tags_of,
    types_of,
)
from nlpgen.tasks.fine_tuning import check_seed, check_validation, copy_of_backbone, fine_tune, start
from nlpgen.tasks.windows import windows_of
from nlpgen.text import check_texts, length_batches, pad

DECODERS = (*TAG_DECODERS, *POINTERS)
IGNORED = -100


class TokenClassifier(Estimator):
    """Finds entities in texts, by fine-tuning a pretrained model.

    Texts longer than `max_length` are cut into windows, at the ends of sentences where possible.

    Args:
        model: the pretrained model: a `Backbone`, or a model on one such as a `MaskedLM`. It stays as it is: each `fit`
            trains a copy.
        decoder: `"crf"`; `"softmax"`, each token for itself; `"global_pointer"` or `"efficient_global_pointer"`, which
            score spans and find nested and overlapping entities too. The first two give the best sequence of tags
            that is one of entities.
        scheme: tags of the first two, `"BIO"` or `"BIOES"`.
        max_length: most tokens of a window, special ones included.
        epochs, batch_size: of the training.
        learning_rate: the highest; it rises to it over the first tenth of the steps and falls to zero.
        weight_decay: factor of AdamW.
        dropout: rate before the last layer.
        patience: epochs without a better F1 on the validation data after which training ends; `None` for all.
        seed: of the new layer, dropout and the order of the texts. On PyTorch Keras draws dropout from torch's own
            generator: there `keras.utils.set_random_seed` before `fit` is needed too for the same result.
        verbose: whether a line is printed for each epoch.

    Attributes:
        model_: the trained `SequenceTagger` or `SpanTagger`.
        classes_: the types of entities, sorted.
        history_: a dict for each epoch: epoch, loss, seconds, and score (F1) on the validation data.
        unaligned_: `(index of the text, Entity)` of the training entities that no span of tokens stands for, because
            they start or end inside a token or go across a cut between two windows. They were not learned.
    """

    def __init__(
        self,
        model,
        decoder="crf",
        scheme="BIO",
        max_length=128,
        epochs=5,
        batch_size=32,
        learning_rate=5e-5,
        weight_decay=0.01,
        dropout=0.1,
        patience=None,
        seed=0,
        verbose=False,
    ):
        self.model = model
        self.decoder = decoder
        self.scheme = scheme
        self.max_length = max_length
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.patience = patience
        self.seed = seed
        self.verbose = verbose

    @classmethod
    def from_pretrained(cls, name_or_folder, **options):
        """Load a trained model: what `save_pretrained` wrote, or a `…ForTokenClassification` of Hugging Face.

        Args:
            name_or_folder: see `PretrainedModel.from_pretrained`.
            options: arguments of the constructor for a further `fit`, which starts from its backbone.

        Raises:
            InputError: if its labels are tags of no scheme of entities.
        """
        model = load_tagger(name_or_folder)
        classes = model.labels if isinstance(model, SpanTagger) else types_of(model.labels)
        longest = model.max_length or model.backbone.longest
        tagger = cls(model, **{"decoder": model.decoder, "max_length": longest} | options)
        tagger.model_, tagger.classes_, tagger.history_, tagger.unaligned_ = model, classes, [], []
        return tagger

    def save_pretrained(self, folder, format="nlpgen", dtype=None):
        """Write the trained model with its labels; the arguments are those of `PretrainedModel.save_pretrained`."""
        self._fitted().save_pretrained(folder, format, dtype)

    def fit(self, texts, entities, validation_data=None):
        """Train on texts with their entities, from the pretrained model, whatever was learned before.

        Args:
            texts: a list of strings.
            entities: for each text a list of `Entity` or `(start, end, label)`, in characters.
            validation_data: `(texts, entities)`; the weights of the epoch with the best F1 there are kept.

        Returns:
            The tagger. It warns of entities that no span of tokens stands for, and keeps them in `unaligned_`.

        Raises:
            InputError: if texts, entities or options are wrong.
            TrainingDiverged: if the loss is no longer a number.
        """
        check_seed(self.seed)
        if self.decoder not in DECODERS or self.scheme not in SCHEMES:
            raise InputError(
                f"`decoder` must be one of {', '.join(DECODERS)} and `scheme` one of {', '.join(SCHEMES)}. "
                f"Received: decoder={self.decoder!r}, scheme={self.scheme!r}"
            )
        texts = check_texts(texts)
        entities = check_entities(texts, entities)
        classes = sorted({entity.label for row in entities for entity in row})
        if not classes:
            raise InputError(f"None of the {len(texts)} texts has an entity. Give some that have.")
        held_out = check_validation(validation_data)
        if held_out is not None:
            held_texts = check_texts(held_out[0])
            held_out = held_texts, check_entities(held_texts, held_out[1], classes, "validation ")
        if self.decoder in TAG_DECODERS:
            _check_flat(entities)
        model = self._new_model(classes)
        start(model, self.model, self.seed)
        windows = windows_of(model, texts)
        spans, unaligned = _spans(windows, entities)
        _warn_of(unaligned, sum(map(len, entities)))

        def batch(indices, length):
            rows = [windows[i] for i in indices]
            targets = [spans[i] for i in indices]
            if self.decoder in TAG_DECODERS:
                y = _tag_targets(model, rows, targets, length, self.scheme)
            else:
                y = _span_targets(model, rows, targets, length)
            return _inputs(model, rows, length), y, None

        def score():
            return _scores(model, *held_out).f1

        history = fine_tune(
            model,
            [len(window) for window in windows],
            batch,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
            score=None if held_out is None else score,
            patience=self.patience,
            verbose=self.verbose,
        )
        self.model_, self.classes_, self.history_, self.unaligned_ = model, classes, history, unaligned
        return self

    def predict(self, texts):
        """The entities of a string, a list of `Entity` sorted by start; of a list of strings, a list of such lists.

        Raises:
            InputError: if a text is no string, or nothing was learned yet.
            NonFiniteOutput: if the model gives NaN or infinity.
        """
        if isinstance(texts, str):
            return self.predict([texts])[0]
        return _found(self._fitted(), check_texts(texts))

    def evaluate(self, texts, entities):
        """Precision, recall and F1 on labelled texts; an entity counts only with the right start, end and label.

        Returns:
            `SpanScores`, micro-averaged, with those of each label in `labels`.

        Raises:
            InputError: if texts and entities do not fit each other, or a label was not learned.
        """
        model, texts = self._fitted(), check_texts(texts)
        return _scores(model, texts, check_entities(texts, entities, self.classes_))

    def score(self, texts, entities):
        """Micro-averaged F1; see `evaluate`."""
        return self.evaluate(texts, entities).f1

    def _fitted(self):
        if not hasattr(self, "model_"):
            raise InputError(
                "This TokenClassifier has learned nothing yet. Call `fit`, or load one by from_pretrained."
            )
        return self.model_

    def _new_model(self, classes):
        backbone, options = copy_of_backbone(self.model), {"dropout": self.dropout, "max_length": self.max_length}
        if self.decoder in TAG_DECODERS:
            model = SequenceTagger(backbone, tags_of(classes, self.scheme), self.decoder, **options)
        else:
            model = SpanTagger(backbone, classes, self.decoder, **options)
        model.build()
        return model


def _check_flat(entities):
    """Raise `InputError` where entities of a text overlap, which tags cannot say."""
    found = []
    for i, row in enumerate(entities):
        row = sorted(row)
        found += [f"text {i}: {a} and {b}" for a, b in itertools.pairwise(row) if b.start < a.end]
    if found:
        raise InputError(
            f"{len(found)} pairs of entities overlap, which a sequence of tags cannot say: {found[0]}. Use "
            "decoder='global_pointer', or leave one of each pair out."
        )


def _spans(windows, entities):
    """For each window its spans of tokens, and all `(text, Entity)` that are none."""
    left = {(i, entity) for i, row in enumerate(entities) for entity in row}
    spans = []
    for window in windows:
        found, others = aligned(entities[window.text], window.offsets)
        spans.append(found)
        left -= {(window.text, entity) for entity in entities[window.text] if entity not in others}
    return spans, sorted(left)


def _warn_of(unaligned, total):
    if unaligned:
        shown = "; ".join(f"text {i}: {e.text!r} ({e.start}–{e.end}, {e.label})" for i, e in unaligned[:5])
        warnings.warn(
            f"{len(unaligned)} of {total} entities start or end inside a token, or go across the cut of a long text, "
            f"and cannot be learned; all are in `unaligned_`: {shown}" + ("; …" if len(unaligned) > 5 else ""),
            stacklevel=3,
        )


def _inputs(model, rows, length):
    return {
        "token_ids": pad([row.token_ids for row in rows], model.tokenizer.pad_id or 0, length),
        "padding_mask": pad([[1] * len(row) for row in rows], 0, length),
    }


def _tag_targets(model, rows, targets, length, scheme):
    """Numbers of the tags `(batch, length)`, `IGNORED` for special tokens and padding."""
    number = {tag: i for i, tag in enumerate(model.labels)}
    out = np.full((len(rows), length), IGNORED, dtype="int32")
    for i, (row, spans) in enumerate(zip(rows, targets, strict=True)):
        tags = tags_for(spans, len(row.offsets), scheme)
        out[i, row.first : row.first + len(tags)] = [number[tag] for tag in tags]
    return out


def _span_targets(model, rows, targets, length):
    """1 for the spans that are there: `(batch, labels, length, length)`."""
    number = {label: i for i, label in enumerate(model.labels)}
    out = np.zeros((len(targets), len(number), length, length), dtype="float32")
    for i, (row, spans) in enumerate(zip(rows, targets, strict=True)):
        for first, last, label in spans:
            out[i, number[label], row.first + first, row.first + last] = 1
    return out


def _found(model, texts):
    """The entities of texts, a list for each."""
    windows, found = windows_of(model, texts), [[] for _ in texts]
    spans_in = _tagged if isinstance(model, SequenceTagger) else _pointed
    for indices, length in length_batches([len(window) for window in windows]):
        rows = [windows[i] for i in indices]
        scores = np.asarray(model.predict_on_batch(_inputs(model, rows, length)), dtype="float32")
        if not np.isfinite(scores).all():
            first = next(row.text for row, x in zip(rows, scores, strict=True) if not np.isfinite(x).all())
            raise NonFiniteOutput(f"The model gave NaN or infinity for `texts[{first}]`: its weights are damaged.")
        for row, spans in zip(rows, spans_in(model, rows, scores), strict=True):
            for first, last, label in spans:
                begin, end = row.offsets[first][0], row.offsets[last][1]
                found[row.text].append(Entity(begin, end, label, texts[row.text][begin:end]))
    return [sorted(row) for row in found]


def _tagged(model, rows, logits):
    counts = pad([[0] * row.first + [1] * len(row.offsets) for row in rows], 0, logits.shape[1]).astype(bool)
    paths = ops.convert_to_numpy(model.decode(logits, counts, penalties(model.labels)))
    for path, row in zip(paths, rows, strict=True):
        yield spans_of([model.labels[i] for i in path[row.first : row.first + len(row.offsets)]])


def _pointed(model, rows, scores):
    for score, row in zip(scores, rows, strict=True):
        here = slice(row.first, row.first + len(row.offsets))
        spans = np.argwhere(score[:, here, here] > 0)
        yield [(first, last, model.labels[kind]) for kind, first, last in spans]


def _scores(model, texts, entities):
    def plain(rows):
        return [[(e.start, e.end, e.label) for e in row] for row in rows]

    return span_scores(plain(entities), plain(_found(model, texts)))
