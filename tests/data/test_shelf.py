"""What comes from the shelf is what loading gives, and is read once."""

import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from arstudio.data import DataView, Shelf
from arstudio.data import datasets as room


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (8, 6, 3), dtype=np.uint8)).save(tmp_path / f"{i:02}.png")
    (tmp_path / "words.txt").write_text("none")
    return tmp_path


@pytest.mark.parametrize("change", [
    {}, {"levels": 4}, {"levels": 0}, {"levels": 2, "binarise": "threshold"}, {"levels": 2, "seed": 3}, {"grey": True},
    {"grey": True, "levels": 2}, {"size": 4, "levels": 5},
])
@pytest.mark.parametrize("source", ["digits", "emoji", "folder"])
def test_a_view_from_the_shelf_is_the_view_that_loading_gives(source, change, folder):
    view = DataView(dataset=str(folder) if source == "folder" else source, size=7 if source == "emoji" else None)
    view = replace(view, **change)
    shelf, expected = Shelf(), view.load()
    shelf.load(replace(view, levels=None, grey=False))
    found = shelf.load(view)
    assert (found.spec, found.protocol, found.notes, found.skipped) == (
        expected.spec, expected.protocol, expected.notes, expected.skipped
    )
    for name, split in expected.splits.items():
        np.testing.assert_array_equal(found.splits[name].x, split.x)


def test_files_are_read_once_until_the_folder_changes(folder, monkeypatch):
    reads, real = [], room.load_folder
    monkeypatch.setattr(room, "load_folder", lambda path, **k: reads.append(path) or real(path, **k))
    shelf, view = Shelf(), DataView(dataset=str(folder))
    for change in ({}, {"levels": 4}, {"grey": True}, {"levels": 4}):
        shelf.load(replace(view, **change))
    assert len(reads) == 1
    (folder / "00.png").unlink()
    os.utime(folder, (1, 1))
    assert sum(shelf.load(view).info.splits.values()) == 19
    assert len(reads) == 2
