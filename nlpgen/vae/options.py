"""Whether the arguments of a `TextVAE` can be used, all at once."""

import math
import warnings

import keras
import numpy as np

from nlpgen.errors import InputError, InputWarning
from nlpgen.models import Backbone
from nlpgen.tasks.fine_tuning import check_seed
from nlpgen.text import Tokenizer
from nlpgen.vae.annealing import FreeBits, Schedule, TwoStage
from nlpgen.vae.decoders import DECODERS
from nlpgen.vae.encoders import ENCODERS
from nlpgen.vae.latents import Latent
from nlpgen.vae.latents.sphere import SphericalLatent

OBJECTS = ("tokenizer", "latent", "encoder", "annealing")  # arguments that are no values of JSON
COUNTS = ("embedding_size", "hidden_size", "num_layers", "epochs", "batch_size", "patience")


def annealing_of(vae):
    """The callbacks of `annealing`, as a list."""
    return list(vae.annealing) if isinstance(vae.annealing, list | tuple) else [vae.annealing]


def check_options(vae):
    """Raise `InputError` with all arguments that cannot be used; warn of those that change nothing."""
    check_seed(vae.seed)
    found = [*_problems_of_parts(vae), *_problems_of_numbers(vae)]
    if found:
        raise InputError("The options of TextVAE are wrong:\n  " + "\n  ".join(found) + "\nCorrect them.")
    for text in _without_effect(vae):
        warnings.warn(f"{text}. Leave it out.", InputWarning, stacklevel=3)


def _problems_of_parts(vae):
    if not isinstance(vae.tokenizer, Tokenizer) or vae.tokenizer.eos_id is None:
        yield f"`tokenizer` must be a Tokenizer with a token that ends texts: {vae.tokenizer!r:.60}"
    if vae.latent is not None and not isinstance(vae.latent, Latent):
        yield f"`latent` must be a latent of nlpgen.vae, e.g. VonMisesFisher(32, target_kl=8.0): {vae.latent!r:.40}"
    if isinstance(vae.encoder, Backbone):
        if vae.encoder.tokenizer is not vae.tokenizer:
            yield "`tokenizer` must be that of the pretrained encoder, `encoder.tokenizer`"
    elif not isinstance(vae.encoder, str) or vae.encoder not in ENCODERS:
        yield f"`encoder` must be one of {', '.join(ENCODERS)}, or a pretrained backbone: {vae.encoder!r:.40}"
    if vae.decoder not in DECODERS:
        yield f"`decoder` must be one of {', '.join(DECODERS)}: {vae.decoder!r:.60}"
    elif vae.inject not in DECODERS[vae.decoder].injections:
        known = ", ".join(DECODERS[vae.decoder].injections)
        yield f"`inject` of the decoder {vae.decoder!r} must be one of {known}: {vae.inject!r:.60}"
    callbacks = annealing_of(vae)
    strange = [each for each in callbacks if not isinstance(each, keras.callbacks.Callback)]
    if strange or sum(isinstance(each, Schedule) for each in callbacks) > 1:
        yield f"`annealing` must be callbacks, one schedule at most: {vae.annealing!r:.80}"


def _without_effect(vae):
    if vae.word_dropout and not DECODERS[vae.decoder].reads_tokens:
        yield f"`word_dropout` changes nothing: the decoder {vae.decoder!r} reads no tokens"
    latent = vae.latent
    fixed = latent is None or not latent.kl_in_loss or (isinstance(latent, SphericalLatent) and not latent.learned)
    scales = [each for each in annealing_of(vae) if isinstance(each, Schedule | FreeBits)]
    if fixed and scales and not any(isinstance(each, TwoStage) for each in scales):
        yield "`annealing` changes nothing: the KL of this latent is not trained"


def _problems_of_numbers(vae):
    for name in COUNTS:
        value = getattr(vae, name)
        if not (isinstance(value, int) and value >= 1) and not (name == "patience" and value is None):
            yield f"`{name}` must be a whole number, 1 or more: {value!r}"
    if not isinstance(vae.max_length, int) or vae.max_length < 3:
        yield f"`max_length` must be a whole number, 3 or more: {vae.max_length!r}"
    for name in ("dropout", "word_dropout"):
        if not (is_number(getattr(vae, name)) and 0 <= getattr(vae, name) < 1):
            yield f"`{name}` must be 0 or more and below 1: {getattr(vae, name)!r}"
    for name in ("learning_rate", "clip"):
        if not (is_number(getattr(vae, name)) and 0 < getattr(vae, name) < math.inf):
            yield f"`{name}` must be a number above 0: {getattr(vae, name)!r}"
    if not (is_number(vae.bag_of_words) and vae.bag_of_words >= 0):
        yield f"`bag_of_words` must be 0 or more: {vae.bag_of_words!r}"


def is_number(value):
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def check_count(name, value, least):
    """Raise `InputError` unless it is a whole number that is not below `least`."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(f"`{name}` must be a whole number, {least} or more. Received: {value!r}")
