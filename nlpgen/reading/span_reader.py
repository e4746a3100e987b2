"""Reading comprehension with pointers to the first and the last token (Devlin et al., 2019, section 4.2)."""

import numpy as np

from nlpgen.errors import ConfigError, WeightsMismatch
from nlpgen.models.loading import backbone_of
from nlpgen.reading.models import PointerModel
from nlpgen.reading.reader import Reader
from nlpgen.reading.scoring import PointerLoss
from nlpgen.tasks.fine_tuning import copy_of_backbone, start
from nlpgen.text import bucket, pad


class SpanReader(Reader):
    """Finds the answer to a question in passages: a dense layer scores each token as its first and as its last.

    The model reads `[CLS] question [SEP] passage [SEP]`; `[CLS]` as first and last token is no answer. It is used as
    `MLMReader` is, whose arguments it has but those of the slots.

    Args:
        model: the pretrained model: a `Backbone`, or a model on one such as a `MaskedLM`. It stays as it is: each `fit`
            trains a copy.
        answer_length: most tokens of an answer.
        dropout: rate before the dense layer.
        with_commas: whether spaces, 、 ； and ， are read as commas, as `MLMReader` reads them; `load` does not with a
            model of Hugging Face's.
        question_length, passage_length, stride, vote, negative_rate, negatives, threshold, epochs, batch_size,
            learning_rate, weight_decay, patience, seed, verbose: see `MLMReader`.

    Attributes:
        model_: the trained `PointerModel`; the others as of `MLMReader`.
    """

    model_class = PointerModel

    def __init__(
        self,
        model,
        answer_length=64,
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
        dropout=0.1,
        with_commas=True,
        patience=None,
        seed=0,
        verbose=False,
    ):
        self.model = model
        self.answer_length = answer_length
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
        self.dropout = dropout
        self.with_commas = with_commas
        self.patience = patience
        self.seed = seed
        self.verbose = verbose

    @classmethod
    def load(cls, folder_or_name, **options):
        """Read what `save` wrote, or a `…ForQuestionAnswering` of Hugging Face, with default settings.

        The arguments and errors are those of `MLMReader.load`.
        """
        try:
            return super().load(folder_or_name, **options)
        except ConfigError as error:
            try:
                model = PointerModel.from_pretrained(folder_or_name)
            except WeightsMismatch:  # of another reader
                raise error from None
            if model.reader is not None:
                raise
        reader = cls(model, with_commas=False).set_params(**options)
        reader.model_ = model
        return reader

    @classmethod
    def _model_argument(cls):
        return "model"

    def _new_model(self):
        model = PointerModel(copy_of_backbone(self.model), self.dropout)
        model.build()
        start(model, self.model, self.seed)
        return model

    def _none_at(self, before):
        return 0  # [CLS]

    def _longest(self):
        return self.answer_length

    def _inputs(self, model, rows, length):
        inputs = super()._inputs(model, rows, length)
        if "segment_ids" in backbone_of(model).input_names:
            before = np.array([len(row.question) + 2 for row in rows])[:, None]
            inputs["segment_ids"] = (np.arange(length) >= before).astype("int32") * inputs["padding_mask"]
        return inputs

    def _targets(self, model, rows, inputs, generator):
        """A batch of the training: inputs, `(rows, 2, g)` targets, no weights."""
        gold = [[[1 + span[i] for span in row.spans] or [0] for i in (0, 1)] for row in rows]
        widest = bucket(max(len(side) for row in gold for side in row))
        return inputs, np.stack([pad(row, -1, widest) for row in gold]), None

    def _loss(self):
        return PointerLoss()
