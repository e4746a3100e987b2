"""Models that transformers would read as other models are refused, and no text token is taken for padding."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer as Library
from tokenizers.models import WordLevel

from nlpgen import (
    GPT2,
    Albert,
    AlbertConfig,
    Bert,
    BertConfig,
    CausalLM,
    GPT2Config,
    MaskedLM,
    RoFormer,
    RoFormerConfig,
    SequenceClassifier,
)
from nlpgen.errors import InputError
from nlpgen.models.inspect import convert
from nlpgen.training.flops import transformer_flops
from tests.helpers import IDS, SMALL, array, assert_close, random_weights


def built(model):
    model.build()
    return random_weights(model)


def test_the_end_of_a_text_is_no_padding(tmp_path):
    """GPT-2's tokenizer names no padding; batches are filled with its end token, which texts hold too."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = built(CausalLM(GPT2(GPT2Config(**SMALL, pad_token_id=None))))
    model.save_pretrained(tmp_path / "gpt", format="huggingface")
    words = {"<|endoftext|>": 0} | {f"w{i}": i for i in range(1, 50)}
    Library(WordLevel(words, unk_token="<|endoftext|>")).save(str(tmp_path / "gpt" / "tokenizer.json"))
    settings = {f"{role}_token": "<|endoftext|>" for role in ("bos", "eos", "unk")}
    (tmp_path / "gpt" / "tokenizer_config.json").write_text(json.dumps(settings))
    loaded = CausalLM.from_pretrained(tmp_path / "gpt")
    assert loaded.backbone.config.pad_token_id is None
    ids = np.array([[0, 5, 0, 6, 7, 0]])
    with torch.no_grad():
        expected = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "gpt").eval()(torch.tensor(ids)).logits
    assert_close(array(loaded({"token_ids": ids})), expected)


@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu_erf", "gelu"])
def test_activations_have_their_names_there(activation, tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = built(MaskedLM(Albert(AlbertConfig(**SMALL, hidden_act=activation))))
    model.save_pretrained(tmp_path / "out", format="huggingface")
    peer = transformers.AlbertForMaskedLM.from_pretrained(tmp_path / "out").eval()
    mask = torch.tensor(IDS != 0).long()
    with torch.no_grad():
        expected = peer(torch.tensor(IDS).long(), attention_mask=mask).logits
    assert_close(array(model({"token_ids": IDS})), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"application": "unilm"},
        {"hierarchical_position": 0.4},
        {"residual_attention_scores": True},
        {"condition_size": 3},
        {"shared_segment_embeddings": True},
        {"embedding_size": 8},
        {"attention_key_size": 8},
        {"type_vocab_size": 0},
    ],
)
def test_what_the_peer_has_not_is_refused(options, tmp_path):
    model = built(MaskedLM(Bert(BertConfig(**SMALL, **options))))
    with pytest.raises(InputError, match=f"`{next(iter(options))}`.*Save with format='nlpgen'"):
        model.save_pretrained(tmp_path / "out", format="huggingface")
    assert not (tmp_path / "out").exists()
    model.save_pretrained(tmp_path / "out")


def test_narrow_embeddings_of_roformer_are_no_option_of_ours(tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = built(MaskedLM(RoFormer(RoFormerConfig(**SMALL, embedding_size=8))))
    model.save_pretrained(tmp_path / "out", format="huggingface")
    peer = transformers.RoFormerForMaskedLM.from_pretrained(tmp_path / "out").eval()
    mask = torch.tensor(IDS != 0).long()
    with torch.no_grad():
        expected = peer(torch.tensor(IDS).long(), attention_mask=mask).logits
    assert_close(array(model({"token_ids": IDS})), expected)


def test_a_classifier_is_not_lost_by_convert(tmp_path):
    built(SequenceClassifier(Bert(BertConfig(**SMALL)), ["a", "b"])).save_pretrained(tmp_path / "in")
    with pytest.raises(InputError, match="would be lost"):
        convert(tmp_path / "in", tmp_path / "out")


def test_a_decoder_is_not_judged_by_its_first_token():
    with pytest.raises(InputError, match="Use pooling='last'"):
        SequenceClassifier(GPT2(GPT2Config(**SMALL)), ["a", "b"], pooling="cls")


def test_operations_of_a_gpt_of_default_width():
    assert transformer_flops(GPT2Config(60, 16, 2, 4), 8) == transformer_flops(GPT2Config(60, 16, 2, 4, 64), 8)
