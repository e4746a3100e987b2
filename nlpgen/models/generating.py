"""`generate`, `stream` and `score`: what the language models that write have in common."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from keras import ops

from nlpgen.errors import InputError, NonFiniteOutput
from nlpgen.generation import Beam, Greedy, Rules, Sampler
from nlpgen.models.decoding import TokenScoring
from nlpgen.models.writer import Programs, Request, Writer
from nlpgen.text import bucket, check_texts, length_batches

TOKENS_PER_BATCH = 8192


class Generated(NamedTuple):
    """A text and its score."""

    text: str
    score: float


@dataclass(frozen=True)
class Scores:
    """What `score` found.

    Attributes:
        token_ids: for each text the ids that were scored, the end of the text among them.
        log_probs: for each text an array of their log-probabilities.
        perplexity: for each text `exp` of the mean of the negative log-probabilities; an array.
        total_perplexity: the same over all tokens together.
    """

    token_ids: list
    log_probs: list

    @property
    def perplexity(self):
        return np.array([np.exp(-row.mean()) for row in self.log_probs])

    @property
    def total_perplexity(self):
        return float(np.exp(-np.concatenate(self.log_probs).mean()))


class TextGenerator:
    """What a language model that writes gets from its parts.

    A subclass has `backbone`, `tokenizer` and `jit_compile`, and defines `prompt_ids`, `last_ids`, `context`, `read`,
    `next_logits`, `empty_cache`, `end_ids` and `room`, and to be scored `scored_ids` and `scoring_inputs`.
    """

    continues = True  # whether what is written stands behind the prompt

    def generate(
        self,
        prompts,
        sampler=None,
        *,
        max_new_tokens=64,
        min_new_tokens=1,
        stop=None,
        constraint=None,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        banned=(),
        prefix="",
        condition=None,
        return_scores=False,
        batch_size=32,
    ):
        """Continue texts, or answer sources: prompts of different lengths in batches, keys and values kept.

        A text does not depend on what else is in its batch.

        Args:
            prompts: a string, or a list of strings.
            sampler: `Greedy()` by default, `Sample(…)` or `Beam(…)`.
            max_new_tokens: most tokens that are written.
            min_new_tokens: fewest tokens of a text that ends, the end included.
            stop: a string or several; a text ends behind the first that it contains. Besides, the model's own token
                ends it. Where spaces are no tokens (BERT's vocabularies) they are not compared.
            constraint: what may be written, see `Constraint`, or a function of the prompt's index and the ids written
                so far that gives the ids that may follow, none if the text is finished, `None` if all may.
            repetition_penalty, no_repeat_ngram_size: see `Rules`; the prompt counts where it is continued.
            banned: strings; no token that has one of them in it is written.
            prefix: what each text begins with: a string, or a list of one for each prompt.
            condition: `(prompts, condition_size)`, for a `UniLM` with conditional norms.
            return_scores: whether `Generated` tuples are given back, `(text, score)`: the log-probability of the text,
                and with `Beam` what it ranks by.
            batch_size: most hypotheses that are worked on at once.

        Returns:
            What was written, without the prompt: a string for a string, a list for a list; where the sampler has
            `n_best` above 1, a list of texts for each prompt, the best first.

        Raises:
            InputError: if a prompt is empty or too long, a setting is out of range, or the model has no tokenizer.
            NonFiniteOutput: if the model gives NaN.
        """
        texts, rows = self._prompts(prompts)
        request = self._request(
            texts,
            sampler,
            max_new_tokens,
            min_new_tokens,
            stop,
            constraint,
            Rules(repetition_penalty, no_repeat_ngram_size, self._banned_ids(banned)),
            prefix,
            batch_size,
            condition,
        )
        self._check(request, rows)
        results = [
            [Generated(self._text(row, ids, request.stops), score) for ids, score in found]
            for row, found in zip(rows, self._found(rows, request), strict=True)
        ]
        if not return_scores:
            results = [[each.text for each in found] for found in results]
        if request.sampler.n_best == 1:
            results = [found[0] for found in results]
        return results[0] if isinstance(prompts, str) else results

    def stream(
        self,
        prompt,
        sampler=None,
        *,
        max_new_tokens=64,
        min_new_tokens=1,
        stop=None,
        constraint=None,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        banned=(),
        prefix="",
        condition=None,
    ):
        """Continue one text, and give each piece as soon as it is there.

        Args:
            prompt: a string.
            sampler: `Greedy()` by default, or `Sample(…)`; a beam has no text before its end.
            others: see `generate`.

        Returns:
            An iterator of strings; together they are what `generate` gives. None ends within a character.

        Raises:
            InputError: see `generate`.
        """
        if not isinstance(prompt, str):
            raise InputError(f"`stream` continues one string, `generate` several. Received: {type(prompt).__name__}")
        if isinstance(sampler, Beam):
            raise InputError(f"`stream` writes from left to right: Greedy() or Sample(…). Received: {sampler!r}")
        texts, rows = self._prompts(prompt)
        rules = Rules(repetition_penalty, no_repeat_ngram_size, self._banned_ids(banned))
        request = self._request(
            texts, sampler, max_new_tokens, min_new_tokens, stop, constraint, rules, prefix, 1, condition
        )
        self._check(request, rows)
        return self._pieces(rows, request)

    def score(self, texts, targets=None, *, condition=None, max_length=None, tokens_per_batch=1024):
        """Log-probabilities of texts, token by token.

        Args:
            texts: strings, or one. Each is scored from its first token, or from the second where the model has no
                token that starts a text, to its end, which counts where the model has a token for it.
            targets: with a model that answers sources, the answers to be scored, one for each text.
            condition: see `generate`.
            max_length: longer texts are cut; by default they are refused.
            tokens_per_batch: how many are worked on at once; each has logits of the whole vocabulary.

        Returns:
            `Scores`.

        Raises:
            InputError: if a text is empty or too long, or the model has no tokenizer.
            NonFiniteOutput: if the model gives NaN or infinity.
        """
        texts = self._prompts(texts)[0]
        if self.continues != (targets is None):
            what = "continues texts: leave `targets` away" if self.continues else "answers sources: give `targets`"
            raise InputError(f"This {type(self).__name__} {what}.")
        if targets is not None:
            targets = check_texts([targets] if isinstance(targets, str) else targets, "targets")
            if len(targets) != len(texts):
                raise InputError(f"Got {len(texts)} texts, but {len(targets)} targets. Give as many of both.")
        pairs = self.scored_ids(texts, targets, max_length)
        for i, (given, scored) in enumerate(pairs):
            room = self.room()
            if not scored or (room is not None and len(given) + len(scored) > room):
                why = f"has {len(given) + len(scored):,} tokens, but the model reads {room:,}" if scored else "is empty"
                raise InputError(f"`texts[{i}]` {why}. Take it out, or cut texts with `max_length`.")
        condition = self._condition(condition, len(pairs))
        found, scorer = [None] * len(pairs), self.programs.get("score", lambda: TokenScoring(self))
        for indices, length in length_batches([len(g) + len(s) for g, s in pairs], tokens_per_batch):
            length = length if self.room() is None else min(length, self.room())
            inputs = self.scoring_inputs([pairs[i] for i in indices], length)
            if condition is not None:
                inputs["model"]["condition"] = condition[indices]
            rows = scorer.predict_on_batch(inputs)
            for i, row in zip(indices, rows, strict=True):
                found[i] = np.asarray(row[: len(pairs[i][1])], dtype="float32")
                if not np.isfinite(found[i]).all():
                    raise NonFiniteOutput(f"The model gave NaN or infinity for `texts[{i}]`: its weights are damaged.")
        return Scores([scored for _, scored in pairs], found)

    def generate_ids(
        self,
        rows,
        sampler=None,
        *,
        max_new_tokens=64,
        min_new_tokens=1,
        constraint=None,
        rules=None,
        condition=None,
        batch_size=32,
    ):
        """`generate` on token ids, with or without a tokenizer.

        Args:
            rows: lists of ids.
            constraint: see `generate`; a `Constraint` needs the tokenizer, a function does not.
            rules: `Rules(…)`; none by default.
            others: see `generate`.

        Returns:
            For each row a list of `(ids, score)`, the best first; the end is one of the ids.
        """
        sampler = Greedy() if sampler is None else sampler
        request = Request(
            sampler,
            max_new_tokens,
            min_new_tokens,
            constraint=constraint,
            rules=rules or Rules(),
            batch_size=batch_size,
            condition=self._condition(condition, len(rows)),
        )
        self._check(request, rows)
        return self._found(rows, request)

    @property
    def programs(self):
        """The compiled functions, by what they were made for; the most recently used ones are kept."""
        if not hasattr(self, "_programs"):
            self._programs = Programs()
        return self._programs

    def _prompts(self, prompts):
        if self.tokenizer is None:
            raise InputError(
                "This model has no tokenizer. Load it from a folder with a vocabulary, set `tokenizer`, or use "
                "`generate_ids`."
            )
        if not isinstance(prompts, str) and not hasattr(prompts, "__iter__"):
            raise InputError(f"`prompts` must be a string or a list of strings. Received: {prompts!r:.80}")
        texts = check_texts([prompts] if isinstance(prompts, str) else prompts, "prompts")
        return texts, self.prompt_ids(texts)

    def _request(self, texts, sampler, most, fewest, stop, constraint, rules, prefix, batch_size, condition=None):
        prefixes = [prefix] * len(texts) if isinstance(prefix, str) else check_texts(prefix, "prefix")
        if len(prefixes) != len(texts):
            raise InputError(f"Got {len(texts)} prompts, but {len(prefixes)} prefixes. Give as many of both, or one.")
        return Request(
            sampler=Greedy() if sampler is None else sampler,
            max_new_tokens=most,
            min_new_tokens=fewest,
            stops=tuple(check_texts([stop] if isinstance(stop, str) else stop or (), "stop")),
            constraint=constraint,
            rules=rules,
            forced=tuple(self.tokenizer.ids(prefixes)) if any(prefixes) else (),
            batch_size=batch_size,
            condition=self._condition(condition, len(texts)),
        )

    def _condition(self, condition, count):
        if condition is None:
            return None
        size = getattr(self.backbone.config, "condition_size", None)
        if size is None:
            raise InputError("This model has no conditional norms, so `condition` would not be read: leave it away.")
        condition = np.asarray(condition, "float32")
        if condition.shape != (count, size):
            raise InputError(
                f"`condition` must have the shape ({count}, {size}), a row for each text. Received: {condition.shape}"
            )
        return condition

    def _banned_ids(self, banned):
        banned = (banned,) if isinstance(banned, str) else banned
        tokens, found = self.tokenizer.token_bytes() if banned else [], set()
        for text in banned:
            ids = {id for id, token in enumerate(tokens) if text and text.encode() in token}
            if not ids:
                raise InputError(f"`banned` has {text!r}, but no token of the vocabulary has this in it.")
            found |= ids
        return tuple(sorted(found))

    def _check(self, request, rows):
        problems, longest = [], self.room()
        if not isinstance(request.sampler, Sampler):
            problems.append(f"`sampler` must be Greedy(), Sample(…) or Beam(…). Received: {request.sampler!r:.60}")
        if not isinstance(request.max_new_tokens, int) or request.max_new_tokens < 1:
            problems.append(f"`max_new_tokens` must be a whole number, 1 or more. Received: {request.max_new_tokens!r}")
        elif not 0 <= request.min_new_tokens <= request.max_new_tokens:
            problems.append(
                f"`min_new_tokens` must be from 0 to `max_new_tokens` ({request.max_new_tokens}). "
                f"Received: {request.min_new_tokens!r}"
            )
        if not isinstance(request.batch_size, int) or request.batch_size < 1:
            problems.append(f"`batch_size` must be a whole number, 1 or more. Received: {request.batch_size!r}")
        problems += [f"`stop` must hold strings that are not empty. Received: {s!r}" for s in request.stops if not s]
        if problems:
            raise InputError("\n".join(problems))
        for i, row in enumerate(rows):
            size = len(row) + request.max_new_tokens
            if not len(row):
                problems.append(
                    f"`prompts[{i}]` is empty, and this model has no token that starts a text. Give a text."
                )
            elif longest is not None and size > longest:
                problems.append(
                    f"`prompts[{i}]` has {len(row):,} tokens, and {request.max_new_tokens:,} may be written "
                    f"(`max_new_tokens`), but the model reads {longest:,} in all. Shorten one of them."
                )
        if problems:
            raise InputError("\n".join(problems[:10]))

    def _found(self, rows, request):
        """For each row of ids a list of `(ids, score)`."""
        if not rows:
            return []
        writer, results = Writer(self, request, rows), [None] * len(rows)
        per_batch = max(1, request.batch_size // request.sampler.width)
        for indices, length in length_batches([len(row) for row in rows], TOKENS_PER_BATCH, per_batch):
            out = writer.write([int(i) for i in indices], length)
            ids, lengths, scores = (ops.convert_to_numpy(out[name]) for name in ("token_ids", "lengths", "scores"))
            for at, i in enumerate(indices):
                if np.isnan(scores[at]).any():
                    raise NonFiniteOutput(f"The model gave NaN for `prompts[{i}]`: its weights are damaged.")
                kept = [k for k, score in enumerate(scores[at]) if k == 0 or score > float("-inf")]
                results[i] = [(ids[at, k, : lengths[at, k]].tolist(), float(scores[at, k])) for k in kept]
        return results

    def _pieces(self, rows, request):
        """The text as it grows; what may still change, half a character, waits."""
        given = ""
        for out in Writer(self, request, rows).steps([0], bucket(len(rows[0]))):
            ids, size = (ops.convert_to_numpy(out[name])[0, 0] for name in ("token_ids", "lengths"))
            ids = ids[:size].tolist()
            text = self._text(rows[0], ids, request.stops)
            if text.startswith(given) and len(text) > len(given) and not text.endswith("\ufffd"):
                yield text[len(given) :]
                given = text
        if len(text) > len(given):
            yield text[len(given) :]

    def _text(self, prompt, ids, stops):
        """What was written as a string, up to the first stop string."""
        before = self.tokenizer.decode(prompt) if self.continues else ""
        text = self.tokenizer.decode([*prompt, *ids] if self.continues else ids)
        text = text[len(before) :] if text.startswith(before) else self.tokenizer.decode(ids)
        ends = [found.end() for stop in stops if (found := _pattern(stop).search(text))]
        return text[: min(ends)] if ends else text


def _pattern(stop):
    """Where a stop string stands in a text; spaces that decoding puts between words do not count."""
    return re.compile(r"\s*".join(map(re.escape, stop.replace(" ", ""))) or re.escape(stop))
