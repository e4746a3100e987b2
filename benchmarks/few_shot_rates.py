"""The learning rates of the few-shot benchmarks, as few_shot_settings.py chose and wrote them."""

import json
from pathlib import Path

RATES = Path(__file__).with_suffix(".json")


def read_rates(path=RATES):
    """`{method: learning rate}`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
