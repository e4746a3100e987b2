"""What is wrong with the arguments of a prompt classifier, all of it at once."""

import math
import warnings

from nlpgen.errors import InputError, InputWarning
from nlpgen.layers import PROMPT_ENCODERS
from nlpgen.models import CausalLM, MaskedLM
from nlpgen.prompts.calibration import CALIBRATIONS
from nlpgen.prompts.training import check_unlabeled_batch_size
from nlpgen.prompts.verbalizer import Candidates
from nlpgen.tasks import check_seed
from nlpgen.tasks.fine_tuning import check_options

ENSEMBLES = ("accuracy", "mean")
TRAINABLE = ("prompt", "prompt+head", "all")
HEADS = ("verbalizer", "classifier")
NO_PRIOR = "`calibration='unlabeled'` needs fixed labels, and `Candidates` are others in each input. Use 'context'."
NO_BLANK = "labels of `Candidates` cannot be learned with normalization='pmi', whose constants are of fixed words"


def check_pet(pet, asked, n, pool, is_scored):
    """Raise `InputError` unless a `PETClassifier` can be fitted; warn where it has no use for unlabelled texts.

    Args:
        pet: it.
        asked: its `Question`.
        n: number of labelled texts.
        pool: the unlabelled texts, or `None`.
        is_scored: whether there is validation data.
    """
    check_masked_lm(pet.mlm)
    check_seed(pet.seed)
    problems, learns = calibration_problems(pet.calibration, asked), n or (pool is not None and pet.mlm_weight)
    if not learns and pool is not None and (pet.generations or pet.distill):
        problems.append("without labels only the auxiliary loss is learned from: `mlm_weight` must be above 0")
    if not n and pet.label_conditioning and not pet.generations and pool is not None:
        problems.append("`label_conditioning` needs labelled texts")
    if n and asked.by_input and pet.normalization == "pmi":
        problems.append(NO_BLANK)
    problems += _not_among("ensemble", pet.ensemble, ENSEMBLES)
    if not isinstance(pet.repetitions, int) or pet.repetitions < 1:
        problems.append(f"`repetitions` must be a whole number, 1 or more. Received: {pet.repetitions!r}")
    if not isinstance(pet.generations, int) or pet.generations < 0:
        problems.append(f"`generations` must be a whole number, 0 or more. Received: {pet.generations!r}")
    elif (pet.generations or pet.distill) and pool is None:
        problems.append("`generations` and `distill` need `unlabeled`")
    if pet.distill and (len(asked.fields) > 2 or asked.by_input):
        problems.append("`distill` needs fixed labels and inputs of at most two fields")
    if pet.label_conditioning and asked.by_input:
        problems.append("`label_conditioning` needs fixed labels, and `Candidates` are others in each input")
    if pet.distill_epochs is not None and (type(pet.distill_epochs) is not int or pet.distill_epochs < 1):
        problems.append(
            f"`distill_epochs` must be a whole number, 1 or more, or None. Received: {pet.distill_epochs!r}"
        )
    refuse("PETClassifier cannot be used like this", problems)
    if learns:
        check_options(pet.epochs, pet.batch_size, pet.learning_rate, pet.patience, is_scored)
        check_unlabeled_batch_size(pet.unlabeled_batch_size)
    used = pet.mlm_weight or pet.generations or pet.distill or pet.calibration == "unlabeled"
    if pool is not None and not used:
        warnings.warn(
            "`unlabeled` is not used: of `mlm_weight`, `generations`, `distill` and calibration='unlabeled' none "
            "is set.",
            InputWarning,
            stacklevel=3,
        )


def check_calibration(calibration, asked):
    """Raise `InputError` unless a `PETClassifier` can be calibrated so."""
    refuse("PETClassifier cannot be used like this", calibration_problems(calibration, asked))


def calibration_problems(calibration, asked):
    """What is wrong with a calibration: a list of at most one string."""
    found = _not_among("calibration", calibration, CALIBRATIONS)
    return found or ([NO_PRIOR] if calibration == "unlabeled" and asked.by_input else [])


def check_masked_lm(mlm):
    """Raise `InputError` unless it is the model of a `PETClassifier`."""
    if mlm is None:
        raise InputError(
            "The untrained model is needed, and this classifier was loaded without it: give it to `load` as "
            "`backbone`, or by set_params(mlm=...)."
        )
    if not isinstance(mlm, MaskedLM):
        raise InputError(
            "`mlm` must be a MaskedLM, e.g. MaskedLM.from_pretrained('bert-tiny-zh'); a CausalLM is for "
            f"PTuningClassifier. Received: {mlm!r:.80}"
        )


def check_p_tuning(classifier, pattern, is_scored):
    """Raise `InputError` unless a `PTuningClassifier` with a pattern can be fitted; `is_scored` is whether there is
    validation data."""
    lm, prefix_length = classifier.lm, classifier.prefix_length
    if lm is None:
        raise InputError(
            "The untrained model is needed, and this classifier was loaded without it: give it to `load` as "
            "`backbone`, or by set_params(lm=...)."
        )
    check_seed(classifier.seed)
    problems = []
    for name, known in {"trainable": TRAINABLE, "prompt_encoder": PROMPT_ENCODERS, "head": HEADS}.items():
        problems += _not_among(name, getattr(classifier, name), known)
    if not isinstance(lm, MaskedLM | CausalLM):
        problems.append(f"`lm` must be a MaskedLM or a CausalLM. Received: {lm!r:.80}")
    elif prefix_length and hasattr(lm.backbone, "relative"):
        problems.append(
            f"{type(lm.backbone).__name__} has relative positions, so that no prefix can stand before: "
            "`prefix_length` must be 0"
        )
    for name in ("prompt_hidden_size", "prefix_hidden_size"):
        size = getattr(classifier, name)
        if size is not None and (type(size) is not int or size < 1):
            problems.append(f"`{name}` must be a whole number, 1 or more, or None. Received: {size!r}")
    if not isinstance(classifier.lm_dropout, bool | None):
        problems.append(f"`lm_dropout` must be True, False or None. Received: {classifier.lm_dropout!r}")
    if not isinstance(classifier.init, str | None) or (classifier.init is not None and not classifier.init.strip()):
        problems.append(f"`init` must be a text, or None. Received: {classifier.init!r}")
    if not isinstance(prefix_length, int) or prefix_length < 0:
        problems.append(f"`prefix_length` must be a whole number, 0 or more. Received: {prefix_length!r}")
    elif not pattern.num_virtual and not prefix_length and classifier.trainable == "prompt":
        problems.append(
            f"nothing would be trained: the pattern {pattern.template!r} has no virtual tokens such as [P*4], and "
            "`prefix_length` is 0"
        )
    if classifier.head == "verbalizer" and classifier.verbalizer is None:
        problems.append("`verbalizer` is missing: `{label: word}`, or head='classifier'")
    if isinstance(classifier.verbalizer, Candidates) and classifier.normalization == "pmi":
        problems.append(NO_BLANK)
    for name in ("head_learning_rate", "lm_learning_rate"):
        value = getattr(classifier, name)
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            problems.append(f"`{name}` must be a number above 0. Received: {value!r}")
    refuse("PTuningClassifier cannot be fitted like this", problems)
    check_options(classifier.epochs, classifier.batch_size, classifier.learning_rate, classifier.patience, is_scored)
    check_unlabeled_batch_size(classifier.unlabeled_batch_size)


def refuse(what, problems):
    """Raise `InputError` with problems, if there are any."""
    if problems:
        raise InputError(f"{what}:\n  " + "\n  ".join(problems))


def _not_among(name, value, known):
    if value in known:
        return []
    return [f"`{name}` must be one of {', '.join(map(repr, known))}. Received: {value!r}"]
