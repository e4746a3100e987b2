"""A vocabulary for Chinese text, laid out as Google's: characters by frequency, then Latin words and pieces."""

from collections import Counter
from itertools import islice

from tokenizers import normalizers, pre_tokenizers

from nlpgen.errors import InputError
from nlpgen.text.vocab import Vocab, is_cjk, is_punctuation

# As in Google's Chinese vocabulary.
HEAD = ("[PAD]", *(f"[unused{i}]" for i in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BATCH = 4096
PIECE_SHARE = 0.1  # of the room, at least: Latin pieces and words


def build_vocab(texts, size=9200, min_count=5, lowercase=True):
    """Count a corpus and choose the tokens.

    `[PAD]` has id 0, `[unused1]` to `[unused99]` ids 1 to 99, `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]` ids 100 to 103. Then
    come characters by frequency (CJK, punctuation and all other single characters), `##` forms of what Latin letters
    and digits need so that no such word is unknown, and the most frequent Latin words and pieces, which take what room
    is left.

    Args:
        texts: strings, streamed.
        size: most tokens.
        min_count: how often a token must occur.
        lowercase: whether text is lower-cased and its accents are stripped, as the tokenizer will do.

    Returns:
        A `Vocab`.

    Raises:
        InputError: if `size` has no room for a character, or there is no text.

    Example:
        >>> vocab = build_vocab(["今天天气好", "天好"], size=200, min_count=1)
        >>> vocab.id("[MASK]"), vocab.id("天")
        (103, 104)
    """
    if size <= len(HEAD):
        raise InputError(f"`size` must be over {len(HEAD)}, which special and unused tokens take. Received: {size}")
    characters, words = count(texts, lowercase)
    if not characters:
        raise InputError("There is no text to build a vocabulary from.")
    pieces = _pieces(words)
    alphabet = sorted({c for word in [*words, *characters] for c in word if c.isascii() and c.isalnum()})
    continued = [f"##{c}" for c in alphabet]
    room = size - len(HEAD)
    single = [c for c, n in _ranked(characters) if n >= min_count]
    most = max(room - len(continued) - int(PIECE_SHARE * room), 1)
    chosen = [*single[:most]]
    chosen += [c for c in alphabet if c not in set(chosen)]
    chosen += continued
    taken = set(chosen)
    longer = (t for t, n in _ranked(pieces) if n >= min_count and t not in taken)
    chosen += islice(longer, max(room - len(chosen), 0))
    return Vocab([*HEAD, *chosen[:room]])


def count(texts, lowercase=True):
    """Count single characters, and Latin words (letters and digits without spaces), as BERT's tokenizer cuts them.

    Returns:
        Two `Counter`s: characters that are words of their own, and words of several characters.
    """
    clean = normalizers.BertNormalizer(strip_accents=None, lowercase=lowercase)
    split = pre_tokenizers.BertPreTokenizer()
    characters, words = Counter(), Counter()
    texts = iter(texts)
    while batch := list(islice(texts, BATCH)):
        # Characters are counted at once; only what else there is goes through the tokenizer.
        seen = Counter("".join(batch))
        rest = Counter()
        for text in batch:
            if not all(is_cjk(c) for c in text):
                rest.update(w for w, _ in split.pre_tokenize_str(clean.normalize_str(_without_cjk(text))))
        characters.update({c: n for c, n in seen.items() if is_cjk(c)})
        for word, n in rest.items():
            (characters if len(word) == 1 else words)[word] += n
    return characters, words


def _without_cjk(text):
    return "".join(" " if is_cjk(c) else c for c in text)


def _pieces(words):
    """Whole words, and beginnings and endings of words of two to four letters, with how often they occur."""
    pieces = Counter()
    for word, n in words.items():
        if len(word) > 20 or not all(c.isalnum() and not is_punctuation(c) for c in word):
            continue
        pieces[word] += n
        for k in range(2, min(5, len(word))):
            pieces[word[:k]] += n
            pieces[f"##{word[-k:]}"] += n
    return pieces


def _ranked(counter):
    """Most frequent first; equals by code point, so that the result depends on nothing else."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))
