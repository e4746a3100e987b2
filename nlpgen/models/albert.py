"""ALBERT (Lan et al., 2019, https://arxiv.org/abs/1909.11942).

Google's releases, Hugging Face's, and the first Chinese ones of brightmart/albert_zh, which have a layout of their own.
The TensorFlow code of all computes "gelu" by the tanh formula: pass `hidden_act="gelu_tanh"` for its exact numbers.
"""

import dataclasses
import re
from dataclasses import dataclass

import keras

from nlpgen.checkpoints import BrightmartTensors, RenamedTensors
from nlpgen.errors import ConfigError
from nlpgen.models.bert import Bert, BertConfig

GROUP = "bert/encoder/transformer/group_{i}/inner_group_0"
HF_GROUP = "albert.encoder.albert_layer_groups.{i}.albert_layers.0"


@dataclass(frozen=True)
class AlbertConfig(BertConfig):
    """The fields of `albert_config.json`; see `BertConfig` for the others.

    Args:
        num_hidden_groups: how many blocks have weights of their own; layer i has block `i * groups // layers`. Where a
            file says more groups than layers (`albert_config_tiny_google_fast.json`: 12 and 4), those that serve no
            layer are left away. Passed to `from_pretrained`, a multiple of the checkpoint's loads a model that shares
            less: `num_hidden_layers` groups share nothing (bert4keras' `albert_unshared`).
    """

    only = BertConfig.only | {"inner_group_num": 1}
    only_ours = tuple(name for name in BertConfig.only_ours if name != "embedding_size")
    embedding_size: int = 128
    num_hidden_groups: int = 1

    def problems(self):
        found = super().problems() + self._must_be_positive("num_hidden_groups")
        if not found and self.num_hidden_groups > self.num_hidden_layers:
            found.append(
                "`num_hidden_groups` must be no more than `num_hidden_layers`. "
                f"Received: {self.num_hidden_groups} and {self.num_hidden_layers}"
            )
        return found


@keras.saving.register_keras_serializable("nlpgen")
class Albert(Bert):
    """BERT with embeddings that are narrower than the model, and with blocks that serve several layers.

    See `Bert` for the call. Its `NextSentence` is sentence-order prediction.
    """

    config_class = AlbertConfig
    model_type = "albert"
    numbered_by = "num_hidden_groups"
    next_sentence_class = "{}ForPreTraining"
    checkpoint_names = {
        "embeddings.token": "bert/embeddings/word_embeddings",
        "embeddings.segment": "bert/embeddings/token_type_embeddings",
        "embeddings.position": "bert/embeddings/position_embeddings",
        "embeddings.norm": "bert/embeddings/LayerNorm",
        "embedding_projection": "bert/encoder/embedding_hidden_mapping_in",
        "blocks.{i}.attention.query": f"{GROUP}/attention_1/self/query",
        "blocks.{i}.attention.key": f"{GROUP}/attention_1/self/key",
        "blocks.{i}.attention.value": f"{GROUP}/attention_1/self/value",
        "blocks.{i}.attention.output_projection": f"{GROUP}/attention_1/output/dense",
        "blocks.{i}.attention_norm": f"{GROUP}/LayerNorm",
        "blocks.{i}.up": f"{GROUP}/ffn_1/intermediate/dense",
        "blocks.{i}.down": f"{GROUP}/ffn_1/intermediate/output/dense",
        "blocks.{i}.ffn_norm": f"{GROUP}/LayerNorm_1",
    }
    hugging_face_names = {
        "bert/embeddings/word_embeddings": "albert.embeddings.word_embeddings.weight",
        "bert/embeddings/token_type_embeddings": "albert.embeddings.token_type_embeddings.weight",
        "bert/embeddings/position_embeddings": "albert.embeddings.position_embeddings.weight",
        "bert/embeddings/LayerNorm": "albert.embeddings.LayerNorm",
        "bert/encoder/embedding_hidden_mapping_in": "albert.encoder.embedding_hidden_mapping_in",
        f"{GROUP}/attention_1/self/query": f"{HF_GROUP}.attention.query",
        f"{GROUP}/attention_1/self/key": f"{HF_GROUP}.attention.key",
        f"{GROUP}/attention_1/self/value": f"{HF_GROUP}.attention.value",
        f"{GROUP}/attention_1/output/dense": f"{HF_GROUP}.attention.dense",
        f"{GROUP}/LayerNorm": f"{HF_GROUP}.attention.LayerNorm",
        f"{GROUP}/ffn_1/intermediate/dense": f"{HF_GROUP}.ffn",
        f"{GROUP}/ffn_1/intermediate/output/dense": f"{HF_GROUP}.ffn_output",
        f"{GROUP}/LayerNorm_1": f"{HF_GROUP}.full_layer_layer_norm",
        "bert/pooler/dense": "albert.pooler",
        "cls/predictions/transform/dense": "predictions.dense",
        "cls/predictions/transform/LayerNorm": "predictions.LayerNorm",
        "cls/predictions/output_bias": "predictions.bias",
        "cls/seq_relationship/output_weights": "sop_classifier.classifier.weight",
        "cls/seq_relationship/output_bias": "sop_classifier.classifier.bias",
    }
    has = (f"{GROUP}/attention_1/self/query/kernel".format(i=0),)
    lacks = ()

    @property
    def has_projection(self):
        return True

    @property
    def num_blocks(self):
        return self.config.num_hidden_groups

    @property
    def layer_blocks(self):
        layers, groups = self.config.num_hidden_layers, self.config.num_hidden_groups
        return [self.blocks[i * groups // layers] for i in range(layers)]

    @classmethod
    def opened(cls, folder, changes=None):
        folder = super().opened(folder)
        if BrightmartTensors.are(folder.tensors):
            folder = dataclasses.replace(folder, tensors=BrightmartTensors(folder.tensors))
        if _has_idle_groups(folder.config):
            folder = _regrouped(folder, folder.config["num_hidden_groups"], folder.config["num_hidden_layers"])
        return _less_shared(folder, cls.config_of(folder), changes) if changes else folder

    @classmethod
    def config_of(cls, folder):
        _check_layout(folder)
        if _has_idle_groups(folder.config):
            groups = {"num_hidden_groups": folder.config["num_hidden_layers"]}
            folder = dataclasses.replace(folder, config=folder.config | groups)
        config = super().config_of(folder)
        return config.replace(embedding_size=config.hidden_size) if BrightmartTensors.are(folder.tensors) else config


def _less_shared(folder, config, changes):
    """The folder with each group of its weights seen as several."""
    held, wanted = config.num_hidden_groups, changes.get("num_hidden_groups", config.num_hidden_groups)
    layers = changes.get("num_hidden_layers", config.num_hidden_layers)
    problems = []
    if not isinstance(wanted, int) or wanted < 1 or (wanted % held and wanted != layers):
        problems.append(f"`num_hidden_groups` must be a multiple of the {held} that it has. Received: {wanted!r}")
    if held > 1 and layers != config.num_hidden_layers:
        problems.append(
            f"`num_hidden_layers` must be {config.num_hidden_layers}, of {held} groups. Received: {layers!r}"
        )
    if problems:
        raise ConfigError(f"{folder.path} cannot be loaded so:\n  " + "\n  ".join(problems))
    return folder if wanted == held else _regrouped(folder, held, wanted)


def _has_idle_groups(fields):
    """Whether a config has more groups than layers, so that some serve none."""
    groups, layers = (fields.get(name) for name in ("num_hidden_groups", "num_hidden_layers"))
    return isinstance(groups, int) and isinstance(layers, int) and groups > layers > 0


def _regrouped(folder, held, wanted):
    """The folder with the weights of its `held` groups under the names of `wanted`."""

    def own_name(name):
        return re.sub(r"/group_(\d+)/", lambda found: f"/group_{int(found[1]) * held // wanted}/", name)

    return dataclasses.replace(folder, tensors=RenamedTensors(folder.tensors, own_name))


def _check_layout(folder):
    """Refuse the layouts of brightmart/albert_zh that look like others but compute something else.

    Raises:
        ConfigError: with the reason.
    """
    kernel = f"{GROUP}/ffn_1/intermediate/dense/kernel".format(i=0)
    if folder.config.get("ln_type", "postln") != "postln":
        reason = f"`ln_type` {folder.config['ln_type']!r} in {folder.config_path}: its norms stand before each part"
    elif kernel in folder.tensors and len(folder.tensors.shape(kernel)) != 2:
        reason = f"`{kernel}` has {len(folder.tensors.shape(kernel))} axes: its feed-forward layers are split in groups"
    else:
        return
    raise ConfigError(
        f"{folder.path} is an ALBERT of brightmart/albert_zh that nlpgen does not build ({reason}). "
        "Take the release of the same size in Google's layout (albert_*_zh_google)."
    )
