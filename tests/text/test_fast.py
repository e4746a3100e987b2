import json
import random

import keras
import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from nlpgen import FastTokenizer, read_tokenizer
from nlpgen.errors import VocabularyError
from tests.helpers import random_text

TEXTS = [
    "今天天气很好，我们去北京玩吧！" * 3,
    "hello world, it's the quick brown fox",
    "1234 中国人民 abc 😀\n\n ",
] * 20
SAMPLES = [*TEXTS[:3], "", " ", "  两个 空格", "I'll say: 堃😀e\u0301", "ＡＢ①ﬁ\r\n\tx", "don't 3.14%"]
# As Qwen2's own tokenizer.json has it.
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def qwen2():
    library = tokenizers.Tokenizer(models.BPE())
    library.normalizer = normalizers.NFC()
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(QWEN2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    library.decoder = decoders.ByteLevel()
    library.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    library.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    library.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    library.add_tokens(["<tool_call>", "新词语"])
    settings = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": "{{ messages }}"}
    return library.to_str(), settings


def llama():
    library = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    library.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    library.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    library.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=500, special_tokens=special))
    library.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B:1", [("<s>", 1)])
    fields = json.loads(library.to_str())
    fields["added_tokens"] = fields["added_tokens"][:3]  # bytes are no special tokens
    return json.dumps(fields), {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "unk_token": "<unk>"}


def gpt2():
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    library.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"])
    library.train_from_iterator(TEXTS, trainer)
    return library.to_str(), {"eos_token": "<|endoftext|>"}


def unigram():
    """Whose table of pieces is searched in the text, special tokens included."""
    library = tokenizers.Tokenizer(models.Unigram())
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>", "<extra_id_0>"]
    library.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>")
    )
    library.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B:1 </s>:1", [("</s>", 1)])
    return library.to_str(), {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


MAKERS = {maker.__name__: maker for maker in (qwen2, llama, gpt2, unigram)}


@pytest.fixture(scope="module", params=MAKERS)
def files(request):
    return MAKERS[request.param]()


@pytest.fixture(scope="module")
def tokenizer(files):
    return FastTokenizer(*files)


@pytest.fixture(scope="module")
def peer(files, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("peer") / "tokenizer.json"
    path.write_text(files[0], encoding="utf-8")
    special = {name: token for name, token in files[1].items() if isinstance(token, str) and name.endswith("token")}
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(path), **special)


def test_ids_and_offsets_equal_transformers(tokenizer, peer):
    for text in SAMPLES:
        theirs = peer(text, return_offsets_mapping=True)
        ours = tokenizer.encode(text)
        assert (ours.token_ids, ours.offsets) == (theirs["input_ids"], theirs["offset_mapping"])


def test_decode_equals_transformers(tokenizer, peer):
    for text in SAMPLES:
        ids = tokenizer.encode(text).token_ids
        for skip in (False, True):
            theirs = peer.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
            assert tokenizer.decode(ids, skip) == theirs


def test_special_tokens_that_count_equal_transformers(tokenizer, peer):
    """Which always reads them."""
    for token in tokenizer.special_ids:
        text = f"今天{tokenizer.vocab.token(token)} 天气"
        theirs = peer(text)["input_ids"]
        assert token in theirs
        assert tokenizer.encode(text, special_tokens=True).token_ids == theirs


def test_typed_special_tokens_are_plain_text(tokenizer):
    steering = {
        i for i, token in enumerate(tokenizer.vocab.tokens) if token.strip("▁").startswith("<") and token != "<"
    }
    steering -= {i for i in steering if tokenizer.vocab.token(i).startswith("<0x")}
    assert len(steering) > 0
    for i in steering - {tokenizer.unk_id}:
        text = f"{tokenizer.vocab.token(i)}今天{tokenizer.vocab.token(i)}"
        assert not set(tokenizer.ids(text)) & steering - {tokenizer.unk_id}
        if tokenizer.unk_id not in tokenizer.ids(text):
            assert tokenizer.decode(tokenizer.ids(text)) == text


def test_any_string_is_read_and_offsets_lie_in_it(tokenizer, peer):
    generator = random.Random(0)
    for _ in range(500):
        text = random_text(generator)
        (ids, offsets), *_ = tokenizer.pieces([text])
        assert all(0 <= start <= end <= len(text) for start, end in offsets)
        assert offsets == sorted(offsets)
        assert ids == peer(text, add_special_tokens=False)["input_ids"]


def test_parts_of_a_character():
    tokenizer = FastTokenizer(*qwen2())
    ids, offsets = tokenizer.pieces(["a堃"])[0]
    assert offsets[1:] == [(1, 2)] * 3
    assert tokenizer.decode(ids[:-1]) == "a\ufffd"
    assert tokenizer.decode(ids) == "a堃"


def test_special_tokens_and_what_stands_around():
    qwen, meta, t5 = (FastTokenizer(*maker()) for maker in (qwen2, llama, unigram))
    assert (qwen.cls_id, qwen.sep_id) == (None, None)
    assert qwen.tokens([qwen.eos_id, qwen.pad_id]) == ["<|im_end|>", "<|endoftext|>"]
    assert meta.tokens([meta.cls_id, meta.eos_id, meta.pad_id]) == ["<s>", "</s>", "<unk>"]
    assert meta.sep_id is None
    assert t5.encode("今天", "天气").token_ids[-1] == t5.eos_id == t5.sep_id
    assert "新词语" in qwen.tokens(qwen.ids("一个新词语"))  # added, and no mark


def test_a_batch_equals_its_members(tokenizer):
    batch = tokenizer(SAMPLES, max_length=12)
    for row, text in zip(batch["token_ids"], SAMPLES, strict=True):
        single = tokenizer.encode(text, max_length=12).token_ids
        assert len(single) <= 12
        assert row[: len(single)].tolist() == single
        assert (row[len(single) :] == tokenizer.pad_id).all()


def test_further_tokens(tokenizer):
    longer = tokenizer.with_tokens(further=["天气很", "<新>"])
    assert longer.vocab.tokens == [*tokenizer.vocab.tokens, "天气很", "<新>"]
    assert len(tokenizer.vocab) in longer.ids("今天天气很好")
    assert len(tokenizer.vocab) + 1 not in longer.ids("<新>")
    with pytest.raises(VocabularyError, match="`keep_tokens` cannot cut"):
        tokenizer.with_tokens([0, 1])


def test_keras_and_folder_round_trips(tokenizer, files, tmp_path):
    again = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.saving.serialize_keras_object(tokenizer)))
    )
    for name, content in tokenizer.files().items():
        (tmp_path / name).write_bytes(content)
    assert (tmp_path / "tokenizer.json").read_text(encoding="utf-8") == files[0]
    for twin in (again, read_tokenizer(tmp_path)):
        assert type(twin) is FastTokenizer
        assert twin.special_tokens == tokenizer.special_tokens
        assert [twin.encode(text) for text in SAMPLES] == [tokenizer.encode(text) for text in SAMPLES]
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert settings.get("chat_template") == files[1].get("chat_template")
    assert settings["eos_token"] == files[1]["eos_token"]


def test_a_saved_folder_is_read_by_transformers(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    for name, content in tokenizer.files().items():
        (tmp_path / name).write_bytes(content)
    peer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert [peer(text).input_ids for text in SAMPLES] == [tokenizer.encode(text).token_ids for text in SAMPLES]


@pytest.mark.parametrize("content", ["", "{}", '{"model": 3}', b"\xff\xfe"])
def test_what_is_no_tokenizer_is_refused(content):
    with pytest.raises(VocabularyError, match="cannot read this tokenizer"):
        FastTokenizer(content)


def test_more_than_one_token_around_a_text_is_refused():
    library = tokenizers.Tokenizer.from_str(unigram()[0])
    library.post_processor = processors.TemplateProcessing("$A <unk> </s>", None, [("</s>", 1), ("<unk>", 2)])
    with pytest.raises(VocabularyError, match="0 tokens before a text and 2 behind"):
        FastTokenizer(library.to_str())


def test_a_tokenizer_json_of_bert(tmp_path):
    """A BERT folder may hold this file only."""
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "今", "天", "好", "ok", "##ay"]
    peer = transformers.BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    peer.save_pretrained(tmp_path)
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer.encode("今天OKAY", "好").token_ids == peer("今天OKAY", "好").input_ids
    assert tokenizer.mask_id == 4
    assert 4 not in tokenizer.ids("[MASK]")
