"""How much written texts have in common with references: BLEU, chrF and ROUGE-L, by the libraries people quote."""

from dataclasses import dataclass

import sacrebleu
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from nlpgen.errors import InputError, NlpgenError


@dataclass(frozen=True)
class OverlapScores:
    """Scores of a corpus, from 0 to 100.

    Attributes:
        bleu: BLEU of sacrebleu (Papineni et al., 2002; Post, 2018), tokens as its `zh` cuts them: each ideograph one.
        chrf: chrF2 of sacrebleu (Popović, 2015).
        rouge_l: mean over the texts of the F1 of ROUGE-L (Lin, 2004) by rouge-score, with BLEU's tokens.
    """

    bleu: float
    chrf: float
    rouge_l: float

    def __str__(self):
        return f"BLEU {self.bleu:.1f}, chrF {self.chrf:.1f}, ROUGE-L {self.rouge_l:.1f}"


def overlap_scores(written, references):
    """Compare texts with a reference each.

    Args:
        written, references: strings, as many of both.

    Returns:
        `OverlapScores`.

    Raises:
        InputError: if there is no text, or not as many of both.
        NlpgenError: if a library is missing.

    Example:
        >>> print(overlap_scores(["绿叶随秋月"], ["绿叶随秋月"]))
        BLEU 100.0, chrF 100.0, ROUGE-L 100.0
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise NlpgenError("These scores need rouge-score: pip install 'nlpgen[overlap]'") from None
    if isinstance(written, str) or isinstance(references, str) or not written or len(written) != len(references):
        raise InputError(
            "`written` and `references` must be lists of strings, one or more and as many of both. "
            f"Received: {written!r:.40} and {references!r:.40}"
        )
    rouge = RougeScorer(["rougeL"], tokenizer=_Tokens(TokenizerZh()))
    rouge_l = [rouge.score(right, text)["rougeL"].fmeasure for text, right in zip(written, references, strict=True)]
    return OverlapScores(
        bleu=sacrebleu.corpus_bleu(written, [references], tokenize="zh").score,
        chrf=sacrebleu.corpus_chrf(written, [references]).score,
        rouge_l=100 * sum(rouge_l) / len(rouge_l),
    )


class _Tokens:
    """What `RougeScorer` calls a tokenizer."""

    def __init__(self, cut):
        self.cut = cut

    def tokenize(self, text):
        return self.cut(text).split()
