"""Zero-shot sentiment accuracy of the five patterns of Su's PET post (2020, https://kexue.fm/archives/7764).

    python benchmarks/zero_shot.py --model bert-tiny-zh --data FOLDER

FOLDER holds `sentiment/sentiment.test.data` (2,111 reviews) and `fewclue/eprstmt/test_public.json`, which nlpgen may
not ship. Deterministic: there is nothing random in it. At most 128 tokens with the special ones, as in the post.
Calibrated rows take out what the patterns say of an empty text, or on average of the texts themselves, without labels.
"""

import argparse
import json
import math
from pathlib import Path

from nlpgen import MaskedLM, PETClassifier


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    sets = {"sentiment test": sentiment(options.data), "EPRSTMT test_public": eprstmt(options.data)}
    masked_lm = MaskedLM.from_pretrained(options.model)
    preset = PETClassifier.from_preset("sentiment", masked_lm)
    print(f"| pattern ({options.model}) | " + " | ".join(f"{name} ({len(x[0])})" for name, x in sets.items()) + " |")
    print("|---|" + "---|" * len(sets))
    rows = [(pattern, pattern, None) for pattern in preset.patterns]
    rows += [("mean of the five", preset.patterns, None)]
    rows += [(f'the same, `calibration="{kind}"`', preset.patterns, kind) for kind in ("context", "unlabeled")]
    for name, patterns, calibration in rows:
        pet = PETClassifier(masked_lm, patterns, preset.verbalizer, calibration=calibration)
        cells = []
        for texts, labels in sets.values():
            if calibration == "unlabeled":
                pet.calibrate(texts)
            accuracy = pet.score(texts, labels)
            error = math.sqrt(accuracy * (1 - accuracy) / len(texts))
            cells.append(f"{100 * accuracy:.1f} ± {100 * error:.1f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    majority = (max(labels.count(label) for label in set(labels)) / len(labels) for _, labels in sets.values())
    print("| always the larger class | " + " | ".join(f"{100 * share:.1f}" for share in majority) + " |")


def sentiment(data):
    lines = (data / "sentiment" / "sentiment.test.data").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return [text for text, _ in rows], [{"1": "正面", "0": "负面"}[label] for _, label in rows]


def eprstmt(data):
    lines = (data / "fewclue" / "eprstmt" / "test_public.json").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row["sentence"] for row in rows], [{"Positive": "正面", "Negative": "负面"}[row["label"]] for row in rows]


if __name__ == "__main__":
    main()
