"""GPT-2 (Radford et al., 2019, https://openai.com/research/better-language-models), and CPM-LM, which has its form."""

from dataclasses import dataclass

import keras

from nlpgen.checkpoints import Conv1D
from nlpgen.layers import InputEmbeddings, PreNormBlock, make_norm
from nlpgen.models.config import Config
from nlpgen.models.decoder import Decoder

LAYER, HF_LAYER = "gpt/transformer/layer_{i}", "transformer.h.{i}"


@dataclass(frozen=True)
class GPT2Config(Config):
    """The fields of bert4keras' config of GPT-2; Hugging Face's names are read and written too.

    Args:
        intermediate_size: four times `hidden_size` by default.
        shared_segment_embeddings: whether `segment_ids` are read, as rows of the token table, which transformers does
            wherever it is given `token_type_ids`. CDial's GPT2_LCCC, whose speakers are segments, was trained so; to
            most models the segments of a tokenizer's batch would do harm.
        pad_token_id: the id that is padding; `None` if there is none, as where Hugging Face's config does not say.
    """

    only = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "tie_word_embeddings": True}
    spellings = {
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
        "n_positions": "max_position_embeddings",
        "activation_function": "hidden_act",
        "layer_norm_epsilon": "layer_norm_eps",
        "resid_pdrop": "hidden_dropout_prob",
        "attn_pdrop": "attention_probs_dropout_prob",
    }
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int | None = None
    hidden_act: str = "gelu_new"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 1024
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-5
    pad_token_id: int | None = 0
    shared_segment_embeddings: bool = False

    @classmethod
    def translated(cls, values):
        """Where Hugging Face's config names no padding there is none; the other has it at 0."""
        return super().translated(({"pad_token_id": None} if "n_embd" in values else {}) | values)

    def problems(self):
        found = self._must_be_positive("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
        found += self._must_be_positive("max_position_embeddings")
        found += [] if self.intermediate_size is None else self._must_be_positive("intermediate_size")
        found += self._must_be_rate("hidden_dropout_prob", "attention_probs_dropout_prob")
        found += self._must_be_activation("hidden_act")
        found += self._must_be_above_zero("layer_norm_eps", "initializer_range")
        return found or self._must_divide("num_attention_heads", "hidden_size")


@keras.saving.register_keras_serializable("nlpgen")
class GPT2(Decoder):
    """Token and position embeddings, pre-norm Transformer blocks, and a norm. See `Decoder` for the call."""

    config_class = GPT2Config
    model_type = "gpt2"
    causal_lm_class = "{}LMHeadModel"
    checkpoint_names = {
        "embeddings.token": "gpt/embeddings/word_embeddings",
        "embeddings.position": "gpt/embeddings/position_embeddings",
        "blocks.{i}.attention_norm": f"{LAYER}/attention/input/LayerNorm",
        "blocks.{i}.attention.query": f"{LAYER}/attention/self/query",
        "blocks.{i}.attention.key": f"{LAYER}/attention/self/key",
        "blocks.{i}.attention.value": f"{LAYER}/attention/self/value",
        "blocks.{i}.attention.output_projection": f"{LAYER}/attention/output/dense",
        "blocks.{i}.ffn_norm": f"{LAYER}/input/LayerNorm",
        "blocks.{i}.up": f"{LAYER}/intermediate/dense",
        "blocks.{i}.down": f"{LAYER}/output/dense",
        "final_norm": "gpt/output/LayerNorm",
    }
    hugging_face_names = {
        "gpt/embeddings/word_embeddings": "transformer.wte.weight",
        "gpt/embeddings/position_embeddings": "transformer.wpe.weight",
        f"{LAYER}/attention/input/LayerNorm": f"{HF_LAYER}.ln_1",
        f"{LAYER}/attention/self/query": Conv1D(f"{HF_LAYER}.attn.c_attn", 0, 3),
        f"{LAYER}/attention/self/key": Conv1D(f"{HF_LAYER}.attn.c_attn", 1, 3),
        f"{LAYER}/attention/self/value": Conv1D(f"{HF_LAYER}.attn.c_attn", 2, 3),
        f"{LAYER}/attention/output/dense": Conv1D(f"{HF_LAYER}.attn.c_proj"),
        f"{LAYER}/input/LayerNorm": f"{HF_LAYER}.ln_2",
        f"{LAYER}/intermediate/dense": Conv1D(f"{HF_LAYER}.mlp.c_fc"),
        f"{LAYER}/output/dense": Conv1D(f"{HF_LAYER}.mlp.c_proj"),
        "gpt/output/LayerNorm": "transformer.ln_f",
    }
    has = ("gpt/output/LayerNorm/gamma", "gpt/embeddings/word_embeddings")
    vocabulary_names = ("gpt/embeddings/word_embeddings",)
    heads = {"causal_lm": {}}

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.embeddings = new_embeddings(self, norm=False)
        self.blocks = new_blocks(self, PreNormBlock)
        self.final_norm = make_norm(name="final_norm", dtype=self.dtype_policy, **self.norm_options)


def new_embeddings(model, num_segments=0, **options):
    """The embeddings that the config of a GPT describes, with further options of `InputEmbeddings`."""
    c = model.config
    return InputEmbeddings(
        c.vocab_size,
        num_segments,
        c.max_position_embeddings,
        c.hidden_size,
        dropout=c.hidden_dropout_prob,
        initializer_range=c.initializer_range,
        shared_segments=c.shared_segment_embeddings,
        dtype=model.dtype_policy,
        name="embeddings",
        **options,
    )


def new_blocks(model, block_class):
    """The blocks that the config of a GPT describes."""
    c = model.config
    return [
        block_class(
            c.hidden_size,
            c.num_attention_heads,
            c.intermediate_size or 4 * c.hidden_size,
            activation=c.hidden_act,
            dropout=c.hidden_dropout_prob,
            attention_dropout=c.attention_probs_dropout_prob,
            initializer_range=c.initializer_range,
            norm=model.norm_options,
            dtype=model.dtype_policy,
            name=f"block_{i}",
        )
        for i in range(c.num_hidden_layers)
    ]
