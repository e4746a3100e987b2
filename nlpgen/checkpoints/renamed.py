"""Checkpoints asked for by other names than their own."""

import numpy as np


class RenamedTensors:
    """A checkpoint whose tensors have other names.

    Args:
        tensors: a checkpoint.
        own_name: from a name that is asked for to the checkpoint's.
    """

    def __init__(self, tensors, own_name):
        self._tensors = tensors
        self._own_name = own_name

    def __contains__(self, name):
        return self._own_name(name) in self._tensors

    def __iter__(self):
        return (name for name in self._tensors if name in self)

    def __getitem__(self, name):
        return self._tensors[self._own_name(name)]

    def shape(self, name):
        return self._tensors.shape(self._own_name(name))

    def dtype(self, name):
        return self._tensors.dtype(self._own_name(name))

    def original(self, name):
        """The file's own name of a tensor, or `None`."""
        return self._tensors.original(self._own_name(name))

    def unread(self, used):
        """Names in the file that no name in `used` stands for."""
        return self._tensors.unread({self._own_name(name) for name in used})


TOKENS, FACTOR = "bert/embeddings/word_embeddings", "bert/embeddings/word_embeddings_2"
PROJECTION = "bert/encoder/embedding_hidden_mapping_in"
GOOGLE, BRIGHTMART = "bert/encoder/transformer/group_0/inner_group_0", "bert/encoder/layer_shared"
BRIGHTMART_SCOPES = {
    f"{GOOGLE}/attention_1/self/query": f"{BRIGHTMART}/attention/self/query",
    f"{GOOGLE}/attention_1/self/key": f"{BRIGHTMART}/attention/self/key",
    f"{GOOGLE}/attention_1/self/value": f"{BRIGHTMART}/attention/self/value",
    f"{GOOGLE}/attention_1/output/dense": f"{BRIGHTMART}/attention/output/dense",
    f"{GOOGLE}/LayerNorm": f"{BRIGHTMART}/attention/output/LayerNorm",
    f"{GOOGLE}/ffn_1/intermediate/dense": f"{BRIGHTMART}/intermediate/dense",
    f"{GOOGLE}/ffn_1/intermediate/output/dense": f"{BRIGHTMART}/output/dense",
    f"{GOOGLE}/LayerNorm_1": f"{BRIGHTMART}/output/LayerNorm",
}


class BrightmartTensors(RenamedTensors):
    """The first ALBERTs of brightmart/albert_zh under the names of Google's.

    They project the token embedding before segment and position are added, and again in the masked-language-model head,
    which is a token embedding of full width: the product of `word_embeddings` `(vocab_size, embedding_size)` and
    `word_embeddings_2` `(embedding_size, hidden_size)`. Google's projection after the sum is then the identity.

    Args:
        tensors: a checkpoint that has `word_embeddings_2`.
    """

    def __init__(self, tensors):
        super().__init__(tensors, _brightmart_name)

    @staticmethod
    def are(tensors):
        """Whether a checkpoint has this layout."""
        return FACTOR in tensors

    def __getitem__(self, name):
        if name == TOKENS:
            return self._tensors[TOKENS] @ self._tensors[FACTOR]
        if name == f"{PROJECTION}/kernel":
            return np.eye(self.shape(name)[0], dtype=self.dtype(name))
        if name == f"{PROJECTION}/bias":
            return np.zeros(self.shape(name), dtype=self.dtype(name))
        return super().__getitem__(name)

    def shape(self, name):
        hidden_size = self._tensors.shape(FACTOR)[1]
        if name == TOKENS:
            return self._tensors.shape(TOKENS)[0], hidden_size
        if name == f"{PROJECTION}/kernel":
            return hidden_size, hidden_size
        return (hidden_size,) if name == f"{PROJECTION}/bias" else super().shape(name)


def _brightmart_name(name):
    scope, _, leaf = name.rpartition("/")
    if scope == PROJECTION:
        return FACTOR
    return f"{BRIGHTMART_SCOPES[scope]}/{leaf}" if scope in BRIGHTMART_SCOPES else name
