"""Images of one's own in the window: dropped or chosen, seen as the model will get them, fetched, stopped, refused."""

import dataclasses
import gzip
import hashlib
import re
import threading

import numpy as np
import pytest
from hands import choose, click
from PIL import Image
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QDialog, QFileDialog, QPlainTextEdit

from arstudio.data import SOURCES, DatasetError, DataView, downloads, folder, load
from arstudio.data import datasets as room

WAIT = 30_000
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def pictures(tmp_path):
    """30 coloured pictures of 12×10, and one file that is none."""
    place, rng = tmp_path / "icons", np.random.default_rng(0)
    place.mkdir()
    for i in range(30):
        Image.fromarray(rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)).save(place / f"{i:02}.png")
    (place / "broken.png").write_bytes(b"no picture")
    return place


@pytest.fixture
def page(window):
    """The page of images of the whole window."""
    window.ask_before_closing = False
    window.show_train()
    return window.train.images


def drop(window, path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    window.dropEvent(QDropEvent(
        window.rect().center(), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    ))


def shown(qtbot, page) -> None:
    qtbot.waitUntil(lambda: not page.busy and not page._settle.isActive() and page.use.isVisible(), timeout=WAIT)


def test_a_dropped_folder_is_shown_as_the_model_gets_it_and_chosen(qtbot, window, page, pictures):
    window.show_generate()
    drop(window, pictures)
    assert window.job == "train"
    shown(qtbot, page)
    assert page.count.text() == "30 images of 28×28 RGB · 16 levels: 24 to learn from, 3 to choose by, 3 to test on"
    assert "30 of 30 pictures were smaller" in page.notes.text()
    page.side.setValue(6)
    qtbot.waitUntil(lambda: page.data is not None and page.data.spec.width == 6, timeout=WAIT)
    choose(page.levels, 4)
    qtbot.waitUntil(lambda: page.data is not None and page.data.spec.levels == 4 and not page.busy, timeout=WAIT)
    click(qtbot, page.grey)
    qtbot.waitUntil(lambda: page.data.spec.channels == 1 and not page.busy, timeout=WAIT)
    expected = load(pictures, size=6, levels=4, grey=True)
    assert len(expected.train) == 24
    np.testing.assert_array_equal(page.grid._images, expected.train.x)
    click(qtbot, page.use)
    assert window.train.choices.view() == DataView(dataset=str(pictures), size=6, levels=4, grey=True)
    assert window.train.choices.data.currentText() == "icons · 6×6, 4 levels"
    assert window.train.stack.currentWidget() is window.train.page


def test_the_part_of_pictures_that_is_kept_can_be_chosen(qtbot, window, page, pictures, tmp_path):
    drop(window, pictures)
    shown(qtbot, page)
    page.side.setValue(6)
    qtbot.waitUntil(lambda: page.data is not None and page.data.spec.width == 6 and not page.busy, timeout=WAIT)
    choose(page.crop, "top")
    qtbot.waitUntil(lambda: page.data.protocol.endswith("cropped to the top") and not page.busy, timeout=WAIT)
    np.testing.assert_array_equal(page.grid._images, load(pictures, size=6, levels=16, crop="top").train.x)
    click(qtbot, page.use)
    assert window.train.choices.view().crop == "top"
    page.side.setValue(0)
    qtbot.waitUntil(lambda: page._fields["crop"].isHidden(), timeout=WAIT)


def test_files_left_out_are_counted_and_named(qtbot, window, page, pictures):
    drop(window, pictures)
    shown(qtbot, page)
    assert "1 of 31 files could not be read as pictures and were left out: broken.png." in page.notes.text()
    click(qtbot, page.names)
    dialog = page.findChild(QDialog)
    assert dialog.findChild(QPlainTextEdit).toPlainText() == "broken.png"
    dialog.reject()


def test_levels_and_grey_read_no_file_again(qtbot, window, page, pictures, monkeypatch):
    reads, real = [], folder.open_picture
    monkeypatch.setattr(folder, "open_picture", lambda path: reads.append(path) or real(path))
    drop(window, pictures)
    shown(qtbot, page)
    for number in (2, 8):
        choose(page.levels, number)
        qtbot.waitUntil(lambda n=number: page.data.spec.levels == n and not page.busy, timeout=WAIT)
    assert page._fields["binarise"].isHidden()
    assert len(reads) == 31


def test_a_sprite_sheet_is_cut_by_its_cell(qtbot, window, page, tmp_path):
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 256, (24, 40), dtype=np.uint8)).save(tmp_path / "sheet.png")
    drop(window, tmp_path / "sheet.png")
    qtbot.waitUntil(lambda: page.state.isVisible(), timeout=WAIT)
    assert "cells of 16×16 do not fill" in page.state.sentence.text()
    page.cell.setValue(8)
    shown(qtbot, page)
    assert page.count.text().startswith("15 images of 8×8 · 16 levels")
    click(qtbot, page.use)
    assert window.train.choices.view().cell == 8


@pytest.mark.parametrize("kind", ["npz", "npy", "idx"])
def test_a_file_of_images_is_chosen_in_the_dialog(qtbot, window, page, tmp_path, kind):
    x = np.random.default_rng(0).integers(0, 256, (20, 6, 5), dtype=np.uint8)
    path = tmp_path / {"npz": "mine.npz", "npy": "mine.npy", "idx": "train-images-idx3-ubyte"}[kind]
    if kind == "npz":
        np.savez(path, x=x, y=np.arange(20) % 2)
    elif kind == "npy":
        np.save(path, x)
    else:
        path.write_bytes(bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in x.shape) + x.tobytes())
    choices = window.train.choices
    choose(choices.data, "file")
    dialog = choices.findChild(QFileDialog)
    dialog.fileSelected.emit(str(path))
    dialog.close()
    shown(qtbot, page)
    assert page.count.text().startswith("20 images of 6×5 · 16 levels: 16 to learn from")
    assert ("2 classes" in page.count.text()) is (kind == "npz")


def test_what_cannot_be_used_says_why_and_the_choice_before_stays(qtbot, window, page, tmp_path):
    before = window.train.choices.view()
    (tmp_path / "empty").mkdir()
    drop(window, tmp_path / "empty")
    qtbot.waitUntil(lambda: page.state.isVisible(), timeout=WAIT)
    assert page.state.sentence.text() == "The folder empty holds no pictures that can be read."
    assert not page.use.isVisible()
    click(qtbot, page.drop)
    assert window.train.choices.view() == before
    assert window.train.stack.currentWidget() is window.train.page


def test_reading_can_be_stopped_and_gone_on_with(qtbot, window, page, pictures, monkeypatch):
    gate, real = threading.Event(), folder.open_picture

    def slow(path):
        if path.name == "05.png":
            gate.wait(20)
        return real(path)

    monkeypatch.setattr(folder, "open_picture", slow)
    drop(window, pictures)
    qtbot.waitUntil(lambda: "Reading 05.png" in page.doing.text(), timeout=WAIT)
    assert 0 < page.bar.share < 1
    assert page.drop.text() == "Stop"
    click(qtbot, page.drop)
    gate.set()
    assert page.state.headline.text() == "Stopped"
    click(qtbot, page.state.button)
    shown(qtbot, page)


def test_the_images_in_use_can_be_looked_at(qtbot, window, page):
    window.train.choose_dataset("emoji")
    click(qtbot, window.train.choices.look)
    shown(qtbot, page)
    assert page.title.text() == "Images of emoji"
    assert "RGB · 8 levels" in page.count.text()
    click(qtbot, page.drop)
    assert window.train.choices.view() == DataView(dataset="emoji", levels=8, size=16)


@pytest.fixture
def kana(tmp_path, monkeypatch):
    """KMNIST with two small files in a cache of the test; returns what each file holds."""
    rng, held = np.random.default_rng(0), {}
    for name, count in (("train", 30), ("t10k", 10)):
        x = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        head = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in x.shape)
        held[f"{name}-images-idx3-ubyte.gz"] = gzip.compress(head + x.tobytes())
    files = {name: downloads.Published(hashlib.md5(data).hexdigest(), len(data)) for name, data in held.items()}
    monkeypatch.setenv("ARSTUDIO_DATA", str(tmp_path / "cache"))
    source = dataclasses.replace(SOURCES["kmnist"], mirrors=("http://127.0.0.1:9/a/",), files=files)
    monkeypatch.setitem(downloads.SOURCES, "kmnist", source)
    return held


def test_a_known_set_is_fetched_after_a_click_with_progress(qtbot, window, page, kana, monkeypatch):
    asked, gate = [], threading.Event()

    def fetch(url, target, part, progress, done, share):
        asked.append(url)
        progress.report(done + share / 2, f"Fetching {part.stem}: 1.0 MB")
        while not gate.wait(0.01):
            progress.check()
        target.write_bytes(kana[url.rpartition("/")[2]])

    monkeypatch.setattr(downloads, "_download", fetch)
    choose(window.train.choices.data, "kmnist")
    assert page.state.headline.text() == "Kuzushiji-MNIST is fetched once"
    assert "CC BY-SA 4.0" in page.state.sentence.text()
    assert "70,000 images, 1 MB, " in page.state.sentence.text()    # of the two small files
    assert not asked
    click(qtbot, page.state.button)
    qtbot.waitUntil(lambda: "1.0 MB" in page.doing.text(), timeout=WAIT)
    assert page.bar.share == pytest.approx(0.25)
    click(qtbot, page.drop)
    assert page.state.headline.text() == "Stopped"
    qtbot.waitUntil(lambda: page._reader._task is None, timeout=WAIT)
    gate.set()
    click(qtbot, page.state.button)
    shown(qtbot, page)
    assert page.count.text().startswith("40 images of 28×28 · 2 levels: 27 to learn from")
    assert page._fields["binarise"].isVisible()
    click(qtbot, page.use)
    assert window.train.choices.view() == DataView(dataset="kmnist", levels=2)


def test_before_fetching_the_size_of_all_files_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.setenv("ARSTUDIO_DATA", str(tmp_path / "empty"))
    for name, source in SOURCES.items():
        page.open_source(name)
        wanted = sum(file.bytes for file in source.files.values()) / 1e6
        told = re.search(r"images, (\d+) MB, ", page.state.sentence.text())
        assert float(told[1]) == pytest.approx(wanted, abs=0.5), name


def test_without_a_network_there_is_one_sentence_and_another_try(qtbot, window, page, kana):
    choose(window.train.choices.data, "kmnist")
    click(qtbot, page.state.button)
    qtbot.waitUntil(lambda: page.state.isVisible() and not page.busy, timeout=WAIT)
    assert page.state.sentence.text().startswith(
        "Kuzushiji-MNIST could not be fetched: 127.0.0.1:9 cannot be reached. Is this computer connected?"
    )
    assert page.state.button.text() == "Try again"
    click(qtbot, page.drop)
    assert window.train.stack.currentWidget() is window.train.page


def test_a_hundred_thousand_images_leave_the_window_alive(qtbot, window, page, tmp_path):
    """Reading happens beside the event loop: while it does, the loop turns and shows how far it is."""
    from PySide6.QtCore import QTimer

    big = np.zeros((100_000, 8, 8), np.uint8)
    big[:, 2:5, 3] = np.random.default_rng(0).integers(0, 256, (100_000, 3))
    np.save(tmp_path / "many.npy", big)
    seen, timer = [], QTimer(interval=5)
    timer.timeout.connect(lambda: seen.append(page.busy))
    timer.start()
    drop(window, tmp_path / "many.npy")
    shown(qtbot, page)
    timer.stop()
    assert any(seen)
    assert page.count.text().startswith("100,000 images of 8×8 · 16 levels: 80,000 to learn from")
    assert len(page.grid._images) == 30


def test_nothing_is_looked_at_while_a_run_trains(qtbot, window, page, pictures, monkeypatch):
    monkeypatch.setattr(type(window.train), "training", property(lambda self: True))
    window.train.session = type("Session", (), {"name": "digits-1"})()
    with qtbot.waitSignal(window.studio.message) as message:
        drop(window, pictures)
    assert message.args == ["info", "One run trains at a time: stop digits-1 first."]
    assert window.train.stack.currentWidget() is window.train.page
    window.train.session = None


def test_another_error_is_a_sentence_too(qtbot, window, page, pictures, monkeypatch):
    def broken(*_args, **_options):
        raise DatasetError("The disk is full of holes.")

    monkeypatch.setattr(room, "load_folder", broken)
    drop(window, pictures)
    qtbot.waitUntil(lambda: page.state.isVisible(), timeout=WAIT)
    assert page.state.sentence.text() == "The disk is full of holes."
