"""The model that a pretraining script trains."""

import keras

from nlpgen import GPT2, Bert, BertConfig, GPT2Config, MaskedLM
from nlpgen.training import extended_positions, sinusoids, warm_embeddings
from nlpgen.training.warm_start import ROWS

DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")


def make_model(args, tokenizer, rows, kind=MaskedLM, **options):
    """A new model, warm if so wanted, or the one to start from.

    Args:
        kind: `MaskedLM` of a `Bert`, or `CausalLM` of a `GPT2`.
        options: further fields of the config.
    """
    options |= {name: args.dropout for name in DROPOUT}
    if args.init:
        model = kind.from_pretrained(args.init, dtype=args.dtype, **options)
        if args.trained_positions:
            positions = model.backbone.embeddings.position.embeddings
            positions.assign(extended_positions(keras.ops.convert_to_numpy(positions), args.trained_positions))
        return model
    shape = len(tokenizer.vocab), args.hidden, args.layers, args.heads, args.ffn
    config_class, backbone_class = (BertConfig, Bert) if kind is MaskedLM else (GPT2Config, GPT2)
    options |= {"max_position_embeddings": args.positions, "pad_token_id": tokenizer.pad_id}
    model = kind(backbone_class(config_class(*shape, **options), dtype=args.dtype))
    model.build()
    model.tokenizer = model.backbone.tokenizer = tokenizer
    embeddings = model.backbone.embeddings
    if args.embeddings:
        source = MaskedLM.from_pretrained(args.embeddings).backbone.embeddings
        embeddings.token.embeddings.assign(source.token.embeddings)
        embeddings.position.embeddings.assign(sinusoids(args.positions, args.hidden))
    elif args.warm_start:
        ids, _ = rows.batch(0, min(ROWS, len(rows)))
        warm_embeddings(model.backbone, ids, tokenizer.special_ids, args.seed)
    return model
