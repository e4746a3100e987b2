"""One small model of every architecture and head, for what all of them must do."""

from functools import partial
from itertools import product

import numpy as np

from nlpgen import ARCHITECTURES, SequenceClassifier, SequenceTagger, SpanTagger
from nlpgen.models.decoder import Decoder
from nlpgen.models.inspect import HEADS
from tests.helpers import IDS, SEGMENTS, SMALL, TARGET_IDS, random_weights

EXTRA = {
    "albert": {"embedding_size": 8},
    "electra": {"embedding_size": 8},
    "electra_generator": {"embedding_size": 8},
    "ernie": {"use_task_id": True},
    "llama": {"num_key_value_heads": 2},
    "openai-gpt": {"intermediate_size": 64},
    "mt5": {"hidden_act": ["gelu_tanh", "linear"], "tie_word_embeddings": False},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
}
LABELS = ["财经", "体育", "科技"]
WITH_LABELS = {
    "classifier": partial(SequenceClassifier, labels=LABELS),
    "tagger": partial(SequenceTagger, labels=LABELS),
    "span_tagger": partial(SpanTagger, labels=LABELS, head_size=8),
}
# `(architecture, head)` of all; a model with that head is what a test gets.
NAMES = [(name, head) for name, cls in ARCHITECTURES.items() for head in cls.heads]
MAIN = [(name, next(iter(cls.heads))) for name, cls in ARCHITECTURES.items()]
WITH_EVERY_HEAD = [*NAMES, *product(ARCHITECTURES, WITH_LABELS)]
OF_BERT = [("bert", head) for head in (*ARCHITECTURES["bert"].heads, *WITH_LABELS)]


def small_model(name, head, dtype=None, seed=0, **changes):
    """A built model with weights that are not small; of T5, heads with labels read the encoder."""
    cls = ARCHITECTURES[name]
    if head in WITH_LABELS:
        cls = getattr(cls, "encoder_class", cls)
    config = cls.config_class.from_dict(SMALL | {"vocab_size": 60} | EXTRA.get(name, {}) | changes)
    pooling = {"pooling": "mean"} if head == "classifier" and issubclass(cls, Decoder) else {}
    model = (HEADS | WITH_LABELS)[head](cls(config, dtype=dtype), **pooling)
    model.build()
    return random_weights(model, seed)


def inputs_of(model, rows=2, length=7):
    """Inputs with padding for any of them; other `rows` are repetitions, a shorter `length` their beginning."""
    x = {"token_ids": IDS, "segment_ids": SEGMENTS, "decoder_token_ids": TARGET_IDS[:, :5]}
    return {name: np.concatenate([x[name]] * rows)[:rows, :length] for name in model.export_inputs}
