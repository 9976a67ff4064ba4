"""Bundled datasets are complete, licensed and whole; `load` refuses what it cannot give in one sentence."""

import shutil

import numpy as np
import pytest

from arstudio.data import SPLITS, DatasetError, bundled, load
from arstudio.data import datasets as room
from arstudio.data.views import split_indices
from arstudio.image import ImageSpec
from arstudio.resources import resource

EXPECTED = {
    "digits": (ImageSpec(1, 8, 8, 17), (1257, 180, 360), "CC BY 4.0"),
    "fashion": (ImageSpec(1, 28, 28, 256), (9000, 1000, 2000), "MIT"),
    "mnist": (ImageSpec(1, 28, 28, 256), (4000, 500, 500), "CC BY-SA 3.0"),
    "emoji": (ImageSpec(3, 32, 32, 256), (1146, 143, 143), "SIL OFL 1.1"),
}


def test_the_cards_name_every_dataset_smallest_first():
    assert [info.name for info in bundled()] == list(EXPECTED)
    for info in bundled():
        spec, counts, licence = EXPECTED[info.name]
        assert (info.spec, info.licence) == (spec, licence)
        assert info.splits == dict(zip(SPLITS, counts, strict=True))
        assert all((info.title, info.source, info.citation, info.note))


def test_cards_are_read_without_opening_an_image_file(monkeypatch):
    monkeypatch.setattr(np, "load", lambda *a, **k: pytest.fail("opened an npz"))
    assert len(bundled()) == 4


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bundled_dataset_is_what_its_card_says(name):
    data = load(name)
    assert data.spec == data.info.spec
    assert data.protocol == f"native {data.spec.levels} levels"
    for split_name, split in data.splits.items():
        assert len(split) == data.info.splits[split_name]
        assert split.x.dtype == np.uint8
        data.spec.check(split.x)
        assert split.x.min() == 0
        assert split.x.max() == data.spec.levels - 1
        if data.classes:
            assert split.y.dtype == np.int64
            counts = np.bincount(split.y, minlength=10)
            assert len(counts) == len(data.classes) == 10
            assert np.ptp(counts) <= (8 if name == "digits" else 0), "splits are stratified by class"
        else:
            assert split.y is None


@pytest.mark.parametrize("name", EXPECTED)
def test_no_image_is_in_two_splits(name):
    known = [{image.tobytes() for image in split.x} for split in load(name).splits.values()]
    assert known[0].isdisjoint(known[1] | known[2])
    assert known[1].isdisjoint(known[2])


def test_class_names():
    assert load("digits").classes == load("mnist").classes == tuple("0123456789")
    assert load("fashion").classes[:2] == ("T-shirt/top", "Trouser")
    assert load("emoji").classes == ()


def test_emoji_code_points_belong_to_their_images():
    with np.load(resource("datasets", "emoji.npz"), allow_pickle=False) as arrays:
        codes = arrays["codepoints"].tolist()
        x = np.concatenate([arrays[f"{name}_x"] for name in SPLITS])
    assert len(codes) == len(set(codes)) == len(x) == 1432
    centre = {code: image[:, 16, 16].astype(int) for code, image in zip(codes, x, strict=True)}
    red, green, blue, black, white = (centre[c] for c in (0x1F7E5, 0x1F7E9, 0x1F7E6, 0x2B1B, 0x2B1C))
    assert red.argmax() == 0
    assert green.argmax() == 1
    assert blue.argmax() == 2
    assert black.max() < 100 < 200 < white.min()
    assert (x[:, :, 0, 0] == 255).mean() > 0.7, "emoji lie on white"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(DatasetError, match=r"called 'cifar'; bundled are digits, fashion, mnist, emoji, and mnist-70k, "):
        load("cifar")


def test_a_bundled_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("digits").spec.levels == 17


def test_other_files_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DatasetError, match="choose a folder of pictures"):
        load(tmp_path / "notes.txt")
    with pytest.raises(DatasetError, match="There is no folder or file"):
        load(tmp_path / "nowhere")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A writable copy of the digits dataset that `load` reads in place of the bundled ones."""
    for suffix in ("npz", "json"):
        shutil.copy(resource("datasets", f"digits.{suffix}"), tmp_path)

    def here(*parts):
        path = tmp_path.joinpath(*parts[1:])
        if not path.exists():
            raise FileNotFoundError("gone")
        return path

    monkeypatch.setattr(room, "resource", here)
    return tmp_path


def test_a_damaged_npz_is_named(copied):
    whole = (copied / "digits.npz").read_bytes()
    rng = np.random.default_rng(0)
    damaged = [b"", b"PK", whole[:1000], whole[:-10], b"\x93NUMPY" + whole]
    for _ in range(60):
        raw = bytearray(whole)
        for position in rng.integers(0, len(raw), 50):
            raw[position] ^= int(rng.integers(1, 256))
        damaged.append(bytes(raw))
    for raw in damaged:
        (copied / "digits.npz").write_bytes(raw)
        with pytest.raises(DatasetError, match=r"^The bundled file digits\.npz is damaged"):
            load("digits")


def test_an_npz_that_does_not_fit_its_card_is_refused(copied):
    with np.load(copied / "digits.npz") as arrays:
        stored = dict(arrays)
    for key, value in (("train_x", stored["train_x"][:5]), ("test_x", stored["test_x"] + 9)):
        np.savez(copied / "digits.npz", **(stored | {key: value}))
        with pytest.raises(DatasetError, match="images do not fit its card"):
            load("digits")


def test_damaged_cards_and_missing_files_are_named(copied):
    (copied / "digits.npz").unlink()
    with pytest.raises(DatasetError, match="gone"):
        load("digits")
    for text in ("{", "[]", "{}", '{"name": 1}'):
        (copied / "digits.json").write_text(text)
        with pytest.raises(DatasetError, match="A card of the bundled datasets is damaged"):
            bundled()


def test_split_indices_are_disjoint_proportional_and_repeatable():
    y = np.repeat([0, 1, 2], [500, 300, 21])
    parts = split_indices(y, (600, 100, 121), 3, len(y))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(y)))
    for part in parts:
        expected = np.array([500, 300, 21]) * len(part) / len(y)
        assert np.abs(np.bincount(y[part], minlength=3) - expected).max() <= 2
    again = split_indices(y, (600, 100, 121), 3, len(y))
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
