"""A model so small that tests can train it."""

import numpy as np

from nlpgen import Bert, BertConfig, Vocab, WordPieceTokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"甲乙丙丁天地人山水火木日月，。", "go", "##es"]


def tiny_bert(dropout=0.0):
    """A Bert of one block with the same random weights each time."""
    tokenizer = WordPieceTokenizer(Vocab(TOKENS))
    config = BertConfig(
        vocab_size=len(tokenizer.vocab),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
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
