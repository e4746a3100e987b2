"""What nlpgen raises about a user's files, settings and texts.

Every class is also the built-in exception that fits, so `except ValueError` works. A message says what is wrong,
where, what was expected against what came, and what to do.
"""


class NlpgenError(Exception):
    """Base of all errors of this package."""


class CheckpointNotFound(NlpgenError, FileNotFoundError):
    """There is no model at the given place."""


class CheckpointCorrupt(NlpgenError, ValueError):
    """A file of a model is cut, changed, or not what its name says."""


class UnsafeFormat(NlpgenError, ValueError):
    """A file can run code when it is read (a pickle)."""


class WeightsMismatch(NlpgenError, ValueError):
    """The tensors of a checkpoint are not those of the model."""


class NonFiniteWeights(NlpgenError, ValueError):
    """A checkpoint holds NaN or infinity."""


class NonFiniteOutput(NlpgenError, ValueError):
    """A model gave NaN or infinity instead of an answer."""


class ConfigError(NlpgenError, ValueError):
    """A `config.json` that cannot be read, or a field that is missing or wrong."""


class VocabularyError(NlpgenError, ValueError):
    """A vocabulary that cannot be read, or does not fit the model."""


class InputError(NlpgenError, ValueError):
    """A text, label or option that cannot be used."""


class OutputError(NlpgenError, OSError):
    """A result cannot be written where it was asked for."""


class TrainingDiverged(NlpgenError, ArithmeticError):
    """The loss of a training run is NaN or infinite."""


class RunFailed(NlpgenError, RuntimeError):
    """A run of a comparison failed; `finished` holds the runs before it."""

    def __init__(self, message, finished=()):
        super().__init__(message)
        self.finished = list(finished)


class CheckpointWarning(UserWarning):
    """Something in a checkpoint that a user should know, but that does not stop."""


class InputWarning(UserWarning):
    """Something in texts or labels that a user should know, but that does not stop."""


class CollapseWarning(UserWarning):
    """The decoder of an auto-encoder makes no use of the latent."""


def with_article(name):
    """The name of a class in a sentence: "a Bert", "an Albert", "an MT5", "an MLMReader"."""
    return f"{'an' if name[0] in 'AEIO' or name.startswith(('MT', 'ML')) else 'a'} {name}"
