"""ERNIE 1.0 to 3.0 (Sun et al., 2019, https://arxiv.org/abs/1907.12412), as Hugging Face has them.

Without tasks it is BERT with other pretraining; its ports under BERT's names are a `Bert`.
"""

from dataclasses import dataclass

import keras

from nlpgen.models.bert import Bert, BertConfig


@dataclass(frozen=True)
class ErnieConfig(BertConfig):
    """The fields of ERNIE's `config.json`; see `BertConfig` for the others.

    Args:
        use_task_id: whether there is an embedding of tasks.
        task_type_vocab_size: its rows.
    """

    use_task_id: bool = False
    task_type_vocab_size: int = 3

    def problems(self):
        return super().problems() + self._must_be_positive("task_type_vocab_size")


@keras.saving.register_keras_serializable("nlpgen")
class Ernie(Bert):
    """BERT with an embedding of the task. See `Bert` for the call.

    Call arguments:
        inputs: also `task_ids` `(batch, length)`, with `use_task_id`; task 0 by default.
    """

    config_class = ErnieConfig
    input_names = (*Bert.input_names, "task_ids")
    model_type = "ernie"
    config_marks = ("use_task_id", "task_type_vocab_size")
    checkpoint_names = Bert.checkpoint_names | {"embeddings.task": "bert/embeddings/task_type_embeddings"}
    hugging_face_names = {"bert/": "ernie."}
    lacks = ()

    @property
    def embedding_options(self):
        return {"num_tasks": self.config.task_type_vocab_size if self.config.use_task_id else 0}

    def embedding_inputs(self, inputs):
        return *super().embedding_inputs(inputs), inputs.get("task_ids")
