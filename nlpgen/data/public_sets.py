"""Chinese few-shot sets as their authors publish them: FewCLUE, and the sentiment set of Su's posts.

nlpgen ships none of them. Labels become the Chinese names that people read.
"""

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path

from nlpgen.data.labelled import LabelledTexts, numbered_lines, raise_problems, read_labelled
from nlpgen.errors import InputError

IDIOM = "#idiom#"
UNLABELLED = ("test", "unlabeled")
SPLITS = (*(f"{part}_{i}" for part in ("train", "dev") for i in (*range(5), "few_all")), "test_public", *UNLABELLED)
SENTIMENT = {"1": "正面", "0": "负面"}


def _marked(row):
    """A text of cluewsc with its spans marked, _span1_ and [span2]: the same word often stands there twice."""
    text, target = row["text"], row["target"]
    spans = [
        (target[f"{name}_index"], target[f"{name}_text"], marks) for name, marks in (("span1", "__"), ("span2", "[]"))
    ]
    for start, span, (left, right) in sorted(spans, reverse=True):
        text = text[:start] + left + span + right + text[start + len(span) :]
    return text


@dataclass(frozen=True)
class FewCLUETask:
    """How a task's lines become texts and labels.

    Attributes:
        columns: `{field: key}`; a dotted key leads into an object, a function makes the value from the line.
        label: key of the label, or a function.
        names: `{label in the file: name}`, the name of a file with such a table, or `None` for names already there.
    """

    columns: dict
    label: str | Callable
    names: dict | str | None = None


FEWCLUE = {
    "eprstmt": FewCLUETask({"text": "sentence"}, "label", {"Positive": "正面", "Negative": "负面"}),
    "tnews": FewCLUETask({"text": "sentence"}, "label_desc", "label_index2en2zh.json"),
    "iflytek": FewCLUETask({"text": "sentence"}, "label_des"),
    "csldcp": FewCLUETask({"text": "content"}, "label"),
    "ocnli": FewCLUETask(
        {"text": "sentence1", "text_b": "sentence2"},
        "label",
        {"entailment": "蕴含", "contradiction": "矛盾", "neutral": "中立"},
    ),
    "bustm": FewCLUETask({"text": "sentence1", "text_b": "sentence2"}, "label", {"1": "相同", "0": "不同"}),
    "csl": FewCLUETask(
        {"text": "abst", "keywords": lambda row: "、".join(row["keyword"])}, "label", {"1": "相符", "0": "不符"}
    ),
    "cluewsc": FewCLUETask(
        {"text": "text", "span1": "target.span1_text", "span2": "target.span2_text", "marked": _marked},
        "label",
        {"true": "正确", "false": "错误"},
    ),
    "chid": FewCLUETask(
        {
            "before": lambda row: row["content"].split(IDIOM, 1)[0],
            "after": lambda row: row["content"].split(IDIOM, 1)[1],
            "candidates": "candidates",
        },
        lambda row: row["candidates"][row["answer"]],
    ),
}


def read_fewclue(folder, task, split):
    """Read a split of a FewCLUE task (Xu et al., 2021, https://arxiv.org/abs/2107.07498).

    Fields: `text`; with `text_b` in ocnli and bustm, `keywords` (joined by 、) in csl, and in cluewsc `span1`, `span2`
    and `marked`, the text with _span1_ and [span2] in it, as the spans alone do not say which of two 他 is meant.
    chid has what stands `before` and `after` the idiom, and `candidates`, a list of seven, one of them the label.

    Args:
        folder: FewCLUE's `datasets`, with a folder for each task.
        task: one of `FEWCLUE`.
        split: `"train_0"` to `"train_4"`, `"dev_0"` to `"dev_4"`, `"train_few_all"`, `"dev_few_all"`, `"test_public"`;
            `"test"` and `"unlabeled"` have no labels.

    Returns:
        `LabelledTexts`.

    Raises:
        InputError: if task or split is none, or a line is not the task's; with all such lines.
    """
    for kind, name, known in (("task", task, tuple(FEWCLUE)), ("split", split, SPLITS)):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"FewCLUE has no {kind} {name!r}.{hint} There are: {', '.join(known)}.")
    path = Path(folder).expanduser() / task / f"{split}.json"
    spec, labelled = FEWCLUE[task], split not in UNLABELLED
    names = _label_names(path.parent / spec.names) if isinstance(spec.names, str) else spec.names
    columns, labels, problems = {field: [] for field in spec.columns}, [], []
    for number, line in numbered_lines(path):
        try:
            row = json.loads(line)
            values = [_value(row, key) for key in spec.columns.values()]
            label = _value(row, spec.label) if labelled else None
            label = names[label] if labelled and names else label
        except (KeyError, TypeError, IndexError, json.JSONDecodeError) as error:
            problems.append(f"{path}:{number}: no line of {task}: {type(error).__name__} {error}")
            continue
        labels.append(label)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    raise_problems(path, problems)
    return LabelledTexts(columns, labels if labelled else None, task)


def read_sentiment(folder, split="train", clean=False):
    """Read the sentiment set of Su's PET and P-tuning posts (https://kexue.fm/archives/7764, 8295).

    The posts' few labels are `read_sentiment(folder)[:168]`, the rest of the split their unlabelled texts. A third of
    valid and test stands in train word for word.

    Args:
        folder: where `sentiment.train.data`, `sentiment.valid.data` and `sentiment.test.data` are.
        split: `"train"`, `"valid"` or `"test"`.
        clean: only the rows that `clean_row_ids.json` beside them lists, `{"valid": [row, ...], "test": [row, ...]}`.

    Returns:
        `LabelledTexts` with the labels 正面 and 负面.
    """
    if split not in ("train", "valid", "test") or (clean and split == "train"):
        raise InputError(
            f"`split` must be 'train', 'valid' or 'test', and `clean` is for the last two. Received: {split!r}, {clean}"
        )
    folder = Path(folder).expanduser()
    data = read_labelled(folder / f"sentiment.{split}.data")
    unknown = sorted(set(data.labels) - set(SENTIMENT))
    if unknown:
        raise InputError(f"{folder / f'sentiment.{split}.data'}: the labels are 0 and 1. Received: {unknown[:5]}")
    data = LabelledTexts(data.columns, [SENTIMENT[label] for label in data.labels], "sentiment")
    return data[json.loads((folder / "clean_row_ids.json").read_text(encoding="utf-8"))[split]] if clean else data


def _label_names(path):
    rows = [json.loads(line) for _, line in numbered_lines(path)]
    return {row["label_desc"]: row["label_zh"] for row in rows}


def _value(row, key):
    return key(row) if callable(key) else reduce(getitem, key.split("."), row)
