"""PET against openprompt, and against its recipe in plain PyTorch: same weights, splits, seed and options, interleaved.

    python benchmarks/few_shot_peer.py --data FOLDER [--peer-python PYTHON]

FOLDER holds `fewclue/`. The embedded model is exported to Hugging Face's form, which every engine reads. Each engine is
a process of its own with all cores; on each split they take turns: from strings and labels to a trained model, then
from the test's strings to probabilities. All train the first pattern of the preset without the auxiliary loss: batches
of 16, AdamW (0.9, 0.98, 1e-6; decay 0.01, none of biases and normalizations), the norm of the gradient cut at 1, a
tenth of the steps of warm-up and a linear decay; the last weights count, and no development row is read. A word scores
the product over its masks. Before anything is timed, all must give the same probabilities untrained, to 1e-4.

- nlpgen cuts training batches of like length too, and runs the head and the last block's queries at the masks only.
- PyTorch: `BertForMaskedLM` and the fast tokenizer, shuffled batches padded to their longest row, scoring batches of
  like length, fused AdamW. `pet` computes the head for all positions; the last engine at the masks only. (`pet` also
  pads every row to the limit; that is not copied.)
- openprompt pads every row to the limit, does not sort, and computes the head for all positions. Its verbalizer reads
  one mask, by default for the first token of a word: that is another model where words are longer, and is compared
  untrained with nlpgen's on such words. The product over the masks is a line of its user's own, on what
  `forward_without_verbalize` gives.

`--peer-python` is a Python with openprompt, which is left out otherwise. Its last release, 1.0.1, pins a
sentencepiece that has no wheel for Python 3.11; this is what it was run with::

    pip install torch==2.13.0 transformers==4.30.2 sentencepiece rouge==1.0.0 scipy scikit-learn tqdm yacs dill \\
        tensorboardX nltk datasets
    pip install --no-deps openprompt==1.0.1

Seconds are medians of all turns but an engine's first, which stands apart: TensorFlow traces in it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from few_shot_rates import read_rates
from machine import machine

OURS = "nlpgen"
ENGINES = {
    OURS: {"kind": "ours"},
    "openprompt, its verbalizer": {"kind": "openprompt", "first_token": True},
    "openprompt, product over the masks": {"kind": "openprompt"},
    "PyTorch, head everywhere, as `pet`": {"kind": "pytorch", "everywhere": True},
    "PyTorch, head at the masks": {"kind": "pytorch"},
}
SETS = ("eprstmt", "tnews")
TRAINING_BATCH, SCORING_BATCH = 16, 32


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="required")
    parser.add_argument("--peer-python", help="a Python with openprompt")
    parser.add_argument("--model", default="bert-tiny-zh")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--splits", type=int, choices=range(1, 6), default=5)
    parser.add_argument("--rounds", type=int, default=2, help="how often all splits are trained and scored")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=read_rates()["PET"], help="by few_shot_settings.py")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(ENGINES[options.worker], options.folder)
    elif options.data is None:
        parser.error("--data is required")
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), options)


def compare(folder, options):
    from nlpgen import MaskedLM

    MaskedLM.from_pretrained(options.model).save_pretrained(folder / "model", format="huggingface")
    names = [name for name, spec in ENGINES.items() if options.peer_python or spec["kind"] != "openprompt"]
    engines = {}
    try:
        for name in names:
            python = options.peer_python if ENGINES[name]["kind"] == "openprompt" else sys.executable
            engines[name] = Engine(name, python, folder)
        for name in options.sets:
            task = prepare(name, folder, options)
            one_token = max(map(len, task["words"].values())) == 1
            # Words of one token have one mask in any case: both of openprompt's are the same.
            taking = {n: each for n, each in engines.items() if not (one_token and "product" in n)}
            check_untrained(name, taking)
            turns = {n: [] for n in taking}
            for _ in range(options.rounds):
                for split in range(options.splits):
                    for n, engine in taking.items():
                        turns[n].append(engine.ask(name, split))
                        print(f"{name} {split}, {n}: {turns[n][-1][0]:.2f} + {turns[n][-1][1]:.2f} s", file=sys.stderr)
            report(name, task, turns, options.splits)
        print(
            f"\n{options.model}, seed {options.seed}, learning rate {options.learning_rate:g}, "
            f"{options.epochs} epochs; {options.splits} splits, {options.rounds} rounds.\n"
            f"{machine('tensorflow', 'tensorflow-cpu', 'keras', 'torch', 'transformers')}."
        )
        for versions in sorted({engine.versions for name, engine in engines.items() if "openprompt" in name}):
            print(f"Of openprompt: {versions}.")
    finally:
        for engine in engines.values():
            engine.close()


def prepare(name, folder, options):
    """Write a task for all engines: pattern, words, settings, texts and labels."""
    from nlpgen.data import read_fewclue
    from nlpgen.prompts import load_preset

    preset = load_preset(name)
    train = [read_fewclue(options.data / "fewclue", name, f"train_{i}") for i in range(options.splits)]
    test = read_fewclue(options.data / "fewclue", name, "test_public")
    task = {
        "pattern": preset.patterns[0],
        "words": {label: words[0] for label, words in preset.verbalizer.items()},
        "max_length": preset.max_length,
        "training": {"epochs": options.epochs, "learning_rate": options.learning_rate, "seed": options.seed},
        "train": [(rows.columns["text"], rows.labels) for rows in train],
        "test": test.columns["text"],
        "expected": test.labels,
    }
    (folder / f"{name}.json").write_text(json.dumps(task), encoding="utf-8")
    return task


class Engine:
    """A process that trains and scores when it is asked to."""

    def __init__(self, name, python, folder):
        self.name, self.first_token = name, ENGINES[name].get("first_token", False)
        self.process = subprocess.Popen(
            [python, "-W", "ignore", __file__, "--worker", name, "--folder", str(folder)],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "TQDM_DISABLE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.versions = self.answer()

    def ask(self, task, split=None, first_token=False):
        """Seconds of the training, seconds of the scoring, and the probabilities of the test rows.

        Args:
            task: name of the set.
            split: which one is trained on; `None` for the untrained model.
            first_token: whether only the first token of each word is read; openprompt's verbalizer does so always.
        """
        print(json.dumps([task, split, first_token]), file=self.process.stdin, flush=True)
        fit, score, path = self.answer()
        return fit, score, np.load(path)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(
                f"error: the process of {self.name} ended with exit code {self.process.wait()}; it says why above."
            )
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def check_untrained(task, engines):
    """Stop unless all engines say the same before they are trained."""
    said = {first: engines[OURS].ask(task, first_token=first)[2] for first in (False, True)}
    for name, engine in engines.items():
        difference = np.abs(engine.ask(task)[2] - said[engine.first_token]).max()
        print(f"{task}, untrained, {name}: probabilities differ by {difference:.1e}", file=sys.stderr)
        assert difference < 1e-4, f"{name} asks {task} otherwise than nlpgen: probabilities differ by {difference:.1e}"


def report(name, task, turns, splits):
    """Print the Markdown table of a set."""
    from nlpgen.metrics import combined_p, mcnemar, mean_sd, paired_bootstrap

    labels, expected = list(task["words"]), task["expected"]
    said = {n: [[labels[i] for i in found[2].argmax(1)] for found in each[:splits]] for n, each in turns.items()}
    medians = {n: [statistics.median(t[i] for t in each[1:] or each) for i in (0, 1)] for n, each in turns.items()}
    print(f"\n## {name}: {len(task['train'][0][0])} training rows, {len(expected)} test rows\n")
    print(
        "| engine | accuracy, mean ± sd | nlpgen's is higher by (95 %) | p bootstrap, McNemar | first fit s | fit s "
        "| times nlpgen's | first scoring s | scoring s | times nlpgen's |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for n, each in turns.items():
        mean, sd = mean_sd([np.mean(np.array(run) == np.array(expected)) for run in said[n]])
        found = paired_bootstrap(expected, said[OURS], said[n])
        mcnemar_p = combined_p([mcnemar(expected, a, b).p for a, b in zip(said[OURS], said[n], strict=True)])
        tested = f"{100 * found.difference:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
        cells = [f"{100 * mean:.1f}" + (f" ± {100 * sd:.1f}" if sd is not None else "")]
        cells += ["", ""] if n == OURS else [tested, f"{found.p:.3f}, {mcnemar_p:.3f}"]
        for i in (0, 1):
            cells += [f"{each[0][i]:.2f}", f"{medians[n][i]:.2f}", f"{medians[n][i] / medians[OURS][i]:.2f}×"]
        print(f"| {n} | {' | '.join(cells)} |")
    seconds = {n: [[round(t[i], 2) for t in each] for i in (0, 1)] for n, each in turns.items()}
    print(f"\nSeconds of each turn, fits and scorings: {json.dumps(seconds, ensure_ascii=False)}", flush=True)


def work(spec, folder):
    """The process of an engine: a job a line in, its seconds and the file of its probabilities a line out."""
    kinds = {"ours": ours, "pytorch": pytorch, "openprompt": openprompt}
    packages = ("openprompt", "transformers", "torch") if spec["kind"] == "openprompt" else ()
    print(json.dumps(", ".join(f"{name} {version(name)}" for name in packages)), flush=True)
    made, path = {}, folder / f"{os.getpid()}.npy"
    for line in sys.stdin:
        name, split, first_token = json.loads(line)
        task = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if first_token:
            task["words"] = {label: word[0] for label, word in task["words"].items()}
        key = name, first_token
        if key not in made:
            made[key] = kinds[spec["kind"]](task, folder / "model", spec)
        fit, score = made[key]
        begin = time.perf_counter()
        if split is not None:
            fit(*task["train"][split])
        fitted = time.perf_counter()
        probabilities = score(task["test"])
        scored = time.perf_counter()
        np.save(path, probabilities)
        print(json.dumps([fitted - begin, scored - fitted, str(path)]), flush=True)


def ours(task, folder, spec):
    """`fit` and `predict_proba` of a PETClassifier."""
    from nlpgen import MaskedLM, PETClassifier

    pet = PETClassifier(
        MaskedLM.from_pretrained(folder),
        task["pattern"],
        task["words"],
        max_length=task["max_length"],
        batch_size=TRAINING_BATCH,
        mlm_weight=0.0,
        **task["training"],
    )
    return pet.fit, pet.predict_proba


def pytorch(task, folder, spec):
    """The same as functions, with `transformers`."""
    import torch
    from transformers import BertForMaskedLM, BertTokenizerFast

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    model = BertForMaskedLM.from_pretrained(folder).float()
    pretrained = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    labels = list(task["words"])

    def ids_of(texts, **options):
        return tokenizer(texts, add_special_tokens=False, return_token_type_ids=False, **options).input_ids

    words = torch.tensor(ids_of(list(task["words"].values())))  # (labels, masks): all of one length
    masks = torch.arange(words.shape[1])
    before, after = ids_of(task["pattern"].replace("[MASK]", "[MASK]" * len(masks)).split("{text}"))
    before, after = [tokenizer.cls_token_id, *before], [*after, tokenizer.sep_token_id]
    slots = [i for i, token in enumerate(before) if token == tokenizer.mask_token_id]
    room = task["max_length"] - len(before) - len(after)

    def encode(texts):
        return [before + text + after for text in ids_of(texts, truncation=True, max_length=room)]

    def scores(rows):
        longest = max(map(len, rows))
        ids = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
        inputs = {"input_ids": ids, "attention_mask": (ids != tokenizer.pad_token_id).long()}
        if spec.get("everywhere"):
            logits = model(**inputs).logits[:, slots]
        else:
            logits = model.cls(model.bert(**inputs).last_hidden_state[:, slots])
        return logits[:, masks, words].sum(-1)  # softmax over the vocabulary would add the same to all words

    def fit(texts, expected):
        torch.manual_seed(task["training"]["seed"])
        model.load_state_dict(pretrained)
        rows, targets = encode(texts), torch.tensor([labels.index(label) for label in expected])

        def losses():
            for batch in torch.randperm(len(rows)).split(TRAINING_BATCH):
                yield torch.nn.functional.cross_entropy(scores([rows[i] for i in batch]), targets[batch])

        train(model, losses, -(-len(rows) // TRAINING_BATCH), **task["training"])

    @torch.inference_mode()
    def score(texts):
        model.eval()
        rows, out = encode(texts), np.empty((len(texts), len(labels)), "float32")
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        for i in range(0, len(rows), SCORING_BATCH):
            batch = order[i : i + SCORING_BATCH]
            out[batch] = scores([rows[j] for j in batch]).softmax(-1).numpy()
        return out

    return fit, score


def openprompt(task, folder, spec):
    """The same as functions, with openprompt as its tutorial uses it."""
    import torch
    from openprompt import PromptDataLoader, PromptForClassification
    from openprompt.data_utils import InputExample
    from openprompt.plms import load_plm
    from openprompt.prompts import ManualTemplate, ManualVerbalizer

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model, tokenizer, _, wrapper = load_plm("bert", str(folder))
    pretrained = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    labels, label_words = list(task["words"]), list(task["words"].values())
    words = torch.tensor([tokenizer.encode(word, add_special_tokens=False) for word in label_words])
    masks = torch.arange(1 if spec.get("first_token") else words.shape[1])
    pattern = task["pattern"].replace("[MASK]", '{"mask"}' * len(masks)).replace("{text}", '{"placeholder": "text_a"}')
    template = ManualTemplate(tokenizer, pattern)
    verbalizer = ManualVerbalizer(tokenizer, classes=labels, label_words=label_words, prefix="")
    prompted = PromptForClassification(model, template, verbalizer)

    def loader(texts, targets, **options):
        return PromptDataLoader(
            [InputExample(i, text, label=target) for i, (text, target) in enumerate(zip(texts, targets, strict=True))],
            template,
            tokenizer=tokenizer,
            tokenizer_wrapper_class=wrapper,
            max_seq_length=task["max_length"],
            **options,
        )

    def scores(batch):
        if len(masks) == 1:
            return prompted(batch)
        return prompted.forward_without_verbalize(batch)[:, masks, words].sum(-1)

    def fit(texts, expected):
        torch.manual_seed(task["training"]["seed"])
        model.load_state_dict(pretrained)
        targets = [labels.index(label) for label in expected]
        batches = loader(texts, targets, batch_size=TRAINING_BATCH, shuffle=True)

        def losses():
            for batch in batches:
                yield torch.nn.functional.cross_entropy(scores(batch), batch["label"])

        train(model, losses, len(batches), **task["training"])

    @torch.inference_mode()
    def score(texts):
        prompted.eval()
        batches = loader(texts, [0] * len(texts), batch_size=SCORING_BATCH)
        return np.concatenate([scores(batch).softmax(-1).numpy() for batch in batches])

    return fit, score


def train(model, losses, batches, epochs, learning_rate, seed):
    """Minimize in PyTorch as `nlpgen.tasks.fine_tuning.fine_tune` does.

    Args:
        model: the language model.
        losses: function to an iterator over an epoch's losses.
        batches: how many these are.
        epochs, learning_rate: as they say; `seed` was set before.
    """
    import torch

    steps = epochs * batches
    warmup = steps // 10
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / max(warmup, 1), (steps - i) / max(steps - warmup, 1), 1.0)
    )
    model.train()
    for _ in range(epochs):
        for loss in losses():
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()


if __name__ == "__main__":
    main()
