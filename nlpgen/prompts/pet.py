"""PET: classification as a cloze question (Schick & Schütze, 2021, https://arxiv.org/abs/2001.07676)."""

import difflib
import importlib.resources
import json

import numpy as np

from nlpgen.errors import InputError
from nlpgen.estimator import Estimator
from nlpgen.prompts.pattern import Pattern
from nlpgen.prompts.prompt_model import PromptModel
from nlpgen.prompts.verbalizer import Verbalizer
from nlpgen.text import check_texts, length_batches, pad

PRESETS = importlib.resources.files("nlpgen.prompts") / "presets"


class PETClassifier(Estimator):
    """A classifier that asks a masked language model, and needs no labelled example for it.

    Each pattern makes a text a cloze question, the verbalizer says which words in the `[MASK]` stand for which label.
    Of several patterns the mean of the probabilities counts.

    Args:
        masked_lm: a `MaskedLM` with its tokenizer.
        patterns: a pattern, or a list of them, e.g. `"[MASK]满意。{text}"`.
        verbalizer: `{label: word or words}`; a label's probability is the sum over its words.
        max_length: most tokens, special ones included; longer texts are cut, patterns never.
        truncate_side: which end of a long text is cut, `"right"` or `"left"`.

    Example:
        >>> from nlpgen import MaskedLM, PETClassifier
        >>> masked_lm = MaskedLM.from_pretrained("bert-tiny-zh")
        >>> pet = PETClassifier(masked_lm, "[MASK]满意。{text}", {"正面": "很", "负面": "不"})
        >>> pet.predict("房间很干净，服务也好，下次还来。")
        '正面'
    """

    def __init__(self, masked_lm, patterns, verbalizer, max_length=128, truncate_side="right"):
        self.masked_lm = masked_lm
        self.patterns = patterns
        self.verbalizer = verbalizer
        self.max_length = max_length
        self.truncate_side = truncate_side
        self._prompt_models = {}  # compiled on first use, then kept

    @classmethod
    def from_preset(cls, name, masked_lm, **options):
        """The patterns and label words of a task that come with nlpgen.

        Args:
            name: `"sentiment"`: the five patterns of Su's PET post, labels 正面 and 负面.
            masked_lm: a `MaskedLM`.
            options: further arguments of the constructor.

        Raises:
            InputError: if there is no such preset.
        """
        names = sorted(path.name.removesuffix(".json") for path in PRESETS.iterdir())
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"There is no preset {name!r}.{hint} There are: {', '.join(names)}.")
        preset = json.loads((PRESETS / f"{name}.json").read_text(encoding="utf-8"))
        return cls(masked_lm, preset["patterns"], preset["verbalizer"], **options)

    def predict_proba(self, texts):
        """Probabilities of the labels.

        Args:
            texts: a string, or a list of them.

        Returns:
            `(labels,)` for a string, `(texts, labels)` for a list, in the order of the verbalizer; rows sum to 1.

        Raises:
            InputError: if a text is no string or empty, or patterns and label words do not fit.
        """
        if isinstance(texts, str):
            return self.predict_proba([texts])[0]
        texts = check_texts(texts)
        empty = [i for i, text in enumerate(texts) if not text.strip()]
        if empty:
            raise InputError(f"`texts[{empty[0]}]` is empty ({len(empty)} such texts). Leave them out.")
        patterns = [self.patterns] if isinstance(self.patterns, str) else self.patterns
        if not patterns:
            raise InputError("`patterns` is empty. Give a pattern or more.")
        return np.mean([self._pattern_proba(Pattern(pattern), texts) for pattern in patterns], axis=0)

    def predict(self, texts):
        """The likeliest label of a string, or a list of the labels of a list."""
        if isinstance(texts, str):
            return self.predict([texts])[0]
        labels = Verbalizer(self.verbalizer).labels
        return [labels[i] for i in self.predict_proba(texts).argmax(axis=-1)]

    def score(self, texts, labels):
        """Accuracy on labelled texts.

        Raises:
            InputError: if there are no texts, not as many labels, or a label is not in the verbalizer.
        """
        labels, known = list(labels), Verbalizer(self.verbalizer).labels
        unknown = sorted({str(label) for label in labels} - set(known))
        if len(labels) != len(texts) or not labels:
            raise InputError(f"Got {len(texts)} texts and {len(labels)} labels. Give as many of both, one at least.")
        if unknown:
            raise InputError(f"Unknown labels: {', '.join(unknown[:5])}. The verbalizer has: {', '.join(known)}.")
        predicted = self.predict(texts)
        return sum(p == label for p, label in zip(predicted, labels, strict=True)) / len(labels)

    def _pattern_proba(self, pattern, texts):
        tokenizer, verbalizer = self.masked_lm.tokenizer, Verbalizer(self.verbalizer)
        if tokenizer is None:
            raise InputError("`masked_lm` has no tokenizer. Load it from a folder with a vocab.txt.")
        model = self._prompt_model(*verbalizer.encode(tokenizer, pattern.num_masks))
        longest = min(n for n in (self.max_length, self.masked_lm.backbone.longest) if n is not None)
        rows = pattern.encode(tokenizer, texts, longest, self.truncate_side)
        result = np.empty((len(texts), len(verbalizer.labels)))
        for indices, length in length_batches([len(ids) for ids, _ in rows]):
            scores = model.predict_on_batch(
                {
                    "token_ids": pad([rows[i][0] for i in indices], tokenizer.pad_id, length),
                    "positions": pad([rows[i][1] for i in indices]),
                }
            )
            exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
            result[indices] = exp / exp.sum(axis=-1, keepdims=True)
        return result

    def _prompt_model(self, word_ids, word_labels):
        key = (id(self.masked_lm), word_ids.tobytes(), word_ids.shape, word_labels.tobytes())
        if key not in self._prompt_models:
            self._prompt_models[key] = PromptModel(self.masked_lm, word_ids, word_labels)
            self._prompt_models[key].build()
        return self._prompt_models[key]
