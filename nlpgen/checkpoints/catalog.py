"""The models that come with nlpgen."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# Inside an installed package, and beside it in the repository.
PLACES = (PACKAGE / "pretrained", PACKAGE.parent / "pretrained")
CHECKPOINT, TEXT_VAE = "manifest.json", "vae.json"  # by which file of its folder a kind is known


def find(name, kind=CHECKPOINT):
    """The folder of an embedded model, or `None`."""
    for place in PLACES:
        if name in _names(place, kind):
            return place / name
    return None


def names(kind=CHECKPOINT):
    """Names of the embedded models."""
    return sorted(set().union(*(_names(place, kind) for place in PLACES)))


def _names(place, kind):
    return {path.parent.name for path in place.glob(f"*/{kind}")}
