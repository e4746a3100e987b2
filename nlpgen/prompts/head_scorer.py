"""One language model with a classification head, asked by one pattern."""

from nlpgen.prompts.pattern import Cloze
from nlpgen.prompts.rows import Row
from nlpgen.prompts.scorer import Scorer


class HeadScorer(Scorer):
    """Scores labels by a classification head on the first token, or on the last of a `CausalLM`.

    Args:
        lm, pattern, max_length, truncate_side, prompt, prefix, trainable_part, lm_dropout: see `Scorer`; the pattern
            needs no `[MASK]`.
        labels: names of the labels.
        classifier: a `Dense` for the labels.
    """

    by_input, normalization, blank, columns, order = False, None, None, None, "independent"

    def __init__(
        self, lm, pattern, labels, classifier, max_length, truncate_side, prompt, prefix, trainable_part, lm_dropout
    ):
        self._set(lm, pattern, max_length, truncate_side)
        self.num_labels = len(labels)
        self._options = {
            "prompt": prompt,
            "prefix": prefix,
            "first_virtual": len(self.tokenizer.vocab),
            "trainable_part": trainable_part,
            "lm_dropout": lm_dropout,
            "classifier": classifier,
        }
        self.model = self._new_model(self.num_labels)

    def _rows(self, columns):
        rows = []
        for (cloze,) in self._encode(columns, [[]] if not self.pattern.num_masks else None):
            slots = [len(cloze) - 1 if self.causal else 0]
            rows.append(Row([Cloze(cloze.token_ids, cloze.segment_ids, slots, cloze.is_text)]))
        return rows
