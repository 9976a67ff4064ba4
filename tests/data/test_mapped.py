"""More images than a memory could hold are trained on in it, and give what they give in memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from arstudio.data import DatasetError, load
from arstudio.progress import Cancelled, Progress

CHILD = """
import resource, sys
from arstudio.training.config import TrainConfig
from arstudio.training.setup import DataView, new_trainer
from arstudio.progress import Progress

new_trainer(sys.argv[2] + "/small", DataView(dataset="digits"), "fvsbn", TrainConfig(epochs=0.1), device="cpu").fit()
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 112 * 2**20,) * 2)    # 72 are used; the images are 120, as is their split
try:
    bytearray(125 * 10**6)
except MemoryError:
    print("limited")
view, config = DataView(dataset=sys.argv[1], levels=2), TrainConfig(epochs=0.002)
trainer = new_trainer(sys.argv[2] + "/run", view, "nade", config, {"hidden": 2}, device="cpu")
print(len(trainer.batches.x), trainer.fit().status)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the limit on data is Linux's")
def test_many_images_need_no_memory_of_their_size(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "many.npy", "w+", np.uint8, (160_000, 28, 28))
    x[:] = np.random.default_rng(0).integers(0, 256, (100, 28, 28), np.uint8).repeat(1600, 0)
    x.flush()
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ARSTUDIO_DATA": str(tmp_path / "cache")}
    command = [sys.executable, "-c", CHILD, str(tmp_path / "many.npy"), str(tmp_path)]
    found = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert found.stdout.split() == ["limited", "128000", "finished"], found.stderr[-2000:]
    assert not list((tmp_path / "cache").rglob("*")), "nothing is left in the cache"


@pytest.fixture
def small_memory(monkeypatch, tmp_path):
    """A function that makes everything above a few bytes large."""

    def shrink():
        monkeypatch.setenv("ARSTUDIO_DATA", str(tmp_path / "cache"))
        monkeypatch.setattr("arstudio.data.mapped.LARGE", 300)
        monkeypatch.setattr("arstudio.data.mapped.PART", 300)

    return shrink


def store(path, kind):
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (40, 6, 5, 3), np.uint8), np.arange(40) % 4
    if kind == "npy":
        np.save(path, x)
    elif kind == "npz":
        np.savez_compressed(path, x=x, y=y)
    else:
        np.savez(path, **{f"{name}_x": x[i::3] for i, name in enumerate(("train", "validation", "test"))})
    return str(path)


@pytest.mark.parametrize("view", [{}, {"levels": 2}, {"levels": 0}, {"levels": 7, "size": 4}, {"grey": True}], ids=str)
@pytest.mark.parametrize("kind", ["npy", "npz", "splits"])
def test_mapped_images_are_the_images(tmp_path, small_memory, kind, view):
    path = store(tmp_path / f"own.{'npy' if kind == 'npy' else 'npz'}", kind)
    plain = load(path, **view)
    small_memory()
    mapped = load(path, **view)
    for name, split in plain.splits.items():
        np.testing.assert_array_equal(mapped.splits[name].x, split.x)
        np.testing.assert_array_equal(mapped.splits[name].y, split.y)
    assert isinstance(mapped.train.x, np.memmap)
    assert (mapped.protocol, mapped.spec, mapped.info) == (plain.protocol, plain.spec, plain.info)


@pytest.fixture
def folder(tmp_path):
    """30 pictures of two classes, a broken one among them."""
    rng = np.random.default_rng(2)
    for i in range(30):
        place = tmp_path / "pictures" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(place / f"{i}.png")
    (tmp_path / "pictures" / "a" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "pictures"


class Read(Progress):
    """Notes what is read, and stops after so many files."""

    def __init__(self, most=10**9):
        self.files, self.most = [], most

    def report(self, fraction, text=""):
        self.files.append(text)

    def cancelled(self):
        return len(self.files) >= self.most


def same(a, b):
    assert (a.notes, a.skipped, a.classes) == (b.notes, b.skipped, b.classes)
    for name, split in a.splits.items():
        np.testing.assert_array_equal(b.splits[name].x, split.x)
        np.testing.assert_array_equal(b.splits[name].y, split.y)


def test_a_folder_is_decoded_once_and_again_when_a_file_changed(folder, small_memory, tmp_path):
    plain = load(folder)
    assert plain.skipped == (os.path.join("a", "broken.png"),)
    small_memory()
    first, second, third = Read(), Read(), Read()
    same(plain, load(folder, progress=first))
    assert len(first.files) == 31
    same(plain, load(folder, progress=second))
    assert not second.files
    Image.new("RGB", (6, 6), "red").save(folder / "a" / "0.png")
    again = load(folder, progress=third)
    assert len(third.files) == 31
    assert any((x[0] == 255).all() and not x[1].any() for split in again.splits.values() for x in split.x)
    assert len(list((tmp_path / "cache" / "decoded").iterdir())) == 2, "a picture file and its words"


def test_a_damaged_cache_is_decoded_again(folder, small_memory, tmp_path):
    plain = load(folder)
    small_memory()
    load(folder)
    for path in (tmp_path / "cache" / "decoded").glob("*.npy"):
        path.write_bytes(b"nothing")
    same(plain, load(folder))
    for path in (tmp_path / "cache" / "decoded").glob("*.json"):
        path.write_text("{")
    same(plain, load(folder))


def test_who_stops_decoding_leaves_nothing_behind(folder, small_memory, tmp_path):
    small_memory()
    with pytest.raises(Cancelled):
        load(folder, progress=Read(most=9))
    assert not list((tmp_path / "cache" / "decoded").iterdir())


def test_a_cache_that_cannot_be_written_is_a_sentence(folder, small_memory, tmp_path):
    small_memory()
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.raises(DatasetError, match=r"The images could not be kept in .*cache \(File exists\)\.$"):
        load(folder)


def test_a_large_array_that_is_cut_short_is_a_sentence(tmp_path, small_memory):
    path = tmp_path / "cut.npz"
    store(path, "splits")
    data = bytearray(path.read_bytes())
    data[2000:4000] = bytes(2000)
    path.write_bytes(data)
    small_memory()
    with pytest.raises(DatasetError, match=r"cut\.npz is damaged"):
        load(path)
