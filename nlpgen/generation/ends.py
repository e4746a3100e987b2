"""What ends a text: tokens, or strings, as an automaton over tokens."""

from dataclasses import dataclass

import numpy as np
from keras import ops


@dataclass(frozen=True)
class Ends:
    """When a text has ended.

    Attributes:
        token_ids: the tokens that end a text; none if only its length does.
        min_new_tokens: fewest tokens of a text that ends, the end included; an int or a scalar tensor.
        min_ends: how many such tokens stand in a text that ends, the last one as its end.
        stops: `None`, or a table from `stop_table`; `min_ends` is then 1.
    """

    token_ids: tuple = ()
    min_new_tokens: object = 1
    min_ends: int = 1
    stops: object = None

    def start(self, rows):
        """The state of texts without any token, `(rows,)`."""
        return ops.zeros((rows,), "int32")

    def after(self, state, token_ids):
        """The state after one token more each; both `(rows,)`."""
        if self.stops is not None:
            at = ops.cast(state, "int32") * self.stops.shape[1] + ops.cast(token_ids, "int32")
            return ops.take(ops.reshape(self.stops, (-1,)), at, axis=0)
        ends = ops.cast(self._marks(token_ids), "int32")
        return ops.minimum(state + ends, self.min_ends)

    def ending(self, state, vocab_size):
        """Which tokens end a text that is in a state: bool `(rows, vocab_size)`, or `(1, vocab_size)` for all."""
        if self.stops is not None:
            return ops.take(self.stops, state, axis=0) == self.stops.shape[0] - 1
        is_end = self._marks(ops.arange(vocab_size))[None]
        return is_end if self.min_ends == 1 else is_end & (state[:, None] + 1 >= self.min_ends)

    def _marks(self, token_ids):
        found = ops.zeros_like(token_ids, dtype="bool")
        for id in self.token_ids:
            found = found | (token_ids == id)
        return found


def stop_table(tokens, stops, end_ids=()):
    """The automaton that finds strings in a text made of tokens (Aho and Corasick, 1975).

    Args:
        tokens: the bytes of each token of the vocabulary.
        stops: the strings, as bytes, none of them empty.
        end_ids: tokens that end a text by themselves.

    Returns:
        int32 `(states, vocabulary)`: the state that follows each state with each token. The first is that of an empty
        text, the last that of a text in which a string, or an end, has been found.

    Example:
        >>> stop_table([b"a", b"b", b"ab"], [b"ba"]).tolist()
        [[0, 1, 1], [2, 1, 2], [2, 2, 2]]
    """
    prefixes = sorted({stop[:n] for stop in stops for n in range(len(stop))}, key=len)
    number, last = {prefix: i for i, prefix in enumerate(prefixes)}, len(prefixes)

    def follow(prefix, byte):
        text = prefix + bytes([byte])
        if any(text.endswith(stop) for stop in stops):
            return last
        while text not in number:
            text = text[1:]
        return number[text]

    after = np.array([[follow(prefix, byte) for byte in range(256)] for prefix in prefixes] + [[last] * 256], "int32")
    table = np.repeat(np.arange(last + 1, dtype="int32")[:, None], len(tokens), axis=1)
    sizes = np.array([len(token) for token in tokens])
    spelled = np.array(tokens, "S").view("uint8").reshape(len(tokens), -1)
    for place in range(sizes.max()):
        some = np.flatnonzero(sizes > place)
        table[:, some] = after[table[:, some], spelled[some, place]]
    table[:, list(end_ids)] = last
    return table
