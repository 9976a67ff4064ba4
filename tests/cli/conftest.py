"""A directory to stand in, models and pictures to name, and a mess of things that are not what their names say."""

import pickle

import numpy as np
import pytest
import torch
from commands import DIGITS, RGB, SPEC
from PIL import Image

from arstudio.data import load
from arstudio.image import to_pil
from arstudio.models import save_model
from arstudio.models.modelfile import Facts


@pytest.fixture(scope="module")
def room(tmp_path_factory, random_model):
    """A directory with two model files, a grey and an RGB picture of their sizes, and what is no model."""
    path = tmp_path_factory.mktemp("room")
    grey = random_model("gated_pixelcnn", SPEC, 10, channels=4, head=8, dilations=(1, 2))
    facts = Facts(dataset="digits", protocol="native 17 levels", nats=100.0, bits_per_dim=2.25, split="test")
    save_model(path / "grey.safetensors", grey, DIGITS, facts)
    save_model(path / "rgb.safetensors", random_model("pixelcnn", RGB, channels=6, blocks=1, head=6))
    named = random_model("fvsbn", SPEC, 2, class_dropout=0.0)
    save_model(path / "named.safetensors", named, ("Ankle boot", "Bag"))
    to_pil(load("digits").test.x[0], SPEC).save(path / "digit.png")
    x = np.random.default_rng(0).integers(0, 4, RGB.shape)
    to_pil(x, RGB).save(path / "colours.png")
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def mess(room, tmp_path_factory):
    """A directory of things that are not what their names say."""
    path = tmp_path_factory.mktemp("mess")
    whole = (room / "grey.safetensors").read_bytes()
    (path / "M").write_bytes(whole)
    (path / "short.safetensors").write_bytes(whole[:-200])
    (path / "newer.safetensors").write_bytes(whole.replace(b'\\"format\\": 1', b'\\"format\\": 9'))
    (path / "pickle.safetensors").write_bytes(pickle.dumps({"weights": [1, 2]}))
    torch.save({"weights": torch.zeros(2)}, path / "torch.safetensors")
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, path / "foreign.safetensors")
    picture = (room / "digit.png").read_bytes()
    (path / "digit.png").write_bytes(picture)
    (path / "short.png").write_bytes(picture[: len(picture) // 2])
    Image.new("L", (28, 28), 255).save(path / "large.png")
    Image.new("L", (8, 8), 0).save(path / "black.png")
    Image.new("RGB", (8, 8), (255, 0, 0)).save(path / "coloured.png")
    (path / "notes.txt").write_text("not a picture")
    (path / "empty").mkdir()
    (path / "empty.png").mkdir()
    (path / "used").mkdir()
    (path / "used" / "mine.txt").write_text("keep me")
    return path
