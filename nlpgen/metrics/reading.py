"""The scores of the Chinese reading comprehension sets, each with the quirks of its official scorer."""

import re
from collections import Counter

from nlpgen.errors import InputError
from nlpgen.metrics.english_words import english_words

# `……` stands in CMRC's list as one entry of two characters, which no character equals: it is left in.
CMRC_MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
DUREADER_MARKS = frozenset(":_`，。：？！()“”；’《》·、,「」（）－～『|")
SOGOU_MARKS = frozenset(
    "\x7f`^~<=>|_-,;:!?/.'\"()[]{}@$*\\&#%+…‰※•—‖‘’“”№←↑→↓∴∨∵∶∩∈∑√∞≯≡≮≤≥≈≌⊥⊙⌒□◆◇◎●★☆♀♂¨°·§¤±"
    "\u3000、。〃々〈〉《》「」『』【】〓〔〕〖〗÷×′▲″△∠≠■ˇˉ￣￥＿！＄（），．：；？～﹑￠"
)
SPACES = " \t\n\r\f\v"
BLANK = re.compile(f"[{SPACES}]+")
ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
HALF_WIDTH = {0x3000: 0x20} | {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
# What BERT's scorers take for CJK; CMRC's knows the first stretch only, up to U+9FA5.
CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F))
CJK += ((0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


def cmrc2018(prediction, answers):
    """CMRC 2018 (scorer v5), and DRCD, which is scored by it.

    Exact match: equal without the marks of its list, which ASCII `, . ? ! ( ) "` are not in. F1: of the longest run of
    tokens that both have, where a CJK character is a token and other stretches are cut as NLTK does.

    Args:
        prediction: a string.
        answers: the right answers, one string or more.

    Returns:
        `(exact match, F1)`, the best over the answers, from 0 to 1.

    Example:
        >>> cmrc2018("《光荣》和ω-force", ["光荣和ω-force", "光荣"])
        (1.0, 1.0)
    """
    return _best_run(prediction, answers, _without_cmrc_marks, _cmrc_tokens)


def dureader_robust(prediction, answers):
    """DuReader-robust: as `cmrc2018`, but with its own list of marks, and a stretch that is not CJK is one token."""

    def tokens(text):
        return [token for token in re.split(f"([{_CJK_CLASS}=])", normalized(text)) if token]

    def normalized(text):
        return "".join(c for c in text.lower() if c not in DUREADER_MARKS)

    return _best_run(prediction, answers, normalized, tokens)


def sogouqa(prediction, answers):
    """SogouQA (CIPS-SOGOU 2017): accuracy with accepted variants, and F1 of characters.

    Args:
        prediction: a string; where an answer has several parts they stand with spaces between, in any order.
        answers: the answer, then its variants.

    Returns:
        `(right, F1)`. The contest's final score is the mean of both.
    """
    prediction = prediction.strip(SPACES)
    if not prediction or not answers:
        return (0.0, 0.0) if answers else _no_answer(prediction)
    plain = _sogou(prediction)
    accepted = {*answers, *map(_sogou, answers)}
    right = plain in accepted or _sogou_parts(prediction) == _sogou_parts(answers[0])
    return float(right), max(_bag_f1(plain, _sogou(answer)) for answer in accepted)


def cjrc(prediction, answers):
    """CJRC (CAIL 2019), whose scorer is CoQA's: only letters and digits count, and of several answers each is left out
    once, with the best of the others taken, and the mean over that.

    Args:
        prediction: a string; `""` for no answer.
        answers: strings; `""`, or an empty list, for no answer.

    Returns:
        `(exact match, F1)`.
    """
    answers = list(answers) or [""]
    plain, golds = _cjrc(prediction), [_cjrc(answer) for answer in answers]
    exact = [float(plain == gold) for gold in golds]
    f1 = [_bag_f1(plain, gold) if plain and gold else float(plain == gold) for gold in golds]
    return _leave_one_out(exact), _leave_one_out(f1)


READING_METRICS = {
    "cmrc2018": cmrc2018,
    "drcd": cmrc2018,
    "dureader_robust": dureader_robust,
    "sogouqa": sogouqa,
    "cjrc": cjrc,
}


def reading_scores(predictions, answers, metric="cmrc2018", groups=None):
    """Scores of a set of questions, in percent.

    A question without right answers is one that has none: it is right where the prediction is `""`.

    Args:
        predictions: a string for each question, `None` where there is none, which counts 0.
        answers: for each question the list of right answers.
        metric: a name in `READING_METRICS`.
        groups: for each question the name of a group, e.g. CJRC's "civil" and "criminal".

    Returns:
        A dict: `exact_match`, `f1`, `average` of both, and `questions`, their number; with `groups` a dict of the same
        for each.

    Raises:
        InputError: if the metric is unknown, or there are not as many predictions as questions, or none.

    Example:
        >>> scores = reading_scores(["北京市", ""], [["北京"], []])
        >>> scores["exact_match"], scores["f1"]
        (50.0, 90.0)
    """
    check_metric(metric)
    if len(predictions) != len(answers) or not len(answers) or len(groups or answers) != len(answers):
        raise InputError(
            f"Give as many predictions as questions, one at least. Received: {len(predictions)} predictions, "
            f"{len(answers)} lists of answers" + (f", {len(groups)} groups" if groups is not None else "")
        )
    each = [question_scores(*pair, metric) for pair in zip(predictions, answers, strict=True)]
    scores = _mean(each)
    if groups is not None:
        scores["groups"] = {
            name: _mean([pair for pair, group in zip(each, groups, strict=True) if group == name])
            for name in dict.fromkeys(groups)
        }
    return scores


def question_scores(prediction, answers, metric="cmrc2018"):
    """`(exact match, F1)` of one question, from 0 to 1; see `reading_scores`.

    Raises:
        InputError: if the metric is unknown.
    """
    check_metric(metric)
    if prediction is None:
        return 0.0, 0.0
    return READING_METRICS[metric](prediction, answers)


def check_metric(metric):
    """Raise `InputError` unless there is a metric of reading comprehension of that name."""
    if not isinstance(metric, str) or metric not in READING_METRICS:
        raise InputError(f"`metric` must be one of {', '.join(READING_METRICS)}. Received: {metric!r}")


def _mean(pairs):
    exact, f1 = (100 * sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    return {"exact_match": exact, "f1": f1, "average": (exact + f1) / 2, "questions": len(pairs)}


def _no_answer(prediction):
    return (float(prediction == ""),) * 2


def _best_run(prediction, answers, normalized, tokens):
    if not answers:
        return _no_answer(prediction)
    found, ours = normalized(prediction), tokens(prediction)
    exact = any(normalized(answer) == found for answer in answers)
    return float(exact), max(_run_f1(ours, tokens(answer)) for answer in answers)


def _run_f1(ours, theirs):
    length = longest_run(ours, theirs)
    return _f1(length, len(ours), len(theirs)) if length else 0.0


def longest_run(ours, theirs):
    """Length of the longest contiguous run that two lists share.

    Example:
        >>> longest_run("abcd", "xbcyd")
        2
    """
    best, above = 0, [0] * (len(theirs) + 1)
    for token in ours:
        row = [0]
        for j, other in enumerate(theirs):
            row.append(above[j] + 1 if token == other else 0)
        best, above = max(best, *row), row
    return best


def _bag_f1(ours, theirs):
    same = sum((Counter(ours) & Counter(theirs)).values())
    return _f1(same, len(ours), len(theirs)) if same else 0.0


def _f1(same, ours, theirs):
    precision, recall = same / ours, same / theirs
    return 2 * precision * recall / (precision + recall)


def _leave_one_out(scores):
    if len(scores) == 1:
        return scores[0]
    return sum(max(scores[:i] + scores[i + 1 :]) for i in range(len(scores))) / len(scores)


def _without_cmrc_marks(text):
    return "".join(c for c in text.lower().strip() if c not in CMRC_MARKS)


def _cmrc_tokens(text):
    parts = re.split("([\u4e00-\u9fa5])", _without_cmrc_marks(text))  # marks do not end a stretch
    return [token for i, part in enumerate(parts) for token in ([part] if i % 2 else english_words(part))]


def _sogou(text):
    text = text.translate(HALF_WIDTH).translate(ASCII_LOWER)
    return BLANK.sub("", _sogou_spaced(text))


def _sogou_spaced(text):
    return "".join(" " if c in SOGOU_MARKS else c for c in text)


def _sogou_parts(text):
    return {_sogou(part) for part in _sogou_spaced(text).split(" ")}


def _cjrc(text):
    return "".join(c for c in text.lower() if c.isdigit() or c.isalpha())


_CJK_CLASS = "".join(f"{chr(first)}-{chr(last)}" for first, last in CJK)
