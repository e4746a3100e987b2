"""`nlpgen vae` in this process."""

import sys
import warnings

import pytest

from nlpgen import TextVAE
from nlpgen.cli import main
from nlpgen.cli_vae import LATENTS
from nlpgen.errors import InputError, InputWarning
from nlpgen.vae.latents import DiscreteLatent
from tests.helpers import SHARED
from tests.vae.helpers import LINES


def test_train_sample_interpolate_diagnose(capsys, tmp_path):
    lines, folder = tmp_path / "lines.txt", str(tmp_path / "vae")
    lines.write_text("\n".join([*LINES, ""]), encoding="utf-8")
    small = ["--encoder", "cnn", "--decoder", "cnn", "--hidden-size", "16", "--latent-size", "4", "--epochs", "3"]
    options = ["--latent", "bn", "--strength", "0.7", "--prior", "gaussian", "--validation", str(lines)]
    options += ["--state", str(tmp_path / "state")]
    for epochs in (3, 0):  # the second time all was done
        assert main(["vae", "train", str(lines), folder, *small, *options]) == 0
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("validation_kl") == epochs
    assert main(["vae", "sample", "--model", folder, "--count", "3", "--seed", "1"]) == 0
    first = capsys.readouterr().out
    assert len(first.splitlines()) == 3
    assert main(["vae", "sample", "--model", folder, "--count", "3", "--seed", "1"]) == 0
    assert capsys.readouterr().out == first
    assert main(["vae", "interpolate", LINES[0], LINES[1], "--model", folder, "--steps", "4"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    plot = tmp_path / "vae.png"
    assert main(["vae", "diagnose", str(lines), "--model", folder, "--samples", "2", "--plot", str(plot)]) == 0
    assert "BatchNormGaussian(4) on 40 lines" in capsys.readouterr().out
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_model_is_kept_whatever_its_prior_does(capsys, tmp_path, monkeypatch):
    (tmp_path / "lines.txt").write_text("\n".join(LINES), encoding="utf-8")
    small = ["--encoder", "cnn", "--decoder", "cnn", "--hidden-size", "8", "--latent-size", "4", "--epochs", "1"]
    train = ["vae", "train", str(tmp_path / "lines.txt"), str(tmp_path / "vae"), *small]

    def fail(self, *_, **__):
        raise InputError("no prior")

    monkeypatch.setattr(TextVAE, "fit_prior", fail)
    assert main([*train, "--prior", "gaussian"]) == 2
    assert TextVAE.load(tmp_path / "vae").encode(LINES[0]).shape == (4,)
    capsys.readouterr()
    monkeypatch.setattr(TextVAE, "fit", fail)  # what follows is said before the training
    assert main([*train, "--prior", "codes"]) == 2
    assert "CodePrior is a prior of discrete latents" in capsys.readouterr().err
    (tmp_path / "vae" / "notes.txt").write_text("mine", encoding="utf-8")
    assert main(train) == 2
    assert "holds notes.txt" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    assert main([*train[:3], str(tmp_path / "new"), *small, "--prior", "mixture"]) == 2
    assert "needs scikit-learn" in capsys.readouterr().err
    for latent, strength, message in (("gaussian", "2", "takes no --strength"), ("vq", "8.9", "a whole number")):
        assert main([*train, "--latent", latent, "--strength", strength]) == 2
        assert message in capsys.readouterr().err
    assert main(["vae", "diagnose", str(tmp_path / "lines.txt"), "--plot", str(tmp_path / "no" / "vae.png")]) == 2
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", LATENTS)
def test_every_latent_has_the_size_asked_for(name):
    latent = LATENTS[name](8, None)
    assert latent.size == 8
    assert isinstance(latent, DiscreteLatent) == (name in ("vq", "fsq"))


@pytest.mark.needs_data("data/vae/poetry/tang5.test.txt")
def test_poem_vae_is_below_a_model_of_bigrams():
    """Which has 68.1 nats a couplet: a working language model must be clearly below (the card says 57.9)."""
    lines = (SHARED / "data/vae/poetry/tang5.test.txt").read_text(encoding="utf-8").split()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # rare characters
        found = TextVAE.load("poem-vae").diagnose(lines, most_lines=100, samples=5, generated=0)
    assert found.kl == pytest.approx(24, rel=1e-5)
    assert found.nll < 62
    assert found.shuffle_gap > 50


def test_bad_input_is_a_message(capsys, tmp_path):
    assert main(["vae", "sample", "--model", str(tmp_path)]) == 2
    assert "TextVAE.save" in capsys.readouterr().err
    assert main(["vae", "sample", "--model", "poem-vea"]) == 2
    assert "embedded models: poem-vae." in capsys.readouterr().err
    assert main(["inspect", "poem-vae"]) == 2
    assert "poem-vae is a text auto-encoder" in capsys.readouterr().err
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")
    (tmp_path / "lines.txt").write_text("\n".join(LINES), encoding="utf-8")
    options = ["--latent", "fsq", "--latent-size", "6"]
    assert main(["vae", "train", str(tmp_path / "lines.txt"), str(tmp_path / "vae"), *options]) == 2
    assert "must be a multiple of 4" in capsys.readouterr().err
    assert main(["vae", "train", str(tmp_path / "empty.txt"), str(tmp_path / "vae")]) == 2
    assert "no line with text" in capsys.readouterr().err
    (tmp_path / "gbk.txt").write_bytes("白日依山尽".encode("gbk"))
    assert main(["vae", "train", str(tmp_path / "gbk.txt"), str(tmp_path / "vae")]) == 2
    assert "is not UTF-8" in capsys.readouterr().err
