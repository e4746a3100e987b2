from nlpgen.training.devices import share_batches
from nlpgen.training.optimizers import BertAdam, adamw
from nlpgen.training.pretraining import Run, pretrain
from nlpgen.training.schedules import PiecewiseLinear, WarmupStableDecay
from nlpgen.training.state import KeptRun, check_settings, has_state, load_state, read_record, save_state
from nlpgen.training.warm_start import extended_positions, sinusoids, token_embeddings, warm_embeddings

__all__ = [
    "BertAdam",
    "KeptRun",
    "PiecewiseLinear",
    "Run",
    "WarmupStableDecay",
    "adamw",
    "check_settings",
    "extended_positions",
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
