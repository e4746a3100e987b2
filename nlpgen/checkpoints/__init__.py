from nlpgen.checkpoints.catalog import names as embedded_models
from nlpgen.checkpoints.folder import FORMATS, ModelFolder, open_folder, save_folder, verify
from nlpgen.checkpoints.hugging_face import Conv1D, HuggingFaceTensors, torch_name
from nlpgen.checkpoints.names import (
    SUFFIXES,
    Part,
    Transposed,
    count_not_finite,
    dump_weights,
    load_weights,
    rows,
    under,
    unnamed_weights,
)
from nlpgen.checkpoints.renamed import BrightmartTensors, RenamedTensors
from nlpgen.checkpoints.vocabulary import VocabularySubset

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "BrightmartTensors",
    "Conv1D",
    "HuggingFaceTensors",
    "ModelFolder",
    "Part",
    "RenamedTensors",
    "Transposed",
    "VocabularySubset",
    "count_not_finite",
    "dump_weights",
    "embedded_models",
    "load_weights",
    "open_folder",
    "rows",
    "save_folder",
    "torch_name",
    "under",
    "unnamed_weights",
    "verify",
]
