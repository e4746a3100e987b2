"""Models with vocabularies of all kinds: into folders and Keras files and out again, cut and continued."""

import json

import keras
import numpy as np
import pytest

from nlpgen import (
    Bert,
    BertConfig,
    FastTokenizer,
    JiebaWordPieceTokenizer,
    MaskedLM,
    SentencePieceTokenizer,
    Vocab,
)
from nlpgen.errors import CheckpointWarning, VocabularyError
from nlpgen.text.spiece_file import BYTE, USER_DEFINED, Piece, read_pieces, with_pieces
from tests.helpers import GOLDEN, SMALL, array, random_weights
from tests.text.test_fast import gpt2
from tests.text.test_sentencepiece import MODEL

MARKED = with_pieces(
    MODEL, [*read_pieces(MODEL), *(Piece(text, type=USER_DEFINED) for text in ("[CLS]", "[SEP]", "[MASK]"))]
)
TEXTS = ["今天天气很好", "中国人民 2024"]


def _tokenizer(kind):
    if kind == "spiece":
        return SentencePieceTokenizer(MARKED)
    if kind == "words":
        return JiebaWordPieceTokenizer(Vocab.read(GOLDEN / "b4k_tokenizer" / "vocab.txt"))
    return FastTokenizer(gpt2()[0], {"eos_token": "<|endoftext|>"})


def _model(tokenizer, padding=0):
    config = BertConfig(**(SMALL | {"vocab_size": len(tokenizer.vocab) + padding, "max_position_embeddings": 64}))
    model = MaskedLM(Bert(config))
    model.build()
    model.tokenizer = model.backbone.tokenizer = tokenizer
    return random_weights(model)


def _logits(model, texts=TEXTS):
    return array(model(model.tokenizer(texts)))


@pytest.mark.parametrize("kind", ["spiece", "words", "json"])
@pytest.mark.parametrize("format", ["nlpgen", "huggingface", "tensorflow"])
def test_folders_carry_the_tokenizer(kind, format, tmp_path):
    model = _model(_tokenizer(kind))
    model.save_pretrained(tmp_path / "saved", format=format)
    again = MaskedLM.from_pretrained(tmp_path / "saved")
    assert type(again.tokenizer) is type(model.tokenizer)
    np.testing.assert_allclose(_logits(again), _logits(model), atol=1e-6)
    again.save_pretrained(tmp_path / "saved", format=format)  # over itself: all the files are known as ours
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(_logits(keras.saving.load_model(tmp_path / "model.keras")), _logits(model), atol=1e-6)


def test_the_manifest_watches_the_vocabulary(tmp_path):
    _model(_tokenizer("spiece")).save_pretrained(tmp_path / "saved")
    files = json.loads((tmp_path / "saved" / "manifest.json").read_text())["files"]
    assert {"spiece.model", "tokenizer_config.json"} <= files.keys()


def test_kept_and_compound_pieces_are_saved_with_the_model(tmp_path):
    """bert4keras' `keep_tokens` with SentencePiece, where it loses the new ids."""
    tokenizer = _tokenizer("spiece")
    model = _model(tokenizer, padding=5)  # as mT5's table is padded
    model.save_pretrained(tmp_path / "whole")
    used = {id for text in TEXTS for id in tokenizer.ids(text)} | tokenizer.special_ids
    keep = [i for i, piece in enumerate(read_pieces(MARKED)) if piece.type == BYTE or i in used or i % 7 == 0]
    padded = [*keep, len(tokenizer.vocab), len(tokenizer.vocab) + 1]
    with pytest.warns(CheckpointWarning, match="the last ones belong to no token"):
        small = MaskedLM.from_pretrained(tmp_path / "whole", keep_tokens=padded)
    assert (small.backbone.config.vocab_size, len(small.tokenizer.vocab)) == (len(padded), len(keep))
    np.testing.assert_allclose(_logits(small)[..., : len(keep)], _logits(model)[..., keep], atol=1e-6)

    with pytest.warns(CheckpointWarning, match="the last ones belong to no token"):
        longer = MaskedLM.from_pretrained(tmp_path / "whole", keep_tokens=padded, compound_tokens={"气很": [3, 4]})
    assert len(longer.tokenizer.vocab) == longer.backbone.config.vocab_size == len(keep) + 1
    longer.save_pretrained(tmp_path / "small")
    again = MaskedLM.from_pretrained(tmp_path / "small")
    assert len(keep) in again.tokenizer.ids("天气很好")
    np.testing.assert_allclose(_logits(again), _logits(longer), atol=1e-6)


def test_compound_tokens_of_a_padded_table_follow_the_tokens(tmp_path):
    tokenizer = _tokenizer("json")
    _model(tokenizer, padding=3).save_pretrained(tmp_path / "whole")
    with pytest.warns(CheckpointWarning, match="the last ones belong to no token"):
        model = MaskedLM.from_pretrained(tmp_path / "whole", compound_tokens={"天气很": [5, 6]})
    id = len(tokenizer.vocab)
    assert model.tokenizer.vocab.token(id) == "天气很"
    assert model.backbone.config.vocab_size == id + 1


def test_fill_mask_with_sentencepiece():
    model = _model(_tokenizer("spiece"))
    filled = model.fill_mask("今天[MASK]气很好", top_k=3)
    assert len(filled.candidates[0]) == 3


def test_a_tokenizer_in_place_of_the_folders(tmp_path):
    """As with bojone's trimmed mT5, whose SentencePiece model and list of ids come apart from the weights."""
    tokenizer = _tokenizer("spiece")
    model = _model(tokenizer)
    model.save_pretrained(tmp_path / "whole")
    keep = [i for i, piece in enumerate(read_pieces(MARKED)) if piece.type == BYTE or i % 3 == 0 or i in (0, 1, 2)]
    keep = sorted({*keep, *tokenizer.special_ids})
    trimmed = tokenizer.with_tokens(keep)
    small = MaskedLM.from_pretrained(tmp_path / "whole", keep_tokens=keep, tokenizer=trimmed)
    assert small.tokenizer is trimmed
    assert small.backbone.config.vocab_size == len(trimmed.vocab)
    with pytest.raises(VocabularyError, match="`tokenizer` has 1,503 tokens, but the model has"):
        MaskedLM.from_pretrained(tmp_path / "whole", keep_tokens=keep, tokenizer=tokenizer)


def test_a_folder_without_a_vocabulary_warns(tmp_path):
    model = _model(_tokenizer("words"))
    tokenizer, model.tokenizer = model.tokenizer, None
    model.save_pretrained(tmp_path / "bare")
    with pytest.warns(CheckpointWarning, match="bare has no vocabulary"):
        bare = MaskedLM.from_pretrained(tmp_path / "bare")
    assert bare.tokenizer is None
    assert MaskedLM.from_pretrained(tmp_path / "bare", tokenizer=tokenizer).tokenizer is tokenizer
