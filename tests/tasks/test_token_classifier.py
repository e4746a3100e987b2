import contextlib
import warnings

import keras
import numpy as np
import pytest

from nlpgen import Entity, TokenClassifier
from nlpgen.errors import InputError, NonFiniteOutput
from nlpgen.tasks.windows import windows_of
from tests.tasks.helpers import tiny_bert

FAST = {"epochs": 12, "batch_size": 16, "learning_rate": 1e-2, "dropout": 0.0}
DECODERS = [pytest.param("crf", marks=pytest.mark.backends), "softmax", "global_pointer", "efficient_global_pointer"]


def examples(n, seed, nested=False):
    """Texts with 甲 and one or two 乙 as "长", and 丙 as "短"; nested: the 乙 alone as "内" too."""
    generator = np.random.default_rng(seed)
    texts, entities = [], []
    for _ in range(n):
        text, found = "", []
        for _ in range(generator.integers(1, 5)):
            part = str(generator.choice(["天", "地人", "，", "甲乙", "甲乙乙", "丙", "丙"]))
            start, text = len(text), text + part
            if part.startswith("甲"):
                found.append((start, len(text), "长"))
                found += [(start + 1, len(text), "内")] if nested else []
            elif part == "丙":
                found.append((start, len(text), "短"))
        texts.append(text)
        entities.append(found)
    entities[0], texts[0] = [(0, 2, "长"), (2, 3, "短")] + ([(1, 2, "内")] if nested else []), "甲乙丙"
    return texts, entities


@pytest.fixture(scope="module", params=DECODERS)
def fitted(request):
    size, epochs = (128, 20) if "pointer" in request.param else (64, 12)  # a pointer has more to learn
    tagger = TokenClassifier(tiny_bert(), request.param, **FAST | {"epochs": epochs})
    return tagger.fit(*examples(size, 0), validation_data=examples(30, 1))


def test_it_learns(fitted):
    assert fitted.classes_ == ["短", "长"]
    texts, entities = examples(50, 2)
    scores = fitted.evaluate(texts, entities)
    assert scores.f1 >= 0.85
    assert fitted.score(texts, entities) == scores.f1
    assert set(scores.labels) == {"短", "长"}
    assert fitted.unaligned_ == []


def test_text_is_what_stands_there(fitted):
    texts, _ = examples(20, 3)
    found = fitted.predict(texts)
    assert sum(map(len, found)) > 10
    for text, row in zip(texts, found, strict=True):
        assert row == sorted(row)
        assert all(entity.text == text[entity.start : entity.end] for entity in row)
        assert fitted.predict(text) == row
    assert fitted.predict("") == []
    assert fitted.predict([]) == []


def test_long_texts_are_read_whole(fitted):
    """Every window gives what it gives as a text of its own."""
    text = "天地人，甲乙乙丙地人天。" * 5
    expected = []
    for window in windows_of(fitted.model_, [text]):
        begin, end = window.offsets[0][0], window.offsets[-1][1]
        assert text[end - 1] == "。"
        expected += [(begin + e.start, begin + e.end, e.label) for e in fitted.predict(text[begin:end])]
    assert [(e.start, e.end, e.label) for e in fitted.predict(text)] == expected
    assert len(expected) >= 5


def test_a_folder_keeps_everything(fitted, tmp_path):
    texts, _ = examples(20, 4)
    for format in ("nlpgen", "huggingface"):
        fitted.save_pretrained(tmp_path / format, format)
        again = TokenClassifier.from_pretrained(tmp_path / format)
        assert again.classes_ == fitted.classes_
        assert (again.decoder, again.max_length) == (fitted.decoder, fitted.max_length)
        assert again.predict(texts) == fitted.predict(texts)


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_schemes(scheme):
    tagger = TokenClassifier(tiny_bert(), scheme=scheme, **FAST).fit(*examples(64, 0))
    assert len(tagger.model_.labels) == 1 + 2 * len(scheme.replace("O", ""))
    assert tagger.score(*examples(50, 2)) >= 0.9


def test_nested_entities():
    tagger = TokenClassifier(tiny_bert(), "global_pointer", **FAST | {"epochs": 20}).fit(*examples(128, 5, nested=True))
    texts, entities = examples(50, 6, nested=True)
    assert tagger.score(texts, entities) >= 0.85
    within = [(a, b) for row in tagger.predict(texts) for a in row for b in row if a.start < b.start < b.end == a.end]
    assert len(within) >= 10
    with pytest.raises(InputError, match=r"pairs of entities overlap.*decoder='global_pointer'"):
        TokenClassifier(tiny_bert(), "crf").fit(*examples(8, 5, nested=True))


@contextlib.contextmanager
def warned(*parts):
    """Like `pytest.warns`, which would raise the warnings that Keras gives NumPy cause for on PyTorch."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert any(all(part in str(warning.message) for part in parts) for warning in caught)


def test_unaligned_entities_are_listed():
    texts = ["goes甲乙", "goes丙", "甲乙"]
    entities = [[(1, 4, "长"), (4, 6, "长")], [(0, 2, "短"), (0, 3, "长")], [(0, 2, "长")]]
    with warned("2 of 5 entities start or end inside a token", "text 0: 'oes' (1–4, 长)"):
        tagger = TokenClassifier(tiny_bert(), "global_pointer", **FAST | {"epochs": 1}).fit(texts, entities)
    assert tagger.unaligned_ == [(0, Entity(1, 4, "长")), (1, Entity(0, 3, "长"))]


def test_entities_across_a_cut_are_listed():
    text, options = "天" * 9 + "甲乙" + "天" * 9, FAST | {"epochs": 1, "max_length": 12}
    with warned("1 of 2 entities", "go across the cut"):
        tagger = TokenClassifier(tiny_bert(), **options).fit([text, "甲乙"], [[(9, 11, "长")], [(0, 2, "长")]])
    assert tagger.unaligned_ == [(0, Entity(9, 11, "长"))]


@pytest.mark.parametrize("max_length", [3, 4, 10, 31, None])
def test_windows_are_the_text(max_length):
    class Model:
        tokenizer, backbone = tiny_bert().tokenizer, tiny_bert()

    Model.max_length = max_length
    texts = ["天地人，甲乙。" * 13, "", "goes" * 20 + "。天"]
    windows = windows_of(Model, texts)
    for i, text in enumerate(texts):
        ids, offsets = Model.tokenizer.pieces([text])[0]
        rows = [window for window in windows if window.text == i]
        assert [i for row in rows for i in row.token_ids[1:-1]] == list(ids)
        assert [pair for row in rows for pair in row.offsets] == list(offsets)
        assert all(len(row) <= (max_length or 32) for row in rows)


@pytest.mark.backends
def test_the_same_seed_gives_the_same_model():
    data = examples(24, 7)
    tagger = TokenClassifier(tiny_bert(0.2), **FAST | {"epochs": 3, "dropout": 0.2})
    losses = []
    for _ in range(2):
        if keras.config.backend() == "torch":  # whose generator draws dropout
            keras.utils.set_random_seed(0)
        losses.append([epoch["loss"] for epoch in tagger.fit(*data).history_])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "viterbi"}, "`decoder` must be one of softmax, crf, global_pointer"),
        ({"scheme": "IOB"}, "`scheme` one of BIO, BIOES"),
        ({"max_length": 2}, "room for a token"),
        ({"epochs": 0}, "`epochs` must be"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        TokenClassifier(tiny_bert(), **options).fit(["甲乙"], [[(0, 2, "长")]])


def test_wrong_data():
    tagger = TokenClassifier(tiny_bert())
    with pytest.raises(InputError, match="None of the 1 texts has an entity"):
        tagger.fit(["甲乙"], [[]])
    with pytest.raises(InputError, match="learned nothing yet"):
        tagger.predict("甲")


def test_a_damaged_model_is_an_error():
    broken = TokenClassifier(tiny_bert(), **FAST | {"epochs": 1}).fit(["甲乙"], [[(0, 2, "长")]])
    broken.model_.classifier.bias.assign(np.full(broken.model_.classifier.bias.shape, np.nan))
    with pytest.raises(NonFiniteOutput, match=r"`texts\[1\]`"):
        broken.predict(["", "甲"])
