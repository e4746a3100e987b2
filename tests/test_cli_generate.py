"""`nlpgen generate` and `nlpgen perplexity` in this process."""

import io
import json

import pytest

from nlpgen import CausalLM
from nlpgen.cli import main
from nlpgen.generation import Sample


def test_generate_prints_what_generate_gives(capsys, monkeypatch):
    lm = CausalLM.from_pretrained("gpt-tiny-zh", num_hidden_layers=1)
    monkeypatch.setattr("nlpgen.cli_generate._model", lambda options: lm)
    prompts, sampler = ["今天天气", "春眠"], Sample(top_k=5, seed=1)
    expected = lm.generate(prompts, sampler, max_new_tokens=6, return_scores=True)
    options = ["--top-k", "5", "--seed", "1", "--max-new-tokens", "6"]
    assert main(["generate", *prompts, *options, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["prompt"], row["text"]) for row in rows] == [
        (p, e.text) for p, e in zip(prompts, expected, strict=True)
    ]

    monkeypatch.setattr("sys.stdin", io.StringIO(prompts[0] + "\n\n"))
    assert main(["generate", *options]) == 0
    assert capsys.readouterr().out == expected[0].text + "\n"

    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(prompts)))
    assert main(["perplexity"]) == 0
    captured, scores = capsys.readouterr(), lm.score(prompts)
    assert captured.out.splitlines() == [f"{p:.2f}\t{t}" for p, t in zip(scores.perplexity, prompts, strict=True)]
    assert f"perplexity {scores.total_perplexity:.2f} over" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "山", "--beams", "2", "--sample"], "leave --sample"),
        (["generate", "山", "--top-p", "2"], "`top_p` must be above 0"),
        (["perplexity", "none.txt"], "none.txt"),
        (["perplexity", "--kind", "unilm", "texts.txt"], "--kind causal"),
        (["perplexity", "empty.txt"], "has no text"),
    ],
)
def test_errors(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("山水\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
