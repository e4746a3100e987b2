"""Several prompts served by one language model, in the same batches."""

import dataclasses

import numpy as np
from keras import ops

from nlpgen.errors import InputError
from nlpgen.layers import PrefixEncoder, PromptEncoder
from nlpgen.prompts.columns import take
from nlpgen.prompts.prompt_model import PromptModel
from nlpgen.prompts.scorer import batch_of, run
from nlpgen.tasks import softmax


class PromptServer:
    """Trained `PTuningClassifier`s over one model, which answer together: a batch may have texts for all of them.

    Args:
        classifiers: `{name: PTuningClassifier}`, fitted or loaded with the same model, `trainable="prompt"`,
            `head="verbalizer"`, tokens read in one pass, and prefixes of one length or none.

    Raises:
        InputError: if they cannot be served together; with all reasons.
    """

    def __init__(self, classifiers):
        self.classifiers = dict(classifiers)
        self._check()
        scorers = {name: each._fitted() for name, each in self.classifiers.items()}
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
        """
        rows = [self._row(name, text) for name, text in requests]
        order = {name: i for i, name in enumerate(self.classifiers)}
        numbers = {id(row): order[name] for row, (name, _) in zip(rows, requests, strict=True)}

        def inputs(batch, length):
            found = batch_of(batch, length, self._pad_id, self._columns, self._segments)
            if self._model.prefix is not None:
                found["prefix_index"] = np.array([numbers[id(row)] for row in batch], "int32")
            return found

        scores = run(self._model, rows, inputs)
        results = []
        for row, words in zip(rows, scores, strict=True):
            owners = np.array(row.owners)
            own = words[: len(owners)]
            labels = [np.logaddexp.reduce(own[owners == i]) for i in range(owners.max() + 1)]
            results.append(softmax(np.array(labels)))
        return results

    def predict(self, requests):
        """The likeliest label of each request; see `predict_proba`."""
        requests, labels = list(requests), []
        for (name, text), row in zip(requests, self.predict_proba(requests), strict=True):
            classifier = self.classifiers[name]
            labels.append(classifier._labels_of(classifier._columns(_alone(text)))[0][row.argmax()])
        return labels

    def _row(self, name, text):
        if name not in self.classifiers:
            raise InputError(f"There is no prompt {name!r}. There are: {', '.join(self.classifiers)}.")
        classifier, scorer = self.classifiers[name], self._scorers[name]
        (row,) = scorer.rows(take(classifier._columns(_alone(text)), [0]))
        return dataclasses.replace(row, clozes=[self._moved(cloze, self._offsets[name]) for cloze in row.clozes])

    def _moved(self, cloze, offset):
        """A cloze whose virtual tokens are those of the common table."""
        ids = [id + offset if id >= self._first else id for id in cloze.token_ids]
        return dataclasses.replace(cloze, token_ids=ids)

    def _check(self):
        problems, classifiers = [], list(self.classifiers.items())
        if not classifiers:
            raise InputError("`classifiers` is empty. Give one or more.")
        first = classifiers[0][1]
        lengths = {name: each.prefix_length for name, each in classifiers}
        for name, each in classifiers:
            each._fitted()
            if each.trainable != "prompt" or each.head != "verbalizer":
                problems.append(f"{name!r} has more than a prompt: trainable={each.trainable!r}, head={each.head!r}")
            if each.order == "most_confident_first":
                problems.append(f"{name!r} reads tokens step by step")
            if each.lm_ is not first.lm_:
                problems.append(f"{name!r} stands on another model object than {classifiers[0][0]!r}")
        if len(set(lengths.values())) > 1:
            problems.append(f"prefixes differ in length: {lengths}")
        if problems:
            raise InputError("These prompts cannot be served together:\n  " + "\n  ".join(problems))


def _alone(text):
    return {name: [cell] for name, cell in text.items()} if isinstance(text, dict) else [text]
