"""The models that come with nlpgen."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# Inside an installed package, and beside it in the repository.
PLACES = (PACKAGE / "pretrained", PACKAGE.parent / "pretrained")


def find(name):
    """The folder of an embedded model, or `None`."""
    for place in PLACES:
        if name in _names(place):
            return place / name
    return None


def names():
    """Names of the embedded models."""
    return sorted(set().union(*(_names(place) for place in PLACES)))


def _names(place):
    return {path.parent.name for path in place.glob("*/manifest.json")}
