from nlpgen.training.devices import share_batches
from nlpgen.training.optimizers import adamw
from nlpgen.training.pretraining import Run, pretrain
from nlpgen.training.schedules import WarmupStableDecay
from nlpgen.training.state import check_settings, has_state, load_state, read_record, save_state
from nlpgen.training.warm_start import sinusoids, token_embeddings, warm_embeddings

__all__ = [
    "Run",
    "WarmupStableDecay",
    "adamw",
    "check_settings",
    "has_state",
    "load_state",
    "pretrain",
    "read_record",
    "save_state",
    "share_batches",
    "sinusoids",
    "token_embeddings",
    "warm_embeddings",
]
