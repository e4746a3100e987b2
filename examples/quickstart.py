"""Fill masks, tell good reviews from bad ones, answer questions from a text, and write couplets, untrained by you.

    python examples/quickstart.py

Uses the embedded bert-tiny-zh, reader-tiny-zh (5.7 M parameters each) and poem-vae (3.9 M), which make mistakes; larger
checkpoints are one argument away: --model FOLDER, --reader FOLDER, --vae FOLDER. The accuracy of the two dozen reviews
is printed; that of real test sets is in the README.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nlpgen import MaskedLM, MLMReader, PETClassifier, TextVAE

SENTENCES = ["中国的首都是[MASK]京。", "今天天气很[MASK]。", "他在北京大[MASK]读书。", "一年有春夏秋[MASK]四季。"]
DATA = Path(__file__).parent / "data"
WAY = "白日依山尽，黄河入海流", "海内存知己，天涯若比邻"
QUESTIONS = ["白沙镇有多少人？", "小学的校长叫什么名字？", "海堤有多长？"]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bert-tiny-zh", help="an embedded model or a folder")
    parser.add_argument("--reader", default="reader-tiny-zh", help="an embedded reader or a folder")
    parser.add_argument("--vae", default="poem-vae", help="an embedded TextVAE or a folder")
    parser.add_argument(
        "--reviews", default=DATA / "reviews.tsv", type=Path, help="text, tab, 正面 or 负面 on each line"
    )
    options = parser.parse_args(arguments)
    console = Console()

    masked_lm = MaskedLM.from_pretrained(options.model)
    table = Table("sentence", "guesses", title="Fill the mask")
    for filled in masked_lm.fill_mask(SENTENCES, top_k=4):
        guesses = "  ".join(f"{token} {probability:.2f}" for token, probability in filled.candidates[0])
        table.add_row(filled.text, guesses)
    console.print(table)

    lines = [line.split("\t") for line in options.reviews.read_text(encoding="utf-8").splitlines()]
    texts, labels = [text for text, _ in lines], [label for _, label in lines]
    pet = PETClassifier.from_preset("sentiment", masked_lm, calibration="context")
    probabilities = pet.predict_proba(texts)
    table = Table("review", "label", *(f"P({label})" for label in pet.verbalizer), "", title="Reviews, zero-shot")
    for text, label, row in zip(texts, labels, probabilities, strict=True):
        right = list(pet.verbalizer)[row.argmax()] == label
        table.add_row(text[:28], label, *(f"{p:.2f}" for p in row), "[green]✓" if right else "[red]✗")
    console.print(table)
    console.print(f"accuracy {pet.score(texts, labels):.2f} on {len(texts)} reviews, no training")

    reader = MLMReader.load(options.reader)
    passage = (DATA / "village.txt").read_text(encoding="utf-8").strip()
    table = Table("question", "answer", "score", "place", title="Read", caption=passage, caption_justify="left")
    for question, answer in zip(QUESTIONS, reader.answer_batch([(q, passage) for q in QUESTIONS]), strict=True):
        table.add_row(question, answer.text or "(no answer)", f"{answer.score:.2f}", f"{answer.start}–{answer.end}")
    console.print(table)

    vae = TextVAE.load(options.vae)
    table = Table("from one famous couplet to another", "new couplets", title="A latent space")
    way = vae.interpolate(*WAY, steps=6)
    for row in zip(way, vae.sample(len(way), seed=0, temperature=0.5), strict=True):
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
