"""From models over one backbone to a folder."""

import numpy as np

from nlpgen.checkpoints import count_not_finite, dump_weights, save_folder
from nlpgen.errors import InputError
from nlpgen.models.loading import backbone_of
from nlpgen.version import __version__


def save_models(folder, models, format="nlpgen", dtype=None, max_shard_size=None):
    """Write models that share a backbone into one folder; see `PretrainedModel.save_pretrained`."""
    model, backbone, tokenizer = models[0], backbone_of(models[0]), models[0].tokenizer
    if format == "tensorflow" and not backbone.tensorflow_form:
        raise InputError(
            f"{type(backbone).__name__} has no TensorFlow form: there is no such checkpoint and no reader of one. "
            "Use format='huggingface' or 'nlpgen'."
        )
    strange = [each.name for each in models if backbone_of(each) is not backbone]
    if strange:
        raise InputError(
            f"One folder holds one backbone, but {', '.join(strange)} has another than {model.name}. Make the models "
            "over one: `NextSentence(model.backbone)`, or `from_pretrained(folder, backbone=model.backbone)`."
        )
    if dtype not in (None, "float32", "float16", "bfloat16"):
        raise InputError(f"`dtype` must be 'float32', 'float16' or 'bfloat16'. Received: {dtype!r}")
    for each in models:
        each.check_format(format)
        if not each.built:
            each.build()
    tensors = {name: tensor for each in models for name, tensor in dump_weights(each).items()}
    if dtype is not None and format != "tensorflow":  # which is always float32
        tensors = {name: _cast(name, tensor, dtype) for name, tensor in tensors.items()}
    kinds = {each.hugging_face_class for each in models}
    kind = "{}ForPreTraining" if len(kinds) > 2 else model.hugging_face_class
    architecture, fields = type(backbone), backbone.config.to_dict()
    if format == "huggingface":
        architecture, fields = backbone.hugging_face_as or architecture, backbone.config.to_hugging_face()
    config = {
        "model_type": architecture.model_type,
        "architectures": [kind.format(architecture.__name__)],
        **{name: value for name, value in fields.items() if value is not None or name == "pad_token_id"},
        **{name: value for each in models for name, value in each.head_config().items()},
    }
    about = {"nlpgen_version": __version__, "architecture": backbone.model_type}
    save_folder(
        folder,
        config,
        tensors,
        format,
        tokenizer and tokenizer.files(),
        about,
        backbone.hugging_face_names,
        max_shard_size,
    )


def _cast(name, tensor, dtype):
    with np.errstate(over="ignore"):
        cast = tensor.astype(dtype)
    if count_not_finite(cast) > count_not_finite(tensor):
        raise InputError(
            f"`{name}` has values up to {np.abs(tensor).max():.3g}, too large for {dtype}. Use 'bfloat16'."
        )
    return cast
