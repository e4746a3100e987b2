"""`nlpgen generate` and `nlpgen perplexity`: texts from a language model, and how likely it finds others."""

import json
import sys
from pathlib import Path

from nlpgen.cli_options import add_model_options
from nlpgen.errors import InputError
from nlpgen.generation import Beam, Greedy, Sample
from nlpgen.models import CausalLM, Seq2SeqLM, UniLM

KINDS = {"causal": CausalLM, "seq2seq": Seq2SeqLM, "unilm": UniLM}


def add_generate(verbs):
    """Add both verbs to the parsers of `nlpgen`."""
    verb = verbs.add_parser("generate", help="continue texts, or answer sources; one text is printed as it comes")
    verb.add_argument("prompt", nargs="*", help="texts (default: a text a line from standard input)")
    verb.add_argument("--max-new-tokens", type=int, default=64, metavar="N", help="most tokens (default 64)")
    verb.add_argument("--stop", action="append", metavar="TEXT", help="end behind this; may be given several times")
    verb.add_argument("--sample", action="store_true", help="by chance instead of the likeliest token each time")
    for name, kind, meaning in (
        ("temperature", float, "divides the logits"),
        ("top-k", int, "only the k likeliest tokens"),
        ("top-p", float, "only the likeliest with this probability together"),
        ("min-p", float, "only tokens with this part of the largest probability"),
        ("seed", int, "the same seed gives the same texts"),
    ):
        verb.add_argument(f"--{name}", type=kind, metavar="X", help=f"{meaning}; means --sample")
    verb.add_argument("--beams", type=int, metavar="N", help="beam search with N hypotheses")
    verb.add_argument("--length-penalty", type=float, default=0.0, metavar="X", help="of --beams (default 0)")
    verb.add_argument("--repetition-penalty", type=float, default=1.0, metavar="X", help="default 1, none")
    verb.add_argument("--no-repeat-ngram-size", type=int, default=0, metavar="N", help="default 0, no limit")
    verb.add_argument("--json", action="store_true", help="print JSON lines with scores")
    _add_model(verb)
    verb.set_defaults(run=run_generate)

    verb = verbs.add_parser("perplexity", help="how likely a language model finds texts")
    verb.add_argument("file", nargs="?", help="a text a line, in UTF-8 (default: standard input)")
    verb.add_argument("--max-length", type=int, metavar="N", help="longer texts are cut (default: refused)")
    verb.add_argument("--json", action="store_true", help="print JSON lines, log-probabilities included")
    _add_model(verb)
    verb.set_defaults(run=run_perplexity)


def run_generate(options):
    """Run the verb: what was written goes to standard output."""
    sampler, prompts = _sampler(options), options.prompt or _lines(None)
    settings = {
        "max_new_tokens": options.max_new_tokens,
        "stop": options.stop,
        "repetition_penalty": options.repetition_penalty,
        "no_repeat_ngram_size": options.no_repeat_ngram_size,
    }
    lm = _model(options)
    if len(prompts) == 1 and not options.json and sampler.width == 1:
        for piece in lm.stream(prompts[0], sampler, **settings):
            print(piece, end="", flush=True)
        print()
        return
    found = lm.generate(prompts, sampler, return_scores=True, **settings)
    for prompt, (text, score) in zip(prompts, found, strict=True):
        row = {"prompt": prompt, "text": text, "score": round(score, 6)}
        print(json.dumps(row, ensure_ascii=False) if options.json else text)


def run_perplexity(options):
    """Run the verb: a line for each text, and the perplexity over all on standard error."""
    texts = _lines(options.file)
    if options.kind != "causal":
        raise InputError("`nlpgen perplexity` scores whole texts: --kind causal.")
    scores = _model(options).score(texts, max_length=options.max_length)
    for text, perplexity, row in zip(texts, scores.perplexity, scores.log_probs, strict=True):
        if options.json:
            found = {"text": text, "perplexity": float(perplexity), "log_probs": [round(float(x), 6) for x in row]}
            print(json.dumps(found, ensure_ascii=False))
        else:
            print(f"{perplexity:.2f}\t{text}")
    tokens = sum(map(len, scores.log_probs))
    print(f"nlpgen: perplexity {scores.total_perplexity:.2f} over {tokens:,} tokens", file=sys.stderr)


def _add_model(verb):
    verb.add_argument(
        "--kind", choices=tuple(KINDS), default="causal", help="what the model is: causal (default), seq2seq, unilm"
    )
    add_model_options(verb, default="gpt-tiny-zh")


def _model(options):
    return KINDS[options.kind].from_pretrained(options.model, model_type=options.model_type, dtype=options.dtype)


def _sampler(options):
    given = {name: getattr(options, name) for name in ("temperature", "top_k", "top_p", "min_p", "seed")}
    given = {name: value for name, value in given.items() if value is not None}
    if options.beams is not None:
        if given or options.sample:
            raise InputError("--beams finds the likeliest text; leave --sample and its options away, or --beams.")
        return Beam(options.beams, options.length_penalty)
    return Sample(**given) if given or options.sample else Greedy()


def _lines(path):
    try:
        text = sys.stdin.read() if path is None else Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path or 'the input'} is not UTF-8. Convert it: iconv -f gbk -t utf-8") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path or 'The input'} has no text.")
    return lines
