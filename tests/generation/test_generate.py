"""`generate`, `stream` and `score`: compiled, against transformers, and against statements by brute force."""

import gc
import resource
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from nlpgen import CausalLM, MaskedLM, Seq2SeqLM, UniLM
from nlpgen.errors import InputError, NonFiniteOutput
from nlpgen.generation import Beam, FromPassages, Gibbs, Greedy, MaskPredict, OneOf, Rules, Sample, Template, stop_table
from nlpgen.models.decoding import Decoding
from tests.helpers import GOLDEN, array, assert_close, random_weights
from tests.small_models import small_model

PROMPTS = ["今天天气不错，", "春眠不觉晓", "他"]


@pytest.fixture(scope="module")
def lm():
    return CausalLM.from_pretrained("gpt-tiny-zh", num_hidden_layers=1)


@pytest.fixture(scope="module")
def unilm(embedded):
    return UniLM(embedded)


@pytest.fixture(scope="module")
def conditional():
    """A UniLM with conditional norms."""
    return UniLM(random_weights(MaskedLM.from_pretrained("bert-tiny-zh", num_hidden_layers=1, condition_size=2)))


@pytest.fixture
def uncompiled(monkeypatch):
    """Steps one by one, where to trace them would take longer."""
    monkeypatch.setattr(Decoding, "run", Decoding.__call__)


@pytest.mark.backends
def test_a_batch_equals_its_members(lm):
    together = lm.generate(PROMPTS, max_new_tokens=8, return_scores=True)
    for prompt, (text, score) in zip(PROMPTS, together, strict=True):
        alone = lm.generate(prompt, max_new_tokens=8, return_scores=True)
        assert alone.text == text
        assert_close([alone.score], [score])


@pytest.fixture
def traces(monkeypatch):
    """Grows with each tracing of a compiled function."""
    found, call = [], Decoding.call
    monkeypatch.setattr(Decoding, "call", lambda self, inputs: found.append(1) or call(self, inputs))
    return found


def test_no_retracing(lm, traces):
    """Other texts, lengths of a bucket, settings, stops and choices need no new function."""

    def some(i):
        prompts, sampler = PROMPTS[: 1 + i % 2], Sample(top_k=4, temperature=1 + i / 100, seed=i)
        lm.generate(prompts, sampler, max_new_tokens=6 + i % 3)
        lm.generate("他" * (2 + i % 5), sampler, max_new_tokens=5, min_new_tokens=i % 3)
        lm.generate("他" * (2 + i % 5), Beam(2), max_new_tokens=5, stop="山水人"[i % 3])
        list(lm.stream(PROMPTS[i % 3], sampler, max_new_tokens=4))
        assert lm.generate("他", constraint=OneOf(["山", "水" + "人" * (i % 3)]), max_new_tokens=8)[:1] in ("山", "水")

    for i in range(3):
        some(i)
    made = len(traces)
    # One for each number of rows, one with a beam, and two, for the first step and the others, for each way by steps.
    assert made <= 2 + 1 + 2 + 2
    for i in range(3, 8):
        some(i)
    assert len(traces) == made


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_flat_memory(lm):
    """Over 200 calls, some of which begin with other texts and settings, no tensor stays."""

    def resident():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    def some(times):
        for i in range(times):
            lm.generate(PROMPTS[: 1 + i % 2], Sample(top_k=4, temperature=1 + i / 100), max_new_tokens=6 + i % 3)
            lm.generate("他" * (2 + i % 5), Sample(top_k=4, seed=i), max_new_tokens=5)

    some(20)
    before = resident()
    some(100)
    assert resident() - before < 1e6  # bytes


@pytest.mark.backends
def test_seeds_reproduce_on_every_backend(lm):
    first = lm.generate(PROMPTS, Sample(top_p=0.9, temperature=0.7, seed=3), max_new_tokens=8)
    assert first == lm.generate(PROMPTS, Sample(top_p=0.9, temperature=0.7, seed=3), max_new_tokens=8)
    assert first[0] == lm.generate(PROMPTS[0], Sample(top_p=0.9, temperature=0.7, seed=3), max_new_tokens=8)
    assert first != lm.generate(PROMPTS, Sample(top_p=0.9, temperature=0.7, seed=4), max_new_tokens=8)
    assert lm.generate(PROMPTS, Sample(top_k=1), max_new_tokens=8) == lm.generate(PROMPTS, max_new_tokens=8)


def test_streaming_gives_what_generate_gives(lm):
    for options in ({"sampler": Greedy(), "stop": "。"}, {"sampler": Sample(seed=1, top_k=4)}):
        pieces = list(lm.stream(PROMPTS[0], max_new_tokens=8, **options))
        assert "".join(pieces) == lm.generate(PROMPTS[0], max_new_tokens=8, **options)
        assert len(pieces) > 1
    constraint = Template.of_lines(3, heads="山水")
    pieces = list(lm.stream(PROMPTS[0], constraint=constraint, max_new_tokens=8))
    assert (len(pieces), "".join(pieces)) == (8, lm.generate(PROMPTS[0], constraint=constraint, max_new_tokens=8))


@pytest.mark.usefixtures("uncompiled")
def test_texts_under_conditions(conditional):
    """What a text says depends on its own condition, whichever method writes it; `test_cached.py` has the numbers."""
    prompts, conditions = ["春眠不觉晓"] * 3, [[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]]
    texts = conditional.generate(prompts, condition=conditions, max_new_tokens=4)
    assert texts[0] == texts[2] != texts[1]
    for prompt, condition, text in zip(prompts, conditions, texts, strict=True):
        assert "".join(conditional.stream(prompt, condition=[condition], max_new_tokens=4)) == text
    with pytest.raises(InputError, match=r"the shape \(3, 2\), a row for each text. Received: \(2, 2\)"):
        conditional.generate(prompts, condition=conditions[:2])
    with pytest.raises(InputError, match="give `condition` of 2 values a row"):
        conditional.generate(prompts)


@pytest.mark.usefixtures("uncompiled")
def test_stop_strings(lm):
    whole = lm.generate(PROMPTS, max_new_tokens=8)
    stops = [whole[0][2:4], whole[1][1]]
    for text, stopped in zip(whole, lm.generate(PROMPTS, max_new_tokens=8, stop=stops), strict=True):
        ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
        assert stopped == (text[: min(ends)] if ends else text)
    found = lm.generate(PROMPTS, Beam(3), max_new_tokens=6, stop=stops)
    assert all(stop not in text[:-1] for text in found for stop in stops)


@pytest.mark.usefixtures("uncompiled")
def test_rules(lm):
    prompts = ["天天天天", "今天天气，今天天气，"]
    for sampler in (Greedy(), Beam(2)):
        for text in lm.generate(prompts, sampler, max_new_tokens=6, no_repeat_ngram_size=2):
            assert len({text[i : i + 2] for i in range(len(text) - 1)}) == max(0, len(text) - 1)
    banned = lm.generate(prompts[0], max_new_tokens=4)[0]
    assert banned not in lm.generate(prompts[0], max_new_tokens=4, banned=banned)
    begun = lm.generate(prompts, Beam(2), max_new_tokens=3, prefix=["山", "河水"])
    assert [begun[0][:1], begun[1][:2]] == ["山", "河水"]
    ids = [found[0][0] for found in lm.generate_ids(lm.prompt_ids(prompts), max_new_tokens=4, min_new_tokens=4)]
    assert [len(row) for row in ids] == [4, 4]


@pytest.mark.usefixtures("uncompiled")
def test_constraints(lm):
    choices = ["正面", "负面", "负面的话"]
    found = lm.generate(PROMPTS[:2], Beam(3, n_best=3), constraint=OneOf(choices), max_new_tokens=8, return_scores=True)
    for prompt, best in zip(PROMPTS, found, strict=False):
        scores = {}
        for choice in choices:
            given, ids = lm.prompt_ids([prompt])[0], [*lm.tokenizer.ids(choice), lm.tokenizer.sep_id]
            logits = np.asarray(lm.predict({"token_ids": np.array([[*given, *ids]])}, verbose=0)[0], "float64")
            logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
            scores[choice] = logits[np.arange(len(given) - 1, len(given) + len(ids) - 1), ids].sum()
        assert [each.text for each in best] == sorted(choices, key=scores.get, reverse=True)
        assert_close([each.score for each in best], sorted(scores.values(), reverse=True))

    passages = ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。"]
    for text in lm.generate(PROMPTS[:2], Sample(seed=0), constraint=FromPassages(passages), max_new_tokens=8):
        assert text
        assert any(text in passage for passage in passages)
    poem = lm.generate("诗：", Sample(seed=0), constraint=Template.of_lines(5, heads="春夏"), max_new_tokens=16)
    assert (poem[0], poem[5], poem[6], poem[11], len(poem)) == ("春", "，", "夏", "。", 12)
    # Whoever asks for two "哈哈" in a row and forbids them gets what there is before that, at the model's price for it.
    again = {"constraint": OneOf(["哈哈哈"]), "no_repeat_ngram_size": 2, "max_new_tokens": 8, "return_scores": True}
    for sampler in (Greedy(), Sample(seed=0), Beam(2)):
        text, score = lm.generate("他", sampler, **again)
        assert text == "哈哈"
        assert_close([score], [lm.score("他哈哈").log_probs[0][1:3].sum()])
        assert lm.generate("他", sampler, constraint=OneOf(["山水"]), min_new_tokens=5, max_new_tokens=8) == "山水"
    three = lm.generate("他", constraint=lambda index, ids: [] if len(ids) == 3 else [20 + len(ids)], max_new_tokens=8)
    assert lm.tokenizer.ids(three) == [20, 21, 22] or three == lm.tokenizer.decode([20, 21, 22])


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("folder", "theirs"),
    [("hf_gpt2_lm", "GPT2LMHeadModel"), ("hf_llama", "LlamaForCausalLM"), ("hf_t5_v1_0", "T5ForConditionalGeneration")],
)
def test_it_equals_transformers(folder, theirs, monkeypatch):
    """Three prompts of one length, since transformers counts padding as text that repeats."""
    import torch
    import transformers

    peer = getattr(transformers, theirs).from_pretrained(GOLDEN / folder)
    peer.generation_config.eos_token_id = None
    causal = "T5" not in theirs
    lm = (CausalLM if causal else Seq2SeqLM).from_pretrained(GOLDEN / folder)
    monkeypatch.setattr(type(lm), "end_ids", lambda self: ())
    rows = np.random.default_rng(0).integers(10, lm.backbone.config.vocab_size, (2, 6))
    for sampler, rules in (
        (Greedy(), Rules(1.5, 2)),
        (Beam(3, 1.0, 2), Rules(1.3, 2)),
    ):
        found = lm.generate_ids(rows.tolist(), sampler, max_new_tokens=8, rules=rules)
        expected = peer.generate(
            torch.tensor(rows),
            attention_mask=torch.ones(rows.shape, dtype=torch.long),
            do_sample=False,
            max_new_tokens=8,
            num_beams=sampler.width,
            num_return_sequences=sampler.n_best,
            repetition_penalty=rules.repetition_penalty,
            no_repeat_ngram_size=rules.no_repeat_ngram_size,
            pad_token_id=0,
        )
        start = rows.shape[1] if causal else 1
        assert [ids for each in found for ids, _ in each] == expected[:, start:].tolist()


def test_sampling_follows_the_distribution():
    """Chi-square over 20,000 draws, at the level 0.001, against the limits of transformers."""
    logits = np.array([2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -2.0, -4.0], "float32")[[3, 0, 6, 1, 7, 4, 2, 5]]
    draws = 20_000
    for sampler in (
        Sample(seed=0),
        Sample(temperature=0.5, seed=1),
        Sample(top_k=3, seed=2),
        Sample(top_p=0.8, seed=3),
        Sample(min_p=0.2, seed=4),
        Sample(typical=0.6, seed=5),
        Sample(temperature=2.0, top_k=6, top_p=0.9, min_p=0.1, seed=6),
    ):
        noise = np.random.default_rng(sampler.seed).random(draws, "float32")
        numbers = {name: np.float32(number) for name, number in sampler.numbers().items()}
        tokens = array(sampler.choose(ops.convert_to_tensor(np.tile(logits, (draws, 1))), noise, numbers))
        expected = limited(logits, sampler)
        counts = np.bincount(tokens, minlength=len(logits))
        assert not counts[expected == 0].any()
        kept = expected > 0
        statistic = ((counts[kept] - draws * expected[kept]) ** 2 / (draws * expected[kept])).sum()
        # 99.9 % quantiles of chi-square with 1 to 7 degrees of freedom.
        assert statistic < [10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32][kept.sum() - 2], sampler


def limited(logits, sampler):
    """The distribution that a `Sample` draws from, by transformers."""
    import torch
    import transformers

    warpers = {
        "temperature": transformers.TemperatureLogitsWarper,
        "top_k": transformers.TopKLogitsWarper,
        "top_p": transformers.TopPLogitsWarper,
        "min_p": transformers.MinPLogitsWarper,
        "typical": transformers.TypicalLogitsWarper,
    }
    scores = torch.tensor(logits[None], dtype=torch.float64)
    for name, warper in warpers.items():
        if getattr(sampler, name) is not None:
            scores = warper(getattr(sampler, name))(None, scores)
    return torch.softmax(scores, -1)[0].numpy()


def test_stop_table_equals_a_search_in_the_text():
    generator = np.random.default_rng(0)
    tokens = [b"", b"a", b"b", b"ab", b"ba", b"aab", b"c"]
    for stops in ([b"ab"], [b"aa", b"bab"], [b"c", b"abab"]):
        table = stop_table(tokens, stops, end_ids=[0])
        for _ in range(200):
            ids, state, text, ended = generator.integers(0, len(tokens), 6), 0, b"", False
            for id in ids:
                state, text = table[state, id], text + tokens[id]
                ended = ended or id == 0 or any(stop in text for stop in stops)
                assert (state == len(table) - 1) == ended


def test_scores(lm):
    texts = ["春眠不觉晓", "今天天气不错，我们出去走走吧。"]
    scores = lm.score(texts)
    for text, ids, found in zip(texts, scores.token_ids, scores.log_probs, strict=True):
        encoded = lm.tokenizer.encode(text).token_ids
        logits = np.asarray(lm.predict({"token_ids": np.array([encoded])}, verbose=0)[0], "float64")
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        assert ids == encoded[1:]
        assert_close(found, logits[np.arange(len(ids)), ids])
    assert_close(scores.perplexity, [np.exp(-row.mean()) for row in scores.log_probs])
    assert_close(scores.total_perplexity, np.exp(-np.concatenate(scores.log_probs).mean()))


@pytest.mark.parametrize("kind", ["unilm", "conditional", "t5"])
def test_scores_of_answers(kind, unilm, conditional):
    """Against one pass over each pair alone, without padding."""
    sources, targets = ["今天天气不错", "春"], ["我", "处处闻啼鸟"]
    conditions = np.array([[1.0, 0.0], [0.0, 2.0]], "float32") if kind == "conditional" else None
    if kind == "t5":
        lm = small_model("t5", "seq2seq_lm", vocab_size=len(unilm.tokenizer.vocab), max_position_embeddings=64)
        lm.tokenizer = unilm.tokenizer
    else:
        lm = conditional if kind == "conditional" else unilm
    scores = lm.score(sources, targets, condition=conditions)
    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        given, pair = lm.tokenizer.encode(source).token_ids, lm.tokenizer.encode(source, target)
        scored = lm.tokenizer.encode(target).token_ids if kind == "t5" else pair.token_ids[len(given) :]
        if kind == "t5":
            inputs = {"token_ids": [given], "decoder_token_ids": [[lm.backbone.config.start_token_id, *scored[:-1]]]}
        else:
            inputs = {"token_ids": [pair.token_ids[:-1]], "segment_ids": [pair.segment_ids[:-1]]}
        if conditions is not None:
            inputs["condition"] = conditions[i : i + 1]
        logits = array(lm({name: np.array(value) for name, value in inputs.items()}))[0, -len(scored) :]
        logits = logits.astype("float64")
        expected = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))[np.arange(len(scored)), scored]
        assert scores.token_ids[i] == scored
        assert_close(scores.log_probs[i], expected)


def test_masks_are_filled_together(embedded):
    texts = ["中华人民[MASK][MASK][MASK]", "北京[MASK]学的学生，他是一个[MASK][MASK][MASK]人。"]
    assert embedded.write(texts[0], MaskPredict(1)) == embedded.fill_mask(texts[0], 1).text
    drawn = embedded.write(texts, Gibbs(2, seed=0))
    assert drawn == embedded.write(texts, Gibbs(2, seed=0))
    assert drawn[0] == embedded.write(texts[0], Gibbs(2, seed=0))
    for text in [*embedded.write(texts), *drawn]:
        assert "[" not in text


def test_mask_predict_and_gibbs_by_their_laws():
    """A model of two tokens a place, which depend on one another: Gibbs draws from the joint distribution."""
    joint = np.array([[0.4, 0.1], [0.15, 0.35]])

    def log_probs(ids):
        first, second = (
            (joint[:, b] / joint[:, b].sum() if b < 2 else joint.sum(1) for b in ids[:, 1]),
            (joint[a] / joint[a].sum() if a < 2 else joint.sum(0) for a in ids[:, 0]),
        )
        return np.log(np.stack([list(first), list(second)], axis=1))

    rows = 4000
    ids, places = np.full((rows, 2), 2), np.tile([0, 1], (rows, 1))
    drawn, _ = Gibbs(3, seed=0).fill(log_probs, ids, places, 2)
    counts = np.array([[(drawn == (a, b)).all(axis=1).sum() for b in (0, 1)] for a in (0, 1)])
    assert ((counts - rows * joint) ** 2 / (rows * joint)).sum() < 16.27  # 99.9 %, three degrees of freedom
    filled, scores = MaskPredict(2).fill(log_probs, ids[:1], places[:1], 2)
    assert filled.tolist() == [[0, 0]]
    assert_close(scores[0], np.log([0.4 / 0.55, 0.55]))


def test_errors(lm, unilm):
    bare = CausalLM(lm.backbone)
    bare.tokenizer = None
    for call, message in (
        (lambda: lm.generate("山" * 500), r"`prompts\[0\]` has 501 tokens, and 64 may be written"),
        (lambda: lm.generate_ids([[]]), r"`prompts\[0\]` is empty"),
        (lambda: lm.generate([3]), r"`prompts\[0\]` must be a string"),
        (lambda: lm.generate(5), "`prompts` must be a string or a list"),
        (lambda: bare.generate("山"), "no tokenizer"),
        (lambda: Sample(top_p=1.2, temperature=0), "`top_p` must be above 0 and at most 1. Received: 1.2\n.temp"),
        (lambda: Sample(top_k=0), "`top_k`"),
        (lambda: lm.generate("山", "greedy"), "`sampler` must be"),
        (lambda: lm.generate("山", max_new_tokens=0), "`max_new_tokens` must be"),
        (lambda: lm.generate("山", min_new_tokens=65), "`min_new_tokens` must be from 0 to"),
        (lambda: lm.generate("山", stop=""), "`stop` must hold"),
        (lambda: lm.generate("山", repetition_penalty=0), "`repetition_penalty`"),
        (lambda: lm.generate("山", banned="不在词表里"), "no token of the vocabulary"),
        (lambda: lm.generate("山", prefix=["一", "二"]), "1 prompts, but 2 prefixes"),
        (lambda: lm.generate("山", condition=[[1.0]]), "no conditional norms"),
        (lambda: lm.stream(["山"]), "`stream` continues one string"),
        (lambda: lm.stream("山", Beam(1)), "from left to right"),
        (lambda: lm.score("山", "水"), "leave `targets` away"),
        (lambda: unilm.score("山"), "give `targets`"),
        (lambda: unilm({"token_ids": np.array([[2, 3]])}), "UniLM needs `segment_ids`"),
        (lambda: UniLM("bert-tiny-zh"), "UniLM.from_pretrained"),
        (lambda: OneOf([]), "`texts` must hold"),
        (lambda: Template.of_lines(5), "A poem has lines"),
        (lambda: MaskPredict(0), "`rounds`"),
        (lambda: Gibbs(temperature=0), "`temperature`"),
    ):
        with pytest.raises(InputError, match=message):
            pytest.fail(f"no error {message!r}, but {call()!r}")
    assert lm.generate([]) == []


def test_a_damaged_model_is_told():
    lm = CausalLM.from_pretrained(GOLDEN / "hf_gpt2_lm")
    lm.backbone.final_norm.gamma.assign(np.full(lm.backbone.final_norm.gamma.shape, np.nan))
    with pytest.raises(NonFiniteOutput, match=r"prompts\[0\]"):
        lm.generate_ids([[3, 4]], max_new_tokens=2)
