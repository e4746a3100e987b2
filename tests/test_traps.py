"""Twenty-two defects of bert4keras and its like, each with the test that would find it here.

The numbers are those of a list that was drawn up before nlpgen was written; a line at each test says
what the defect is. The other half of number 13, exact decoding of answers, is in tests/reading/test_decoding.py.
"""

import dataclasses
import math
import re
import shutil
import unicodedata

import keras
import numpy as np
import pytest
from keras import ops

from nlpgen import GPT2, T5, Bert, BertConfig, CausalLM, MaskedLM, NextSentence, T5Config, Vocab, WordPieceTokenizer
from nlpgen.checkpoints import dump_weights, load_weights, open_folder
from nlpgen.checkpoints.safetensors import WEIGHTS, open_safetensors, write_safetensors
from nlpgen.checkpoints.tensorflow import write_tensorflow
from nlpgen.data import endless
from nlpgen.errors import CheckpointWarning, ConfigError, WeightsMismatch
from nlpgen.generation import Beam
from nlpgen.layers import MultiHeadAttention
from nlpgen.models.architectures import ARCHITECTURES
from nlpgen.prompts import PTuningClassifier
from nlpgen.training import adamw
from tests.helpers import GOLDEN, IDS, SEGMENTS, SMALL, array, assert_close, random_weights

pytestmark = pytest.mark.backends
every_architecture = pytest.mark.parametrize("cls", ARCHITECTURES.values(), ids=ARCHITECTURES)
# An ELECTRA's discriminator and generator read whole texts only; decoders and T5 have one use, which needs no word.
APPLICATIONS = {
    **dict.fromkeys(
        ["albert", "bert", "ernie", "nezha", "roberta", "roformer", "roformer_v2"], ("encoder", "lm", "unilm")
    ),
    **dict.fromkeys(["electra", "electra_generator"], ("encoder",)),
    **dict.fromkeys(["gpt2", "gpt2_ml", "llama", "mt5", "openai-gpt", "qwen2", "qwen3", "t5"], ()),
}
TO_TRAIN = {"num_hidden_layers": 1, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def small(cls, **options):
    """A small config of an architecture."""
    return cls.config_class.from_dict(SMALL | options)


def built(model):
    model.build()
    return random_weights(model)


def letters(seed, n=300):
    """Strings of ASCII, accents, ideographs, punctuation and invisible characters."""
    rng = np.random.default_rng(seed)
    alphabet = [*range(32, 0x180), *range(0x4E00, 0x4E40), *range(0xFF01, 0xFF5E), 0x9, 0x3000, 0x200D, 0x301, 0x20000]
    return ["".join(map(chr, rng.choice(alphabet, rng.integers(0, 30)))) for _ in range(n)]


def test_trap_01_frozen_weights_are_loaded_too(bert_folder):
    """bert4keras pairs tensors with the trainable weights, by position: what was frozen gets nothing, silently."""
    folder = open_folder(bert_folder)
    model = Bert(BertConfig.from_dict(folder.config))
    model.build()
    model.trainable = False
    load_weights(model, folder.tensors)
    for name, value in dump_weights(model).items():
        np.testing.assert_array_equal(value, folder.tensors[name])


def test_trap_02_an_id_is_the_number_of_its_line(tmp_path):
    """With `id = len(dict)`, a duplicate or blank line moves all ids behind it."""
    (tmp_path / "vocab.txt").write_text("[PAD]\n一\n\n一\n二\n", encoding="utf-8")
    with pytest.warns(CheckpointWarning) as seen:
        vocab = Vocab.read(tmp_path / "vocab.txt")
    assert (vocab.id("[PAD]"), vocab.id("二"), len(vocab)) == (0, 4, 5)
    assert {"blank" in str(w.message) for w in seen} == {True, False}  # one of blank lines, one of duplicates


def test_trap_03_what_is_missing_and_what_is_unused_is_listed(bert_folder, tmp_path):
    """The first missing variable stops bert4keras; its flag to go on crashes; what is unused it never says.

    There is no lenient mode here, on purpose: a weight that stays random is a model that nobody trained.
    """
    tensors = _tensors(bert_folder)
    gone = ["bert/encoder/layer_0/output/dense/bias", "bert/encoder/layer_1/attention/self/key/kernel"]
    _tensorflow_folder(tmp_path / "gone", bert_folder, {k: v for k, v in tensors.items() if k not in gone})
    with pytest.raises(WeightsMismatch) as error:
        MaskedLM.from_pretrained(tmp_path / "gone")
    assert all(name in str(error.value) for name in gone)
    _tensorflow_folder(tmp_path / "more", bert_folder, tensors | {"bert/a": np.zeros(2), "bert/b": np.zeros(3)})
    with pytest.warns(CheckpointWarning, match=r"2 tensors .* not read: bert/a, bert/b"):
        MaskedLM.from_pretrained(tmp_path / "more")


@every_architecture
def test_trap_04_every_norm_has_the_configs_epsilon(cls):
    """bert4keras fixes it in the code, wrongly for ALBERT, NEZHA, RoFormer and CDial's GPT."""
    name = next(f.name for f in dataclasses.fields(cls.config_class) if f.name in ("layer_norm_eps", "rms_norm_eps"))
    model = cls(small(cls, **{name: 0.25}))
    models = [model] + ([MaskedLM(model)] if "masked_lm" in cls.heads else [])
    for each in models:
        each.build()
        found = [layer.epsilon for layer in each._flatten_layers() if hasattr(layer, "epsilon")]
        assert set(found) == {0.25}


def test_trap_04_and_computes_with_it():
    model = built(Bert(small(Bert, layer_norm_eps=0.25)))
    e = model.embeddings
    x = array(e.token.embeddings)[IDS] + array(e.segment.embeddings)[SEGMENTS] + array(e.position.embeddings)[:7]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.25)
    found = model.embed({"token_ids": IDS, "segment_ids": SEGMENTS})
    assert_close(array(found), x * array(e.norm.gamma) + array(e.norm.beta))


def test_trap_05_an_activation_belongs_to_one_model():
    """bert4keras' `set_gelu` is one switch for the whole process."""
    erf = np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))
    formulas = {
        "gelu": erf,
        "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    }
    models = {name: built(Bert(small(Bert, hidden_act=name))) for name in formulas}
    x = np.random.default_rng(0).normal(0, 3, (1, 4, 16)).astype("float32")
    outputs = []
    for name, formula in formulas.items():
        block = models[name].blocks[0]
        up = (x @ array(block.up.kernel) + array(block.up.bias)).astype("float64")
        outputs.append(formula(up) @ array(block.down.kernel) + array(block.down.bias))
        assert_close(array(block.feed_forward(x)), outputs[-1], 1e-6)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-4


def test_trap_06_t5_positions_are_the_configs():
    """bert4keras writes 32 buckets and distance 128 into the code, and adds them to cross-attention by default."""
    config = T5Config.from_dict(SMALL | {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 20})
    assert config.cross_position_bias is False
    model = T5(config)
    model.build()
    for position, bidirectional in ((model.encoder.position, True), (model.position, False)):
        assert position.embeddings.shape == (8, 4)
        position.embeddings.assign(np.repeat(np.arange(8.0)[:, None], 4, axis=1))
        found = array(position(np.arange(30), np.arange(30)))[0, 0]
        expected = [[t5_bucket(k - q, 8, 20, bidirectional) for k in range(30)] for q in range(30)]
        np.testing.assert_array_equal(found, expected)


def t5_bucket(distance, buckets, farthest, bidirectional):
    """One distance at a time, by the paper's words: half of a side is exact, the rest grows with the logarithm."""
    first = 0
    if bidirectional:
        buckets //= 2
        first = buckets if distance > 0 else 0
    distance = abs(distance) if bidirectional else max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    share = math.log(distance / exact) / math.log(farthest / exact)
    return first + min(exact + int(share * (buckets - exact) + 1e-9), buckets - 1)


@pytest.mark.parametrize("form", ["nlpgen", "huggingface", "tensorflow", "keras"])
def test_trap_07_a_cut_vocabulary_is_saved_with_the_model(bert_folder, tmp_path, form):
    """bert4keras' files keep the old `vocab_size`, and `keep_tokens` must be passed again at every load."""
    keep = [0, 5, 6, 7, 8, *range(200, 240)]
    model = MaskedLM.from_pretrained(bert_folder, keep_tokens=keep, compound_tokens={"甲乙": [10, 11]})
    if form == "keras":
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
    else:
        model.save_pretrained(tmp_path, form)
        again = MaskedLM.from_pretrained(tmp_path)
    assert again.backbone.config.vocab_size == len(again.tokenizer.vocab) == len(keep) + 1
    assert again.tokenizer.vocab == model.tokenizer.vocab
    ids = np.array([[5, 9, 45, 3]])
    np.testing.assert_array_equal(array(again({"token_ids": ids})), array(model({"token_ids": ids})))


def test_trap_08_a_finished_hypothesis_may_win_later():
    """bert4keras drops a finished hypothesis that is not the best at once: here [2], which has 0.4 against 0.6."""

    def step(token_ids, state):
        after = ops.convert_to_tensor([[0.0, 0.6, 0.4], [0.4, 0.3, 0.3], [0.4, 0.3, 0.3]])
        return ops.log(ops.take(after, token_ids, axis=0)), state

    found = Beam(2).search(step, np.array([0]), (), max_new_tokens=4, end_id=2)
    assert array(found.token_ids)[0, 0].tolist() == [2, 0, 0, 0]
    assert_close(array(found.scores)[0], [math.log(0.4)])


def test_trap_08_states_go_with_their_hypotheses():
    """bert4keras leaves them where they were. The state is the first token; [0, 0] overtakes [1, …] at once."""
    chances = np.array(
        [[0.44, 0.55, 0.01], [0.9, 0.05, 0.05], [0.4, 0.4, 0.2]], "float32"
    )  # at first, after 0, after 1

    def step(token_ids, state):
        first = ops.where(state["n"] == 0, -1, ops.where(state["n"] == 1, token_ids, state["first"]))
        return ops.log(ops.take(chances, first + 1, axis=0)), {"first": first, "n": state["n"] + 1}

    state = {"first": ops.zeros((1,), "int32"), "n": ops.convert_to_tensor(0)}
    found = Beam(2, n_best=2).search(step, np.array([0]), state, max_new_tokens=3, end_id=2)
    assert array(found.token_ids)[0].tolist() == [[0, 0, 0], [1, 2, 0]]
    assert_close(np.exp(array(found.scores)[0]), [0.44 * 0.9 * 0.9, 0.55 * 0.2])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_trap_09_a_row_of_padding_is_no_nan(dtype):
    """With -inf as the mask, softmax over a row without any visible key is 0 / 0; 1e12 overflows float16."""
    layer = MultiHeadAttention(8, 2, dtype=dtype)
    layer.build((None, None, 8))
    random_weights(layer)
    x = ops.cast(np.random.default_rng(0).normal(size=(2, 5, 8)), dtype)
    mask = np.array([[True, True, True, False, False], [False] * 5])[:, None, None]
    out = array(ops.cast(layer(x, x, mask)[0], "float32"))
    assert np.isfinite(out).all()
    seen = array(ops.cast(layer(x[:1, :3], x[:1, :3])[0], "float32"))
    assert_close(out[:1, :3], seen, 1e-5 if dtype == "float32" else 2e-2)


def test_trap_10_offsets_are_those_of_the_original_text():
    """bert4keras searches the lower-cased text for each token: "İ" grows by that, `[UNK]` is never found."""
    known = sorted({c for text in letters(1) for c in _normalised(text) if c.strip() and not c.isdigit()})
    tokenizer = WordPieceTokenizer(Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *known, *(f"##{c}" for c in known)]))
    for text in ["İstanbul İİ", "Ⅷ１2中", *letters(2)]:
        encoding = tokenizer.encode(text)
        for id, (start, end), part in zip(encoding.token_ids, encoding.offsets, encoding.parts, strict=True):
            if part == 0 and id != tokenizer.unk_id:
                assert _normalised(text[start:end]) == tokenizer.vocab.token(id).removeprefix("##")


def _normalised(text):
    lower = "".join(c.lower() for c in text)
    return "".join(c for c in unicodedata.normalize("NFD", lower) if unicodedata.category(c)[0] not in "MC")


def test_trap_11_decoding_drops_special_tokens_by_id():
    """bert4keras drops whatever looks like `[…]`, and takes the last character of what may be empty."""
    vocab = Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[speaker1]", "[unused1]", "好", "##ing"])
    tokenizer = WordPieceTokenizer(vocab)
    assert tokenizer.decode([2, 5, 6, 7, 4, 3]) == "[speaker1][unused1]好"
    assert tokenizer.decode([2, 4, 3], skip_special_tokens=False) == "[CLS][MASK][SEP]"
    assert tokenizer.decode([8, 7]) == "##ing好"
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("lowercase", [True, False])
def test_trap_12_ids_are_those_of_the_published_algorithm(lowercase):
    """bert4keras gives up on words over 200 letters, where BERT's limit is 100; here is BERT's tokenizer in Python."""
    vocab = Vocab.read(GOLDEN / "hf_tokenizer" / "vocab.txt")
    tokenizer = WordPieceTokenizer(vocab, lowercase=lowercase)
    texts = [*letters(3), "playing " * 3, "a" * 100, "a" * 101, "un" * 60, "的" * 150]
    for text in texts:
        assert tokenizer.encode(text).token_ids[1:-1] == list(_wordpiece(text, vocab, lowercase)), repr(text)


# Of BERT's tokenization.py: the blocks of CJK ideographs, and ASCII that Unicode does not call punctuation.
IDEOGRAPHS = re.compile(
    "[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f"
    "\U0002b820-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f]"
)
SYMBOLS = "$+<=>^`|~"


def _wordpiece(text, vocab, lowercase):
    kept = (c for c in text if c in "\t\n\r" or unicodedata.category(c)[0] != "C")
    text = IDEOGRAPHS.sub(r" \g<0> ", "".join(kept))
    text = _normalised_words(text) if lowercase else text
    for word in "".join(f" {c} " if c in SYMBOLS or unicodedata.category(c)[0] == "P" else c for c in text).split():
        pieces, start = [], 0
        while start < len(word) <= 100:
            ends = (e for e in range(len(word), start, -1) if "##" * (start > 0) + word[start:e] in vocab)
            end = next(ends, None)
            if end is None:
                break
            pieces.append(vocab.id("##" * (start > 0) + word[start:end]))
            start = end
        yield from pieces if start == len(word) else [vocab.id("[UNK]")]


def _normalised_words(text):
    lower = unicodedata.normalize("NFD", "".join(c.lower() for c in text))
    return "".join(c for c in lower if unicodedata.category(c) != "Mn")


def test_trap_13_no_masked_token_is_no_nan_and_the_head_runs_where_it_is_asked():
    """bert4keras' reader divides by a number of masks that may be 0, and computes logits at all positions."""
    model = built(MaskedLM(Bert(small(Bert, **TO_TRAIN))))
    inputs = {"token_ids": np.tile(IDS, (5, 1)), "positions": np.tile([[1, 3]], (10, 1))}
    full = array(model({"token_ids": inputs["token_ids"]}))
    seen = []
    head = model.head.call
    model.head.call = lambda x, condition=None: seen.append(x.shape) or head(x, condition)
    some = array(model(inputs))
    assert [tuple(shape) for shape in seen] == [(10, 2, 16)]
    model.head.call = head
    assert_close(some, full[:, [1, 3]])
    model.compile(adamw(0.1, weight_decay=0))
    before = model.get_weights()
    loss = model.train_on_batch(inputs, np.full((10, 2), 5), np.zeros((10, 2), "float32"))
    assert np.asarray(loss).ravel()[0] == 0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_trap_14_fit_takes_our_batches():
    """bert4keras' `DataGenerator.forfit` is nothing that Keras 3 takes. Two ways of the same batches, one result."""
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(5, 50, (4, 3, 6)), rng.integers(5, 50, (4, 3, 6))
    model = built(MaskedLM(Bert(small(Bert, **TO_TRAIN))))
    start, ends = model.get_weights(), []
    for by_fit in (True, False):
        model.set_weights(start)
        model.compile(adamw(0.01))
        batches = endless(lambda i: ({"token_ids": ids[i]}, targets[i], np.ones((3, 6), "float32")))
        if by_fit:
            model.fit(batches, steps_per_epoch=2, epochs=2, shuffle=False, verbose=0)
        else:
            for _ in range(4):
                model.train_on_batch(*next(batches))
        ends.append(model.get_weights())
    for one, other, first in zip(*ends, start, strict=True):
        assert_close(one, other)
        assert not np.array_equal(one, first)


def test_trap_15_an_optimizer_changes_no_other():
    """bert4keras' optimizers exchange `K.update` for all of Keras while they run."""
    classes = (keras.optimizers.Optimizer, keras.optimizers.Adam, keras.optimizers.AdamW, keras.Variable)
    before = [dict(vars(cls)) for cls in classes]
    ours, theirs = keras.Variable([1.0, 2.0], name="kernel"), keras.Variable([1.0, 2.0], name="kernel")
    first, second = adamw(0.1, accumulate=2, ema=0.9), keras.optimizers.SGD(0.5)
    for _ in range(3):
        first.apply([ops.ones(2)], [ours])
        second.apply([ops.ones(2)], [theirs])
    np.testing.assert_allclose(array(theirs), [-0.5, 0.5])
    assert [dict(vars(cls)) for cls in classes] == before


@pytest.mark.parametrize("trainable", ["prompt", "prompt+head"])
def test_trap_16_a_soft_prompt_is_all_that_is_trained(trainable):
    """P-tuning's example trains rows of the token embedding behind a gradient mask: weight decay moves the others."""
    lm = MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1)
    before = lm.get_weights()
    texts, labels = ["房间干净，下次还来", "又脏又吵，再也不来"], ["正面", "负面"]
    options = {"epochs": 2, "learning_rate": 0.1, "head_learning_rate": 0.1, "weight_decay": 0.5, "max_length": 24}
    clf = PTuningClassifier(lm, "[P*2][MASK]{text}", {"正面": "很", "负面": "不"}, trainable, **options)
    clf.fit(texts, labels)
    untouched = lm.weights if trainable == "prompt" else lm.backbone.weights
    moved = {w.path.split("/")[0] for w in clf._scorer.model.trainable_variables}
    assert (moved == {"virtual_tokens"}) is (trainable == "prompt")
    assert len(clf.lm_.weights) == len(lm.weights)
    for old, new in zip(before, lm.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    ours = {id(w) for w in untouched}
    for old, w, theirs in zip(before, clf.lm_.weights, lm.weights, strict=True):
        assert np.array_equal(old, array(w)) is (id(theirs) in ours), w.path


def test_trap_17_albert_groups_are_followed():
    """bert4keras reads group 0 for all layers, whatever `num_hidden_groups` says."""
    albert = ARCHITECTURES["albert"]
    with pytest.raises(ConfigError, match="num_hidden_groups"):
        small(albert, num_hidden_layers=4, num_hidden_groups=5)
    model = built(albert(small(albert, num_hidden_layers=4, num_hidden_groups=2)))
    groups = {name.split("/")[3] for name in dump_weights(model) if "group_" in name}
    assert groups == {"group_0", "group_1"}
    before = array(model({"token_ids": IDS}))
    x, mask = model.embed({"token_ids": IDS}), model.attention_mask({"token_ids": IDS})
    if model.embedding_projection is not None and x.shape[-1] != 16:
        x = model.embedding_projection(x)
    for i in (0, 0, 1, 1):
        x = model.blocks[i](x, attention_mask=mask)[0]
    assert_close(array(x), before)


def test_trap_18_what_is_transposed_and_what_is_not(bert_folder):
    """The weights of next-sentence prediction are; PyTorch's linear layers are; GPT-2's `Conv1D` is not."""
    name = "cls/seq_relationship/output_weights"
    follows = NextSentence.from_pretrained(bert_folder)
    np.testing.assert_array_equal(array(follows.classifier.kernel), open_folder(bert_folder).tensors[name].T)

    stored = _stored("hf_bert_pretraining")
    follows = NextSentence.from_pretrained(GOLDEN / "hf_bert_pretraining")
    np.testing.assert_array_equal(array(follows.classifier.kernel), stored["cls.seq_relationship.weight"].T)
    linear = stored["bert.encoder.layer.0.attention.self.query.weight"].T
    np.testing.assert_array_equal(array(follows.backbone.blocks[0].attention.query.kernel), linear)

    block = CausalLM.from_pretrained(GOLDEN / "hf_gpt2_lm").backbone.blocks[0]
    stored = _stored("hf_gpt2_lm")
    square = stored["transformer.h.0.attn.c_proj.weight"]
    np.testing.assert_array_equal(array(block.attention.output_projection.kernel), square)
    assert not np.array_equal(square, square.T)


def test_trap_18_the_positions_of_t5_are_transposed_in_tensorflow_only():
    name = "encoder/block_000/layer_000/SelfAttention/relative_attention_bias"
    stored = open_folder(GOLDEN / "b4k_t5_1_0").tensors[name]
    table = array(T5.from_pretrained(GOLDEN / "b4k_t5_1_0").encoder.position.embeddings)
    np.testing.assert_array_equal(table, stored.T)
    stored = _stored("hf_t5_v1_0")[name.replace("_000", ".0").replace("/", ".") + ".weight"]
    np.testing.assert_array_equal(array(T5.from_pretrained(GOLDEN / "hf_t5_v1_0").encoder.position.embeddings), stored)


def test_trap_19_an_untrained_head_is_said(tmp_path):
    """HFL's RoBERTa-wwm-ext-large comes with a random head, which fills masks with noise and says nothing."""
    for name in ("config.json", "vocab.txt"):
        shutil.copy(GOLDEN / "hf_bert_mlm" / name, tmp_path / name)
    new = {"cls.predictions.transform.LayerNorm.weight": 1, "cls.predictions.transform.LayerNorm.bias": 0}
    tensors = _stored("hf_bert_mlm")
    tensors |= {name: np.full_like(tensors[name], value) for name, value in new.items()}
    write_safetensors(tmp_path / WEIGHTS, tensors)
    with pytest.warns(CheckpointWarning, match="head .* looks untrained"):
        MaskedLM.from_pretrained(tmp_path)


@pytest.mark.parametrize(("cls", "backbone"), [(MaskedLM, Bert), (CausalLM, GPT2)])
def test_trap_20_a_tied_head_is_still_tied_after_saving(cls, backbone, tmp_path):
    """keras-hub ties a variable instead of a layer, which breaks `save` or leaves two copies."""
    model = built(cls(backbone(small(backbone))))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(again({"token_ids": IDS})), array(model({"token_ids": IDS})))
    assert len(again.weights) == len(model.weights)
    hidden = again.backbone({"token_ids": IDS})
    before = array(again.logits(hidden))
    table = again.backbone.embeddings.token.embeddings
    moved = array(table)
    moved[7] *= 2
    table.assign(moved)
    after = array(again.logits(hidden))
    assert np.abs(after - before).max(axis=(0, 1)).nonzero()[0].tolist() == [7]


@every_architecture
def test_trap_21_an_application_must_fit_the_architecture(cls):
    """bert4keras takes 'lm' with 't5.1.1' and builds nonsense."""
    fits = tuple(name for name in ("encoder", "lm", "unilm", "seq2seq") if _takes(small(cls), name))
    assert fits == APPLICATIONS[cls.model_type]


def _takes(config, application):
    try:
        return config.replace(application=application).application == application
    except ConfigError:
        return False


def test_trap_22_two_models_in_one_process(bert_folder, tmp_path):
    """In bert4keras the names of two models collide, unless each is given a prefix."""
    one, other = (MaskedLM.from_pretrained(bert_folder, num_hidden_layers=n) for n in (1, 2))
    paths = [w.path for model in (one, other) for w in model.weights]
    assert len(set(paths)) == len(paths)
    token_ids = keras.Input((7,), dtype="int32")
    both = keras.Model(token_ids, [model({"token_ids": token_ids}) for model in (one, other)])
    expected = [array(model({"token_ids": IDS})) for model in (one, other)]
    both.save(tmp_path / "both.keras")
    again = keras.saving.load_model(tmp_path / "both.keras")
    for found, value in zip(again(IDS), expected, strict=True):
        assert_close(array(found), value)
    one.head.bias.assign(one.head.bias + 1)
    np.testing.assert_array_equal(array(other({"token_ids": IDS})), expected[1])


def _tensors(folder):
    tensors = open_folder(folder).tensors
    return {name: np.array(tensors[name]) for name in tensors}


def _stored(name):
    """The tensors of a golden folder as its file has them."""
    tensors = open_safetensors(GOLDEN / name)
    return {name: np.array(tensors[name]) for name in tensors}


def _tensorflow_folder(folder, like, tensors):
    folder.mkdir()
    for name in ("bert_config.json", "vocab.txt"):
        shutil.copy(like / name, folder / name)
    write_tensorflow(folder, tensors)
