"""GPT (Radford et al., 2018, https://openai.com/research/language-unsupervised), and CDial-GPT, which has its form
(Wang et al., 2020, https://arxiv.org/abs/2008.03946).

Two things to know of CDial-GPT. Its segment ids are tokens, `[speaker1]` and `[speaker2]`. And its PyTorch release has
`[CLS]` at id 0 and `[PAD]` at 1, which its conversion for bert4keras exchanges, in vocabulary and table. Both are read
as they are, since padding is where the vocabulary says. To write the first for bert4keras, whose padding is always 0,
exchange the rows when loading: `keep_tokens=[1, 0, *range(2, 13088)]`.
"""

from dataclasses import dataclass

import keras

from nlpgen.checkpoints import Conv1D
from nlpgen.errors import ConfigError
from nlpgen.layers import TransformerBlock
from nlpgen.models.decoder import Decoder
from nlpgen.models.gpt2 import GPT2Config, new_blocks, new_embeddings

LAYER, HF_LAYER = "gpt/transformer/layer_{i}", "transformer.h.{i}"
# Hugging Face's names of activations for this model, of which "gelu" is the tanh formula.
HF_ACTIVATIONS = {
    "gelu_tanh": "gelu",
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "swish",
}


@dataclass(frozen=True)
class GPTConfig(GPT2Config):
    """The fields of bert4keras' config of GPT; Hugging Face's names are read and written too.

    Args:
        intermediate_size: four times `hidden_size` by default, and always in transformers.
        hidden_act: what the file says, as bert4keras reads it: "gelu" is by the error function, though OpenAI's and
            CDial's models were trained with the tanh formula. In Hugging Face's form "gelu" is that formula.
        type_vocab_size: rows of the segment table; 0 for none.
        shared_segment_embeddings: whether segment ids are rows of the token table, as always in Hugging Face's form;
            there is then no segment table.
        pad_token_id: see `GPT2Config`.
    """

    only = {"tie_word_embeddings": True}
    spellings = {"afn" if theirs == "activation_function" else theirs: o for theirs, o in GPT2Config.spellings.items()}
    type_vocab_size: int = 0

    def problems(self):
        found = super().problems()
        if self.type_vocab_size < 0:
            found.append(f"`type_vocab_size` must be 0 or more. Received: {self.type_vocab_size}")
        return found

    @classmethod
    def translated(cls, values):
        if "n_embd" in values:
            said = values.get("afn", "gelu")
            tanh = {"afn": "gelu_tanh"} if said == "gelu" else {}
            values = {"shared_segment_embeddings": True} | values | tanh
        return super().translated(values)

    def to_hugging_face(self):
        fields = super().to_hugging_face()
        if self.hidden_act not in HF_ACTIVATIONS:
            raise ConfigError(
                f"Hugging Face's GPT has no activation {self.hidden_act!r}, only: {', '.join(HF_ACTIVATIONS)}. Its "
                '"gelu" is the tanh formula: load the model with hidden_act="gelu_tanh" to write it so.'
            )
        return fields | {"afn": HF_ACTIVATIONS[self.hidden_act]}


@keras.saving.register_keras_serializable("nlpgen")
class GPT(Decoder):
    """Token, position and perhaps segment embeddings, then post-norm Transformer blocks. See `Decoder` for the call.

    `inputs` may have `segment_ids` `(batch, length)` too.
    """

    config_class = GPTConfig
    model_type = "openai-gpt"
    hugging_face_class = "OpenAIGPTModel"
    causal_lm_class = "OpenAIGPTLMHeadModel"
    checkpoint_names = {
        "embeddings.token": "gpt/embeddings/word_embeddings",
        "embeddings.segment": "gpt/embeddings/token_type_embeddings",
        "embeddings.position": "gpt/embeddings/position_embeddings",
        "blocks.{i}.attention.query": f"{LAYER}/attention/self/query",
        "blocks.{i}.attention.key": f"{LAYER}/attention/self/key",
        "blocks.{i}.attention.value": f"{LAYER}/attention/self/value",
        "blocks.{i}.attention.output_projection": f"{LAYER}/attention/output/dense",
        "blocks.{i}.attention_norm": f"{LAYER}/attention/output/LayerNorm",
        "blocks.{i}.up": f"{LAYER}/intermediate/dense",
        "blocks.{i}.down": f"{LAYER}/output/dense",
        "blocks.{i}.ffn_norm": f"{LAYER}/output/LayerNorm",
    }
    hugging_face_names = {
        "gpt/embeddings/word_embeddings": "transformer.tokens_embed.weight",
        "gpt/embeddings/position_embeddings": "transformer.positions_embed.weight",
        f"{LAYER}/attention/self/query": Conv1D(f"{HF_LAYER}.attn.c_attn", 0, 3),
        f"{LAYER}/attention/self/key": Conv1D(f"{HF_LAYER}.attn.c_attn", 1, 3),
        f"{LAYER}/attention/self/value": Conv1D(f"{HF_LAYER}.attn.c_attn", 2, 3),
        f"{LAYER}/attention/output/dense": Conv1D(f"{HF_LAYER}.attn.c_proj"),
        f"{LAYER}/attention/output/LayerNorm": f"{HF_LAYER}.ln_1",
        f"{LAYER}/intermediate/dense": Conv1D(f"{HF_LAYER}.mlp.c_fc"),
        f"{LAYER}/output/dense": Conv1D(f"{HF_LAYER}.mlp.c_proj"),
        f"{LAYER}/output/LayerNorm": f"{HF_LAYER}.ln_2",
    }
    has = ("gpt/embeddings/word_embeddings", f"{LAYER.format(i=0)}/attention/output/LayerNorm/gamma")
    lacks = ("gpt/output/LayerNorm/gamma",)
    vocabulary_names = ("gpt/embeddings/word_embeddings",)
    heads = {"causal_lm": {}}

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.embeddings = new_embeddings(self, config.type_vocab_size, norm=False)
        self.blocks = new_blocks(self, TransformerBlock)

    @classmethod
    def config_of(cls, folder):
        """The config of an open folder; without a segment table in the file, segments are tokens."""
        config = super().config_of(folder)
        if config.type_vocab_size and "gpt/embeddings/token_type_embeddings" not in folder.tensors:
            return config.replace(shared_segment_embeddings=True)
        return config
