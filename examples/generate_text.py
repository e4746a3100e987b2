"""Continue a text, watch it being written, and have a poem in a fixed form.

    python examples/generate_text.py

The embedded gpt-tiny-zh has seen a small corpus about once: it knows phrases and the shape of a poem, and makes little
sense beyond. The form of the poem is kept by a constraint, whatever the model. With seed 0 on a CPU it printed

    poem:   春来花未必，夏日春相到。秋夜烟花雨，冬春不已寒。
"""

import argparse

from nlpgen import CausalLM
from nlpgen.generation import Beam, Sample, Template


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gpt-tiny-zh", help="an embedded model or a folder")
    parser.add_argument("--prompt", default="今天天气不错，")
    parser.add_argument("--heads", default="春夏秋冬", help="what the lines of the poem begin with")
    parser.add_argument("--characters", default=5, type=int, help="in a line of the poem")
    parser.add_argument("--max-new-tokens", default=24, type=int)
    parser.add_argument("--seed", default=0, type=int)
    options = parser.parse_args(arguments)
    lm = CausalLM.from_pretrained(options.model)

    limits = {"max_new_tokens": options.max_new_tokens, "stop": "。"}
    print("beam:  ", options.prompt + lm.generate(options.prompt, Beam(4, length_penalty=0.6), **limits))

    print("stream:", options.prompt, end="", flush=True)
    for piece in lm.stream(options.prompt, Sample(temperature=0.8, top_p=0.9, seed=options.seed), **limits):
        print(piece, end="", flush=True)
    print()

    form = Template.of_lines(options.characters, heads=options.heads)
    poem = lm.generate(
        "春眠不觉晓，处处闻啼鸟。",  # sets the tone; the constraint sets the form
        Sample(temperature=0.8, top_k=40, seed=options.seed),
        constraint=form,
        no_repeat_ngram_size=2,
        max_new_tokens=len(form.form) + 1,
    )
    print("poem:  ", poem)


if __name__ == "__main__":
    main()
