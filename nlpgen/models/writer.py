"""Batches of prompts through the compiled functions: texts at once, under a constraint, or as a stream."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

import numpy as np
from keras import ops

from nlpgen.generation import Rules, Sampler, stop_table
from nlpgen.models.decoding import Decoding
from nlpgen.text import bucket, pad

PROGRAMS = 32


@dataclass(frozen=True)
class Request:
    """What `generate` was asked for, apart from the prompts; see there."""

    sampler: Sampler
    max_new_tokens: int
    min_new_tokens: int = 1
    stops: tuple = ()
    constraint: object = None
    rules: Rules = field(default_factory=Rules)
    forced: tuple = ()
    batch_size: int = 32
    condition: object = None


class Programs:
    """Compiled functions by what they were made for; those used last are kept, 32 of them."""

    def __init__(self):
        self._made = OrderedDict()

    def __len__(self):
        return len(self._made)

    def get(self, key, make):
        """The one of a key, made if there is none."""
        self._made[key] = self._made.pop(key, None) or make()
        if len(self._made) > PROGRAMS:
            self._made.popitem(last=False)
        return self._made[key]


class Writer:
    """Answers a request for batches of prompts.

    Args:
        lm: a `TextGenerator`.
        request: a `Request`.
        rows: the ids of all prompts.
    """

    def __init__(self, lm, request, rows):
        self.lm, self.request, self.rows = lm, request, rows
        self.sampler, self.end_ids = request.sampler, lm.end_ids()
        self.places = bucket(request.max_new_tokens)
        self.noise = self.sampler.noise(len(rows), self.places)
        self.writable = self._writable()
        self.common = {
            "limit": np.array(request.max_new_tokens, "int32"),
            "min_new_tokens": np.array(request.min_new_tokens, "int32"),
            **request.rules.inputs(),
        }
        if self.sampler.numbers():
            self.common["numbers"] = {name: np.float32(n) for name, n in self.sampler.numbers().items()}
        if request.stops:
            self.common["stops"] = self._stop_table()
        if not self.writable.all():
            self.common["allowed"] = self.writable[None]

    def write(self, indices, length):
        """Continue the prompts at some indices, whose padded length is given: the output of `Decoding`."""
        if self.request.constraint is not None:
            return deque(self.steps(indices, length), maxlen=1).pop()
        inputs = self._inputs(indices, length)
        return self._program(inputs, stepwise=False).run({**inputs, "until": inputs["limit"]})

    def steps(self, indices, length):
        """The same a token at a time: the output of `Decoding` after each."""
        inputs, constraint = self._inputs(indices, length), self.request.constraint
        if hasattr(constraint, "bound"):
            constraint = constraint.bound(self.lm.tokenizer, self.end_ids)
        rows, search, program = len(inputs["last"]), None, None
        for n in range(self.request.max_new_tokens):
            if constraint is not None:
                inputs["allowed"] = self._allowed(indices, constraint, search, n, rows)
            program = program or self._program(inputs, stepwise=True)
            out = program.run({**inputs, "until": np.array(n + 1, "int32")})
            search = out["search"]
            if int(search["n"]) <= n:
                return
            yield out
            inputs = {name: value for name, value in inputs.items() if name not in ("prompts", "last")}
            inputs |= {"read": out["read"], "search": search}

    def _allowed(self, indices, constraint, search, n, rows):
        """What may come next: bool `(rows * width, vocab_size)`, no token behind a text that has ended."""
        width, size = self.sampler.width, len(self.writable)
        allowed = np.zeros((rows, width, size), "bool")
        tokens, live = np.zeros((rows, width, 0), "int32"), np.ones((rows, width), "bool")
        if search is not None:
            tokens, live = ops.convert_to_numpy(search["tokens"]), ops.convert_to_numpy(self.sampler.live(search))
        for at, index in enumerate(indices):
            for k in np.flatnonzero(live[at]):
                ids = constraint(index, tokens[at, k, :n].tolist())
                any_may = ids is None or n < self._forced_size(index)
                chosen = np.arange(size) if any_may else np.array(list(ids), "int32")
                allowed[at, k, chosen] = self.writable[chosen]
        return allowed.reshape(-1, size)

    def _forced_size(self, index):
        return len(self.request.forced[index]) if self.request.forced else 0

    def _inputs(self, indices, length):
        """The arrays of a first call; the batch is filled up with copies of its first prompt."""
        indices = [*indices, *[indices[0]] * (_row_bucket(len(indices)) - len(indices))]
        rows = [self.rows[i] for i in indices]
        room = self.lm.room()
        length = length if room is None else min(length, room)
        inputs = {
            **self.common,
            "prompts": {"token_ids": pad(rows, 0, length), "lengths": np.array([len(row) for row in rows], "int32")},
            "last": self.lm.last_ids(rows),
        }
        if self.request.condition is not None:
            inputs["prompts"]["condition"] = self.request.condition[indices]
        if self.noise is not None:
            inputs["noise"] = self.noise[indices]
        rules = self.request.rules
        if rules.no_repeat_ngram_size or rules.repetition_penalty != 1:
            context = self.lm.context(rows)
            size = bucket(max(map(len, context), default=0))
            inputs["context"] = np.array([[-1] * (size - len(row)) + [*row] for row in context], "int32")
        if self.request.forced:
            inputs["forced"] = pad([self.request.forced[i] for i in indices], -1, self.places)
        return inputs

    def _program(self, inputs, stepwise):
        ngram_size, shape = self.request.rules.no_repeat_ngram_size, self.sampler.shape()
        sizes = {name: inputs[name].shape for name in ("context", "stops", "allowed") if name in inputs}
        key = shape, self.places, self.end_ids, ngram_size, stepwise, inputs["prompts"]["token_ids"].shape
        return self.lm.programs.get(
            (key, *sorted(inputs), *sizes.values()),
            lambda: Decoding(self.lm, self.sampler, self.places, self.end_ids, ngram_size, stepwise),
        )

    def _writable(self):
        """Which ids have a token at all, and are not banned: bool `(vocab_size,)`."""
        allowed, tokenizer = np.ones(self.lm.backbone.config.vocab_size, "bool"), self.lm.tokenizer
        if tokenizer is not None:
            allowed[len(tokenizer.vocab) :] = False
        allowed[list(self.request.rules.banned)] = False
        return allowed

    def _stop_table(self):
        tokens = self.lm.tokenizer.token_bytes()
        tokens += [b""] * (len(self.writable) - len(tokens))
        stops = [stop.encode() for stop in self.request.stops]
        if not any(b" " in token for token in tokens):
            stops = [stop.replace(b" ", b"") for stop in stops]
        table = stop_table(tokens, stops, self.end_ids)
        # The last state gets the number of a bucket, so that few functions are compiled.
        size, last = bucket(len(table)), len(table) - 1
        return np.pad(np.where(table == last, size - 1, table), ((0, size - 1 - last), (0, 0)), mode="edge")


def _row_bucket(rows):
    """1, 2, 3, 4, 6, 8, 12, 16, 24, 32, …: few sizes, so that few functions are compiled."""
    power = 1 << (rows - 1).bit_length()
    return power * 3 // 4 if power > 2 and rows <= power * 3 // 4 else power
