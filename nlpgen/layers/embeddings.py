"""The input embeddings of the BERT family."""

import keras
from keras import ops

from nlpgen.errors import InputError
from nlpgen.layers.norms import make_norm
from nlpgen.layers.positions import PositionEmbedding


@keras.saving.register_keras_serializable("nlpgen")
class InputEmbeddings(keras.layers.Layer):
    """token + segment + position (+ task), then norm and dropout.

    Args:
        vocab_size: rows of the token table.
        num_segments: rows of the segment table; 0 for models without one.
        shared_segments: whether segment ids are rows of the token table, as the speakers of CDial-GPT; there is then no
            segment table.
        num_positions: rows of the position table; `None` for models that encode position elsewhere.
        size: width of all tables.
        hierarchical: see `PositionEmbedding`.
        dropout: rate.
        initializer_range: standard deviation of new tables.
        norm: options of `make_norm`; `False` for no norm.
        num_tasks: rows of ERNIE's table of tasks; 0 for models without one.

    Call arguments:
        token_ids, segment_ids, position_ids: `(batch, length)`; the last two may be `None`, for segment 0 (no segment,
            where the table is shared) and for positions 0, 1, 2, ….
        condition: see `LayerNorm`.
        task_ids: `(batch, length)`; task 0 by default.
        token_vectors: `(batch, length, size)`, in place of the rows of the token table.
    """

    def __init__(
        self,
        vocab_size,
        num_segments,
        num_positions,
        size,
        hierarchical=None,
        dropout=0.0,
        initializer_range=0.02,
        norm=None,
        shared_segments=False,
        num_tasks=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        options = {
            "embeddings_initializer": keras.initializers.TruncatedNormal(stddev=initializer_range),
            "dtype": self.dtype_policy,
        }
        self.token = keras.layers.Embedding(vocab_size, size, name="token", **options)
        self.shared_segments = shared_segments
        self.segment = self.position = self.task = None
        if num_segments and not shared_segments:
            self.segment = keras.layers.Embedding(num_segments, size, name="segment", **options)
        if num_positions is not None:
            self.position = PositionEmbedding(num_positions, size, hierarchical, name="position", **options)
        if num_tasks:
            self.task = keras.layers.Embedding(num_tasks, size, name="task", **options)
        self.norm = None if norm is False else make_norm(name="norm", dtype=self.dtype_policy, **(norm or {}))
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    @property
    def rows(self):
        """`{call argument: rows of its table}`, of those that have one."""
        segment = self.token if self.shared_segments else self.segment
        tables = {"token_ids": self.token, "segment_ids": segment, "task_ids": self.task}
        rows = {name: table.input_dim for name, table in tables.items() if table is not None}
        return rows if self.position is None else rows | {"position_ids": self.position.longest}

    def build(self, token_ids_shape, *_, **__):
        for layer in filter(None, (self.token, self.segment, self.position, self.task)):
            layer.build(token_ids_shape)
        if self.norm is not None:
            self.norm.build((*token_ids_shape, self.token.output_dim))

    def call(self, token_ids, segment_ids=None, position_ids=None, condition=None, task_ids=None, token_vectors=None):
        x = self.token(token_ids) if token_vectors is None else token_vectors
        if self.shared_segments and segment_ids is not None:
            x = x + self.token(segment_ids)
        if self.segment is not None:
            x = x + self.segment(ops.zeros_like(token_ids) if segment_ids is None else segment_ids)
        if self.position is not None:
            length = token_ids.shape[1]
            if length is not None and length > self.position.longest:
                raise InputError(
                    f"The input has {length} positions, but the model knows {self.position.longest}. Shorten the "
                    "texts (`max_length`)."
                )
            x = x + self.position(ops.arange(ops.shape(token_ids)[1]) if position_ids is None else position_ids)
        if self.task is not None:
            x = x + self.task(ops.zeros_like(token_ids) if task_ids is None else task_ids)
        return self.dropout(x if self.norm is None else self.norm(x, condition))
