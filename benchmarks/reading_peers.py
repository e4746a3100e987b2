"""What the readers are compared with for speed: the same weights, without what makes nlpgen's fast."""

import tempfile
from collections import defaultdict

from nlpgen import Answer, Seq2SeqReader
from nlpgen.reading.seq2seq_reader import WINDOWS, next_log_probs
from nlpgen.text import length_batches, pad


class UncachedReader(Seq2SeqReader):
    """bert4keras' way to write: the whole row goes through the model again for each token.

    The search is that of a `Seq2SeqReader` with a beam of 1: on from the likeliest token, and of all that could end on
    the way the two best, until nothing better can come.
    """

    def _hypotheses(self, model, sources, allowed):
        end, found, written = model.tokenizer.eos_id, [[] for _ in sources], [[] for _ in sources]
        totals, going = [0.0] * len(sources), list(range(len(sources)))
        while going:
            further = []
            for places, length in length_batches([len(sources[i]) + len(written[i]) for i in going], 8192, WINDOWS):
                rows = [going[place] for place in places]
                log_probs = next_log_probs(model, [sources[i] for i in rows], [written[i] for i in rows], length)
                for i, row in zip(rows, log_probs, strict=True):
                    ended = [*found[i], ([*written[i], end], totals[i] + float(row[end]))]
                    found[i] = sorted(ended, key=lambda pair: -pair[1])[:2]
                    following = allowed(i, written[i]) - {end}
                    if not following:
                        continue
                    best = max(following, key=row.__getitem__)
                    totals[i] += float(row[best])
                    written[i].append(best)
                    if len(found[i]) < 2 or totals[i] > found[i][1][1]:
                        further.append(i)
            going = further
        return found


class TorchPort:
    """The article's method as one writes it with transformers: logits of the whole vocabulary at every position, rows
    in the order in which they come, padded to the longest of a batch, and n-grams in Python. Texts are cut into the
    same windows.

    Args:
        reader: an `MLMReader` with `decoding="greedy"`, on a BERT.
        batch_size: rows.
    """

    def __init__(self, reader, batch_size=32):
        from transformers import BertForMaskedLM

        self.reader, self.batch_size = reader, batch_size
        with tempfile.TemporaryDirectory() as folder:
            reader.model_.save_pretrained(f"{folder}/model", format="huggingface")
            self.model = BertForMaskedLM.from_pretrained(f"{folder}/model").eval()

    def answer_batch(self, pairs):
        """The answers, without their places; commas stand for spaces and marks of lists."""
        reader, tokenizer = self.reader, self.reader.model_.tokenizer
        rows, _ = reader._row_reader(reader.model_).rows(pairs)
        scores = [defaultdict(list) for _ in pairs]
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            for row, probabilities in zip(batch, self._probabilities(batch), strict=True):
                ids, score = decoded(probabilities, row.token_ids, tokenizer.sep_id)
                if text := tokenizer.decode(ids):
                    scores[row.index[0]][text, row.index[1]].append(score)
        return [_voted(each) for each in scores]

    def _probabilities(self, rows):
        import torch

        tokenizer, slots = self.reader.model_.tokenizer, self.reader.answer_length
        befores = [self.reader._before(tokenizer, row.question) for row in rows]
        ids = [[*before, *row.token_ids, tokenizer.sep_id] for before, row in zip(befores, rows, strict=True)]
        mask = torch.from_numpy(pad([[1] * len(row) for row in ids]))
        with torch.inference_mode():
            logits = self.model(torch.from_numpy(pad(ids)).long(), attention_mask=mask).logits
            return logits[:, 1 : 1 + slots].softmax(-1).numpy()


def decoded(probabilities, ids, end):
    """bert4keras' steps for one passage: at each slot the likeliest token that goes on an n-gram, or the end.

    Args:
        probabilities: `(slots, vocab_size)`.
        ids: the passage's tokens.
        end: id of `[SEP]`.

    Returns:
        The tokens, and the mean of their probabilities and of that of the end.
    """
    chosen, total = [], 0.0
    for n, row in enumerate(probabilities):
        following = [ids[i + n] for i in range(len(ids) - n) if ids[i : i + n] == chosen]
        best = max([end, *following], key=lambda id, row=row: row[id])
        total += row[best]
        if best == end:
            return chosen, total / (n + 1)
        chosen = [*chosen, best]
    return chosen, total / len(probabilities)


def _voted(scores):
    """The `Answer` with the highest Σ s² / (Σ s + 1) over the passages, of each its best window."""
    votes = defaultdict(list)
    for (text, _), found in scores.items():
        votes[text].append(max(found))
    votes = {text: sum(s**2 for s in found) / (sum(found) + 1) for text, found in votes.items()}
    best = max(votes, key=votes.get, default="")
    return Answer(best, votes.get(best, 0.0), None, 0, 0)
