"""Several prompts served by one language model, in the same batches."""

import copy
import dataclasses

import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.layers import PrefixEncoder, PromptEncoder
from nlpgen.prompts.p_tuning import PTuningClassifier
from nlpgen.prompts.prompt_classifier import as_list
from nlpgen.prompts.prompt_model import PromptModel
from nlpgen.prompts.rows import batch_of, run
from nlpgen.tasks import softmax


class PromptServer:
    """Trained `PTuningClassifier`s over one model, which answer together: a batch may have texts for all of them.

    What they learned later, by a further `fit`, it does not know.

    Args:
        classifiers: `{name: PTuningClassifier}`, fitted or loaded with the same model, `trainable="prompt"`,
            `head="verbalizer"`, tokens read in one pass, and prefixes of one length or none.

    Raises:
        InputError: if they cannot be served together; with all reasons.
    """

    def __init__(self, classifiers):
        self.classifiers = dict(classifiers)
        self._check()
        self._asked = {name: each._question() for name, each in self.classifiers.items()}
        scorers = {name: copy.copy(each._fitted()) for name, each in self.classifiers.items()}
        models = [scorer.model for scorer in scorers.values()]
        first = next(iter(scorers.values()))
        self._scorers, self._segments, self._pad_id = scorers, first.has_segments, first.tokenizer.pad_id or 0
        prompts = [model.prompt for model in models if model.prompt is not None]
        self._offsets, used = {}, 0
        for name, scorer in scorers.items():
            self._offsets[name] = used
            used += 0 if scorer.model.prompt is None else scorer.model.prompt.num_tokens
        prompt = prefix = None
        if prompts:
            prompt = PromptEncoder.of(np.concatenate([ops.convert_to_numpy(each.vectors()) for each in prompts]))
        if models[0].prefix is not None:
            prefixes = [ops.convert_to_numpy(model.prefix.vectors()) for model in models]
            prefix = PrefixEncoder.of(np.concatenate(prefixes))
        by_input = any(scorer.by_input for scorer in scorers.values())
        self._columns = None if by_input else np.unique(np.concatenate([s.columns for s in scorers.values()]))
        exact = any(scorer.model.exact for scorer in scorers.values())
        self._first = models[0].first_virtual
        self._model = PromptModel(
            first.lm, None, self._columns, exact, prompt=prompt, prefix=prefix, first_virtual=self._first
        )
        self._model.build()

    def predict_proba(self, requests):
        """Probabilities of the labels.

        Args:
            requests: a list of `(name of a classifier, input)`; an input is a string, a tuple or a dict of strings.

        Returns:
            For each an array `(labels,)`, in the order of its classifier's labels.

        Raises:
            InputError: if a request is no such pair, or its input cannot be used.
        """
        return self._answers(requests)[0]

    def predict(self, requests):
        """The likeliest label of each request; see `predict_proba`."""
        probabilities, labels = self._answers(requests)
        return [names[row.argmax()] for names, row in zip(labels, probabilities, strict=True)]

    def _answers(self, requests):
        """Probabilities of each request, and its labels."""
        rows, labels, numbers = self._rows(list(requests))

        def inputs(batch, length):
            found = batch_of(batch, length, self._pad_id, self._columns, self._segments)
            if self._model.prefix is not None:
                found["prefix_index"] = np.array([numbers[id(row)] for row in batch], "int32")
            return found

        results = []
        for row, words in zip(rows, run(self._model, rows, inputs), strict=True):
            owners = np.array(row.owners)
            own = words[: len(owners)]
            scores = [np.logaddexp.reduce(own[owners == i]) for i in range(owners.max() + 1)]
            results.append(softmax(np.array(scores)))
        return results, labels

    def _rows(self, requests):
        """Rows and labels of requests, and the number of each row's classifier by the row's id."""
        wrong = [each for each in requests if not isinstance(each, tuple | list) or len(each) != 2]
        if wrong:
            raise InputError(f"Give a list of requests, each a pair (name, input). Received: {wrong[0]!r:.80}")
        unknown = [name for name, _ in requests if name not in self.classifiers]
        if unknown:
            raise InputError(f"There is no prompt {unknown[0]!r}. There are: {', '.join(self.classifiers)}.")
        rows, labels, numbers = [None] * len(requests), [None] * len(requests), {}
        for number, (name, scorer) in enumerate(self._scorers.items()):
            here = [i for i, request in enumerate(requests) if request[0] == name]
            if not here:
                continue
            asked = self._asked[name]
            parts = [asked.columns(as_list(requests[i][1])) for i in here]
            columns = {field: [part[field][0] for part in parts] for field in parts[0]}
            for i, row, own in zip(here, scorer.rows(columns), asked.labels_of(columns), strict=True):
                clozes = [self._moved(cloze, self._offsets[name]) for cloze in row.clozes]
                rows[i], labels[i] = dataclasses.replace(row, clozes=clozes), own
                numbers[id(rows[i])] = number
        return rows, labels, numbers

    def _moved(self, cloze, offset):
        """A cloze whose virtual tokens are those of the common table."""
        ids = [id + offset if id >= self._first else id for id in cloze.token_ids]
        return dataclasses.replace(cloze, token_ids=ids)

    def _check(self):
        problems, classifiers = [], list(self.classifiers.items())
        if not classifiers:
            raise InputError("`classifiers` is empty. Give one or more.")
        strange = [name for name, each in classifiers if not isinstance(each, PTuningClassifier)]
        if strange:
            raise InputError(f"Only PTuningClassifiers can be served together, and {strange[0]!r} is none.")
        raw = [name for name, each in classifiers if not hasattr(each, "_scorer")]
        if raw:
            raise InputError(f"{', '.join(map(repr, raw))} learned nothing yet. Call `fit`, or load one by `load`.")
        scorers = {name: each._fitted() for name, each in classifiers}
        first = scorers[classifiers[0][0]]
        lengths = {name: 0 if s.model.prefix is None else s.model.prefix.length for name, s in scorers.items()}
        for name, scorer in scorers.items():
            if scorer.model.trainable_part != "prompt" or scorer.model.classifier is not None:
                problems.append(f"{name!r} has more than a prompt: it needs trainable='prompt' and head='verbalizer'")
            if scorer.is_stepwise:
                problems.append(f"{name!r} reads tokens step by step")
            if scorer.lm is not first.lm:
                problems.append(f"{name!r} stands on another model object than {classifiers[0][0]!r}")
        if len(set(lengths.values())) > 1:
            problems.append(f"prefixes differ in length: {lengths}")
        if problems:
            raise InputError("These prompts cannot be served together:\n  " + "\n  ".join(problems))
