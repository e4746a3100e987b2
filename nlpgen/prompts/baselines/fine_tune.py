"""Plain fine-tuning, as a baseline of prompt learning."""

from nlpgen.tasks import TextClassifier


class FineTuneClassifier(TextClassifier):
    """A new dense layer on the model, and all weights trained: a `TextClassifier` with options for few labels.

    Its 20 epochs are the advice of Mosbach et al. (2021, https://arxiv.org/abs/2006.04884): three, as for thousands of
    texts, are too few steps. The arguments are those of `TextClassifier`.
    """

    def __init__(
        self,
        model,
        pooling="cls",
        max_length=128,
        epochs=20,
        batch_size=16,
        learning_rate=5e-5,
        weight_decay=0.01,
        dropout=0.1,
        class_weight=None,
        patience=None,
        seed=0,
        verbose=False,
    ):
        super().__init__(
            model,
            pooling=pooling,
            max_length=max_length,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            dropout=dropout,
            class_weight=class_weight,
            patience=patience,
            seed=seed,
            verbose=verbose,
        )

    def fit(self, texts, labels, unlabeled=None, validation_data=None):
        """Train on labelled texts, from the pretrained model, whatever was learned before.

        Args:
            texts, labels, validation_data: see `TextClassifier.fit`.
            unlabeled: has no use here.
        """
        return super().fit(texts, labels, validation_data)
