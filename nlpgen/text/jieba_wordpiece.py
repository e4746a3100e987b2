"""Word-first WordPiece, as WoBERT and RoFormer have it."""

import re

import keras
from tokenizers import normalizers

from nlpgen.text.alignment import Aligned
from nlpgen.text.wordpiece import WordPieceTokenizer
from nlpgen.text.words import word_cutter


@keras.saving.register_keras_serializable("nlpgen")
class JiebaWordPieceTokenizer(WordPieceTokenizer):
    """Clean and lower-case, cut into words with jieba, keep the words of the vocabulary, take WordPiece for others.

    Jieba uses its own dictionary and no hidden Markov model, as bert4keras and Hugging Face do. The arguments are
    those of `WordPieceTokenizer`.

    Su, 2020, WoBERT: a word-based Chinese BERT, https://github.com/ZhuiyiTechnology/WoBERT

    Example:
        >>> from nlpgen import Vocab
        >>> tokenizer = JiebaWordPieceTokenizer(Vocab(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "我们", "今天", "天"]))
        >>> tokenizer.tokens(tokenizer.ids("我们今天聊天"))
        ['我们', '今天', '[UNK]', '天']
    """

    hugging_face_class = "RoFormerTokenizer"

    def __init__(self, vocab, lowercase=True, **special):
        super().__init__(vocab, lowercase, **special)
        self._clean = normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=False, strip_accents=None, lowercase=lowercase
        )
        marks = [token for token in self.special_tokens.values() if token in vocab]
        self._mark = re.compile("|".join(map(re.escape, marks)))

    def pieces(self, texts, special_tokens=False):
        rows = [list(self._words(text, special_tokens)) for text in texts]
        unknown = list(dict.fromkeys(word for row in rows for word, _ in row if word not in self.vocab))
        cut = dict(zip(unknown, super().pieces(unknown), strict=True))
        return [self._join_words(row, cut) for row in rows]

    def _words(self, text, special_tokens):
        """Words and special tokens, each with the spans of its characters."""
        start = 0
        for mark in self._mark.finditer(text) if special_tokens else ():
            yield from self._cut(text[start : mark.start()], start)
            yield mark.group(), [mark.span()] * len(mark.group())
            start = mark.end()
        yield from self._cut(text[start:], start)

    def _cut(self, text, offset):
        clean = Aligned.map(text, self._clean.normalize_str)
        spans = [(start + offset, end + offset) for start, end in clean.spans]
        for word, start, end in word_cutter().tokenize(clean.text, HMM=False):
            yield word, spans[start:end]

    def _join_words(self, row, cut):
        all_ids, all_offsets = [], []
        for word, spans in row:
            if word in self.vocab:
                all_ids.append(self.vocab.ids[word])
                all_offsets.append((spans[0][0], spans[-1][1]))
            else:
                ids, offsets = cut[word]
                all_ids += ids
                all_offsets += [(spans[start][0], spans[end - 1][1]) for start, end in offsets]
        return all_ids, all_offsets
