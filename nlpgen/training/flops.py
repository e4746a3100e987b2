"""How many operations a training step takes, to say which share of a machine's peak it reaches."""


def transformer_flops(config, length, places=None):
    """Floating-point operations of one training step, a token of input.

    Matrix products only, three times the forward pass (Kaplan et al., 2020, https://arxiv.org/abs/2001.08361, 2.1),
    counted as they are run: with `places`, the last block's queries and feed-forward and the head run only there.

    Args:
        config: with the fields of `BertConfig`.
        length: tokens of a row.
        places: positions of a row that are guessed; all by default.
    """
    h = config.hidden_size
    f = config.intermediate_size or 4 * h  # GPT-2's default
    share = 1.0 if places is None else places / length
    projection, feed_forward, attention = 2 * h * h, 4 * h * f, 4 * h * length
    block = 4 * projection + feed_forward + attention
    last = 2 * projection + share * (2 * projection + feed_forward + attention)
    head = share * (2 * h * h + 2 * h * config.vocab_size)
    return 3 * ((config.num_hidden_layers - 1) * block + last + head)
