"""A trained TextVAE as a folder: `vae.json`, `vae.safetensors` and the tokenizer's files."""

import re
from pathlib import Path

import numpy as np
from keras.saving import get_registered_name, get_registered_object

from nlpgen.checkpoints import catalog
from nlpgen.checkpoints.files import (
    check_replaceable,
    existing_folder,
    read_json,
    replaced_folder,
    sha256,
    write_json,
)
from nlpgen.checkpoints.safetensors import SafetensorsFile, write_safetensors
from nlpgen.errors import (
    CheckpointCorrupt,
    CheckpointNotFound,
    ConfigError,
    InputError,
    NlpgenError,
    WeightsMismatch,
)
from nlpgen.models import ARCHITECTURES
from nlpgen.text import read_tokenizer
from nlpgen.vae.annealing import ANNEALING, described
from nlpgen.vae.options import OBJECTS, annealing_of
from nlpgen.vae.priors import PRIORS
from nlpgen.version import __version__

ABOUT, WEIGHTS = catalog.TEXT_VAE, "vae.safetensors"
OURS = re.compile(r"vae\.json|vae\.safetensors|README\.md|vocab\.txt|tokenizer.*\.json|[\w-]+\.model")
FORMAT_VERSION = 1


def check_folder(folder):
    """Raise `OutputError` if `save_vae` may not write there."""
    check_replaceable(folder, _is_ours)


def save_vae(vae, folder, dtype="float32"):
    """Write a fitted `TextVAE`; see `TextVAE.save`."""
    if dtype not in ("float32", "float16"):
        raise InputError(f"`dtype` must be 'float32' or 'float16'. Received: {dtype!r}")
    model, latent = vae.model_, get_registered_name(type(vae.model_.latent))
    if get_registered_object(latent) is None:
        raise InputError(f"{latent} cannot be saved. Decorate it with `keras.saving.register_keras_serializable()`.")
    tensors = {name: _cast(name, weight, dtype) for name, weight in _named(model).items()}
    tensors |= {f"prior.{name}": np.asarray(x, "float32") for name, x in vae.prior_.to_arrays().items()}
    params = {name: value for name, value in vae.get_params().items() if name not in OBJECTS}
    about = {
        "format_version": FORMAT_VERSION,
        "nlpgen_version": __version__,
        "params": params,
        "encoder": vae.encoder if isinstance(vae.encoder, str) else _backbone_config(model.encoder.backbone),
        "latent": {"class": latent, "config": model.latent.get_config()},
        "annealing": [described(each) for each in annealing_of(vae) if type(each) in ANNEALING.values()],
        "prior": {"kind": _kind(vae.prior_), "options": vae.prior_.options()},
        "longest": vae.longest_,
        "history": vae.history_,
    }
    needs = sum(tensor.nbytes for tensor in tensors.values())
    with replaced_folder(folder, _is_ours, needs) as work:
        for name, content in vae.tokenizer.files().items():
            (work / name).write_bytes(content)
        write_safetensors(work / WEIGHTS, tensors)
        write_json(work / ABOUT, about | {"sha256": sha256(work / WEIGHTS)})


def load_vae(cls, name_or_folder):
    """Read a `TextVAE`; see `TextVAE.load`."""
    folder = _find(name_or_folder)
    about = read_json(folder / ABOUT)
    if about.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            f"{folder / ABOUT} has format version {about.get('format_version')!r}, this nlpgen reads {FORMAT_VERSION}. "
            "Install the nlpgen that wrote it, or train anew."
        )
    if not (folder / WEIGHTS).is_file() or sha256(folder / WEIGHTS) != about.get("sha256"):
        raise CheckpointCorrupt(f"{folder / WEIGHTS} is not what {ABOUT} says was saved. Take the folder again.")
    tokenizer = read_tokenizer(folder)
    if tokenizer is None:
        raise CheckpointNotFound(f"{folder} has no vocabulary. Take the whole folder again.")
    tensors = SafetensorsFile(folder / WEIGHTS)
    arrays = {name.removeprefix("prior."): tensors[name] for name in tensors if name.startswith("prior.")}
    try:
        vae = _untrained(cls, about, tokenizer)
        vae.prior_.from_arrays(arrays)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = str(error) if isinstance(error, NlpgenError) else repr(error)
        raise ConfigError(f"{folder / ABOUT} is not as TextVAE.save writes it: {what:.300}. Take it again.") from error
    _load_weights(vae.model_, tensors, folder)
    return vae


def _untrained(cls, about, tokenizer):
    """The `TextVAE` that `vae.json` speaks of, with its model and prior, before their weights are read."""
    encoder, name = about["encoder"], about["latent"]["class"]
    if not isinstance(encoder, str):
        architecture = ARCHITECTURES[encoder["model_type"]]
        encoder = architecture(architecture.config_class.from_dict(encoder["config"]))
        encoder.tokenizer = tokenizer
    latent = get_registered_object(name)
    if latent is None:
        raise ConfigError(f"no latent is registered as {name!r}; import the module of its class first")
    annealing = [ANNEALING[callback](**options) for callback, options in about["annealing"]]
    vae = cls(
        tokenizer,
        latent=latent.from_config(about["latent"]["config"]),
        encoder=encoder,
        annealing=annealing,
        **about["params"],
    )
    vae.longest_, vae.history_, vae._methods = about["longest"], [dict(each) for each in about["history"]], {}
    vae.model_ = vae.new_model(vae.longest_)
    vae.prior_ = PRIORS[about["prior"]["kind"]](vae.model_.latent, **about["prior"]["options"])
    return vae


def _is_ours(name):
    return OURS.fullmatch(name) is not None


def _find(name_or_folder):
    folder = existing_folder(Path(name_or_folder).expanduser())
    if (folder / ABOUT).is_file():
        return folder
    named = catalog.find(str(name_or_folder), ABOUT)
    if named is None:
        raise CheckpointNotFound(
            f"There is no {folder / ABOUT}. Give a folder that TextVAE.save wrote, or one of the embedded models: "
            f"{', '.join(catalog.names(ABOUT)) or 'none'}."
        )
    return named


def _named(model):
    """`{name: array}` of the weights, numbered, since layers of Keras are named by a count of the process."""
    return {f"{i:03}.{weight.name}": np.array(weight.numpy()) for i, weight in enumerate(model.weights)}


def _load_weights(model, tensors, folder):
    wanted = {name: array.shape for name, array in _named(model).items()}
    found = {name: tensors.shape(name) for name in tensors if not name.startswith("prior.")}
    differ = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differ:
        raise WeightsMismatch(
            f"{folder / WEIGHTS} does not fit {ABOUT}:\n  "
            + "\n  ".join(f"{name}: expected {wanted.get(name)}, found {found.get(name)}" for name in differ[:10])
            + "\nTake the folder again."
        )
    model.set_weights([np.asarray(tensors[name], "float32") for name in wanted])


def _cast(name, weight, dtype):
    """Kernels and tables in the type; what else there is, variances for one, in float32."""
    if dtype == "float32" or weight.ndim < 2:
        return weight.astype("float32")
    if np.abs(weight).max() > 6e4:
        raise InputError(f"`{name}` has values up to {np.abs(weight).max():.3g}, too large for float16. Use 'float32'.")
    return weight.astype(dtype)


def _backbone_config(backbone):
    return {"model_type": backbone.model_type, "config": backbone.config.to_dict()}


def _kind(prior):
    return next(kind for kind, cls in PRIORS.items() if type(prior) is cls)
