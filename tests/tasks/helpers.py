"""A model so small that tests can train it, and what it can learn."""

import numpy as np

from nlpgen import Bert, BertConfig, Vocab, WordPieceTokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"甲乙丙丁天地人山水火木日月，。", "go", "##es"]


def tiny_bert(dropout=0.0, longest=32):
    """A Bert of one block with the same random weights each time."""
    tokenizer = WordPieceTokenizer(Vocab(TOKENS))
    config = BertConfig(
        vocab_size=len(tokenizer.vocab),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=longest,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    bert = Bert(config)
    bert.build()
    bert.tokenizer = tokenizer
    generator = np.random.default_rng(0)
    for weight in bert.weights:
        if weight.name in ("kernel", "embeddings"):
            weight.assign(generator.normal(0, 0.2, weight.shape))
    return bert


def examples(n, seed):
    """Texts of 1 to 9 characters, "有" where 甲 is among them."""
    generator = np.random.default_rng(seed)
    texts = ["".join(generator.choice(list("乙丙丁天地人山水"), generator.integers(1, 9))) for _ in range(n)]
    for i in range(0, n, 2):
        at = generator.integers(0, len(texts[i]) + 1)
        texts[i] = texts[i][:at] + "甲" + texts[i][at:]
    return texts, ["有" if "甲" in text else "无" for text in texts]
