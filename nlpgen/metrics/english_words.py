"""Words of the Latin stretches of a text, as NLTK's `word_tokenize` cuts them: CMRC's scorer calls it."""

import re

# One alternative a kind of token, tried in this order at each place.
TOKEN = re.compile(
    r"""
      (?P<opening>(?:(?<=^)|(?<=^")|(?<=[\ (\[{<«“‘„`]))")    # a straight quote that opens is written ``
    | (?P<closing>"|'')                                   # one that closes, ''
    | \.{2,} | --+? | `+
    | [«“‘„»”’;@\#$%&?!*\[\](){}<>\u2012-\u2015]
    | [:,](?!\d)
    | \.(?=['"\])}>»”’\ ]*$)                              # the stop at the end
    | (?<!\w)'(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)          # a single quote that opens
    | (?P<word>(?:(?!\.{2,}|--|''|\.['"\])}>»”’\ ]*$|[:,](?!\d))\S)(?:(?!\.{2,}|--|''|\.['"\])}>»”’\ ]*$|[:,](?!\d))
        [^\s`«“‘„»”’;@\#$%&?!*\[\](){}<>"\u2012-\u2015])*)
    """,
    re.VERBOSE,
)
CLITIC = re.compile(r"(?<=[^' ])('ll|'re|'ve|n't|'s|'m|'d|')$")
CONTRACTIONS = {
    "cannot": ("can", "not"),
    "d'ye": ("d", "'ye"),
    "gimme": ("gim", "me"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "lemme": ("lem", "me"),
    "more'n": ("more", "'n"),
    "wanna": ("wan", "na"),
    "'tis": ("'t", "is"),
    "'twas": ("'t", "was"),
}
# Where a sentence ends within a stretch, its stop is a token too; not that of an initial or of letters with stops.
SENTENCE_END = re.compile(r"(?<=[^\s.][^\s.][.?!])\s+")


def english_words(text):
    """Cut a lower-cased stretch of text into words and marks.

    Equal to NLTK's tokenizer on the strings of its golden file, but for sentences: NLTK's trained model knows
    abbreviations, here a stop after two letters or more and before a space ends a sentence.

    Example:
        >>> english_words("it's 3.14, \\"ok\\".")
        ['it', "'s", '3.14', ',', '``', 'ok', "''", '.']
    """
    return [word for sentence in SENTENCE_END.split(text) for word in _words(sentence)]


def _words(sentence):
    found = []
    for match in TOKEN.finditer(" ".join(sentence.split())):
        if match["word"] is not None:
            found += _without_clitic(match["word"])
        elif match["opening"]:
            found.append("``")
        else:
            found.append("''" if match["closing"] else match[0])
    return found


def _without_clitic(word):
    if word in CONTRACTIONS:
        return CONTRACTIONS[word]
    cut = CLITIC.search(word)
    return (word,) if cut is None else (*_without_clitic(word[: cut.start()]), cut[0])
