"""ELECTRA (Clark et al., 2020, https://arxiv.org/abs/2003.10555): a discriminator, and the generator it learnt from.

A TensorFlow release holds both, with one token embedding; Hugging Face has a folder each. The TensorFlow code computes
"gelu" by the tanh formula: pass `hidden_act="gelu_tanh"` for its exact numbers.
"""

from dataclasses import dataclass

import keras

from nlpgen.models.bert import Bert, BertConfig

LAYER, GENERATOR_LAYER = "electra/encoder/layer_{i}", "generator/encoder/layer_{i}"
HF_LAYER = "electra.encoder.layer.{i}"


@dataclass(frozen=True)
class ElectraConfig(BertConfig):
    """The fields of ELECTRA's config; see `BertConfig`."""

    applications = ("encoder",)
    only_ours = tuple(name for name in BertConfig.only_ours if name != "embedding_size")

    def to_hugging_face(self):
        # Where it is missing, Hugging Face takes 128.
        return super().to_hugging_face() | {"embedding_size": self.embedding_size or self.hidden_size}


@keras.saving.register_keras_serializable("nlpgen")
class Electra(Bert):
    """The discriminator: BERT, perhaps with embeddings that are narrower than the model. See `Bert` for the call."""

    config_class = ElectraConfig
    model_type = "electra"
    checkpoint_names = {
        "embeddings.token": "electra/embeddings/word_embeddings",
        "embeddings.segment": "electra/embeddings/token_type_embeddings",
        "embeddings.position": "electra/embeddings/position_embeddings",
        "embeddings.norm": "electra/embeddings/LayerNorm",
        "embedding_projection": "electra/embeddings_project",
        "blocks.{i}.attention.query": f"{LAYER}/attention/self/query",
        "blocks.{i}.attention.key": f"{LAYER}/attention/self/key",
        "blocks.{i}.attention.value": f"{LAYER}/attention/self/value",
        "blocks.{i}.attention.output_projection": f"{LAYER}/attention/output/dense",
        "blocks.{i}.attention_norm": f"{LAYER}/attention/output/LayerNorm",
        "blocks.{i}.up": f"{LAYER}/intermediate/dense",
        "blocks.{i}.down": f"{LAYER}/output/dense",
        "blocks.{i}.ffn_norm": f"{LAYER}/output/LayerNorm",
    }
    hugging_face_names = {"discriminator_predictions/dense_1": "discriminator_predictions.dense_prediction"}
    has = ("electra/encoder/layer_0/attention/self/query/kernel",)
    lacks = ("generator_lm_head/bias",)  # Hugging Face's generator
    others = ("generator/", "generator_predictions/")
    vocabulary_names = ("electra/embeddings/word_embeddings",)
    heads = {
        "replaced_tokens": {
            "dense": "discriminator_predictions/dense",
            "classifier": "discriminator_predictions/dense_1",
        },
    }


@keras.saving.register_keras_serializable("nlpgen")
class ElectraGenerator(Electra):
    """The generator, a small masked language model. See `Bert` for the call.

    A TensorFlow release comes with the config of the discriminator: the generator's widths are then those of its
    tensors, and its heads have 64 features each, as in the code that made it.
    """

    model_type = "electra_generator"
    other_types = ("electra",)
    hugging_face_as = Electra
    checkpoint_names = {
        "embeddings.token": "electra/embeddings/word_embeddings",
        "embeddings.segment": "electra/embeddings/token_type_embeddings",
        "embeddings.position": "electra/embeddings/position_embeddings",
        "embeddings.norm": "electra/embeddings/LayerNorm",
        "embedding_projection": "generator/embeddings_project",
        "blocks.{i}.attention.query": f"{GENERATOR_LAYER}/attention/self/query",
        "blocks.{i}.attention.key": f"{GENERATOR_LAYER}/attention/self/key",
        "blocks.{i}.attention.value": f"{GENERATOR_LAYER}/attention/self/value",
        "blocks.{i}.attention.output_projection": f"{GENERATOR_LAYER}/attention/output/dense",
        "blocks.{i}.attention_norm": f"{GENERATOR_LAYER}/attention/output/LayerNorm",
        "blocks.{i}.up": f"{GENERATOR_LAYER}/intermediate/dense",
        "blocks.{i}.down": f"{GENERATOR_LAYER}/output/dense",
        "blocks.{i}.ffn_norm": f"{GENERATOR_LAYER}/output/LayerNorm",
    }
    hugging_face_names = {
        "generator/embeddings_project": "electra.embeddings_project",
        f"{GENERATOR_LAYER}/attention/self/query": f"{HF_LAYER}.attention.self.query",
        f"{GENERATOR_LAYER}/attention/self/key": f"{HF_LAYER}.attention.self.key",
        f"{GENERATOR_LAYER}/attention/self/value": f"{HF_LAYER}.attention.self.value",
        f"{GENERATOR_LAYER}/attention/output/dense": f"{HF_LAYER}.attention.output.dense",
        f"{GENERATOR_LAYER}/attention/output/LayerNorm": f"{HF_LAYER}.attention.output.LayerNorm",
        f"{GENERATOR_LAYER}/intermediate/dense": f"{HF_LAYER}.intermediate.dense",
        f"{GENERATOR_LAYER}/output/dense": f"{HF_LAYER}.output.dense",
        f"{GENERATOR_LAYER}/output/LayerNorm": f"{HF_LAYER}.output.LayerNorm",
        "generator_predictions/output_bias": "generator_lm_head.bias",
    }
    has = ("generator/encoder/layer_0/attention/self/query/kernel", "generator_predictions/LayerNorm/gamma")
    lacks = ()
    others = ("electra/encoder/", "electra/embeddings_project/", "discriminator_predictions/")
    vocabulary_names = ("electra/embeddings/word_embeddings", "generator_predictions/output_bias")
    heads = {
        "masked_lm": {
            "dense": "generator_predictions/dense",
            "norm": "generator_predictions/LayerNorm",
            "bias": "generator_predictions/output_bias",
        },
    }

    @classmethod
    def config_of(cls, folder):
        config, tensors = super().config_of(folder), folder.tensors
        up, table = f"{GENERATOR_LAYER}/intermediate/dense/kernel".format(i=0), cls.vocabulary_names[0]
        if not all(name in tensors for name in (Electra.has[0], up, table)):
            return config
        discriminator, (size, intermediate_size) = tensors.shape(Electra.has[0])[0], tensors.shape(up)
        if config.hidden_size != discriminator or size == discriminator:
            return config
        return config.replace(
            hidden_size=size,
            intermediate_size=intermediate_size,
            num_attention_heads=max(1, size // 64),
            embedding_size=tensors.shape(table)[1],
        )
