"""Many runs: notes and tags, curves over each other, settings compared, duplicated, exported, deleted, followed."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hands import WAIT, begin, choose, click, finish, read, settle, turns
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QDesktopServices, QImage
from PySide6.QtWidgets import QFileDialog, QLineEdit, QMessageBox

from arstudio.gui.panels import train_runs
from arstudio.gui.panels.train_exports import DifferencesDialog
from arstudio.gui.panels.train_session import Session
from arstudio.gui.widgets.run_table import COLUMNS, NOTES, remarks_of, text_of
from arstudio.models import load_model, modelfile
from arstudio.training.config import TrainConfig
from arstudio.training.places import runs_root
from arstudio.training.runs import Remarks, Run
from arstudio.training.setup import DataView, new_trainer

pytestmark = pytest.mark.usefixtures("one_thread")


def train(name, model="fvsbn", root=None, **config):
    """A short run on digits, as the command line trains it."""
    config = TrainConfig(**{"epochs": 0.3, "validation_images": 40, **config})
    trainer = new_trainer((root or runs_root()) / name, DataView(dataset="digits"), model, config, device="cpu")
    trainer.fit()
    return trainer.run.path


@pytest.fixture
def listed(qtbot, panel, messages):
    """The panel with two runs on disk, shown; the second has another learning rate and batch."""
    paths = train("first"), train("second", learning_rate=0.004, batch=16)
    for part in (panel, panel.side, panel.bottom):
        part.show()
    read(qtbot, panel)
    return panel, paths


def press(qtbot, bottom, path, modifier=Qt.KeyboardModifier.NoModifier, column="run"):
    row = next(i for i, row in enumerate(bottom.rows()) if row.path == path)
    where = bottom.table.visualItemRect(bottom.table.item(row, COLUMNS.index(column))).center()
    qtbot.mouseClick(bottom.table.viewport(), Qt.MouseButton.LeftButton, modifier, where)
    return row, where


def say(monkeypatch, path):
    """Answer the next question for a file."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_a, **_k: (str(path), "")))


@pytest.mark.parametrize(("text", "remarks"), [
    ("", Remarks()), ("wider is better", Remarks("wider is better")), ("#a #b  better #a", Remarks("better", ("a", "b"))),
    ("# alone", Remarks("alone")),
])
def test_words_with_a_hash_are_tags(text, remarks):
    assert remarks_of(text) == remarks
    assert remarks_of(text_of(remarks)) == remarks


def test_notes_and_tags_are_written_in_the_list_and_kept(qtbot, listed):
    panel, (first, _) = listed
    _, where = press(qtbot, panel.bottom, first, column="notes")
    qtbot.mouseDClick(panel.bottom.table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    editor = panel.bottom.table.findChild(QLineEdit)
    qtbot.keyClicks(editor, "#digits quite good")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: Run.open(first).remarks() == Remarks("quite good", ("digits",)), timeout=WAIT)
    read(qtbot, panel)
    row = next(i for i, row in enumerate(panel.bottom.rows()) if row.path == first)
    assert panel.bottom.table.item(row, NOTES).text() == "#digits quite good"
    press(qtbot, panel.bottom, first)
    qtbot.keyClick(panel.bottom.table, Qt.Key.Key_F2)
    editor = panel.bottom.table.findChild(QLineEdit)
    editor.clear()
    qtbot.keyClicks(editor, "better")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: Run.open(first).remarks() == Remarks("better"), timeout=WAIT)
    settle(qtbot, panel)


def test_runs_are_read_beside_the_window_and_the_list_does_not_flicker(qtbot, listed, monkeypatch):
    panel, (first, second) = listed
    threads, sizes, real = [], [], train_runs.list_runs
    monkeypatch.setattr(train_runs, "list_runs", lambda root: threads.append(threading.current_thread()) or real(root))
    panel.bottom.table.model().rowsRemoved.connect(lambda *_: sizes.append(panel.bottom.table.rowCount()))
    third = train("third")
    panel.show_run(third)
    assert {row.path for row in panel.bottom.rows()} == {first, second}, "until the new run was read"
    settle(qtbot, panel)
    assert {row.path for row in panel.bottom.rows()} == {first, second, third}
    assert panel.bottom.selection() == [third]
    assert sizes == []
    assert threads
    assert threading.main_thread() not in threads


def test_curves_of_selected_runs_lie_over_each_other(qtbot, listed):
    panel, (first, second) = listed
    press(qtbot, panel.bottom, first)
    settle(qtbot, panel)
    assert panel.view.plot.others() == []
    press(qtbot, panel.bottom, second, Qt.KeyboardModifier.ControlModifier)
    settle(qtbot, panel)
    assert panel.session.path == first
    other, = panel.view.plot.others()
    points = Run.open(second).points
    unit = panel.session.spec.bits_per_dim(1.0)
    assert other.name == "second"
    np.testing.assert_allclose(other.points[:, 1] * unit, [p.validation_bits_per_dim for p in points])
    click(qtbot, panel.view.unit.button("nats"))
    np.testing.assert_allclose(panel.view.plot.others()[0].points[:, 1], [p.validation_nats for p in points])
    assert "second" in [text for _, _, _, text in panel.view.plot._entries]
    press(qtbot, panel.bottom, second)
    settle(qtbot, panel)
    assert panel.session.path == second
    assert panel.view.plot.others() == []


def test_settings_of_two_runs_are_compared(qtbot, listed, messages):
    panel, (first, second) = listed
    press(qtbot, panel.bottom, first)
    panel.bottom.verbs["differences"].trigger()
    assert messages[-1][1].startswith("Choose two runs or more")
    press(qtbot, panel.bottom, second, Qt.KeyboardModifier.ControlModifier)
    panel.bottom.verbs["differences"].trigger()
    qtbot.waitUntil(lambda: panel.bottom.findChild(DifferencesDialog) is not None, timeout=WAIT)
    dialog = panel.bottom.findChild(DifferencesDialog)
    rows = {
        dialog.table.item(i, 0).text(): (dialog.table.item(i, 1).text(), dialog.table.item(i, 2).text())
        for i in range(dialog.table.rowCount())
    }
    names = [dialog.table.horizontalHeaderItem(i).text() for i in (1, 2)]
    expected = {"first": ("0.002", "32"), "second": ("0.004", "16")}
    assert rows["training learning rate"] == tuple(expected[name][0] for name in names)
    assert rows["training batch"] == tuple(expected[name][1] for name in names)
    assert len(rows) == 2
    dialog.reject()


def test_a_run_is_duplicated_changed_and_trained(qtbot, panel, messages):
    train("wide", "nade", learning_rate=0.004, batch=8, seed=3, epochs=0.2)
    for part in (panel, panel.side, panel.bottom):
        part.show()
    read(qtbot, panel)
    press(qtbot, panel.bottom, runs_root() / "wide")
    panel.bottom.verbs["duplicate"].trigger()
    settle(qtbot, panel)
    assert panel.choices.model_name() == "nade"
    assert panel.choices.budget() == (0, 0.2)
    assert messages[-1][1] == "The choices are those of wide: change what you like, then start."
    panel.side.fields["seed"].setText("4")
    before = Run.open(runs_root() / "wide").record
    panel.start()
    finish(qtbot, panel)
    record = Run.open(panel.session.path).record
    assert panel.session.path.name == "digits-nade-1"
    assert record["config"] == before["config"]
    assert record["training"] == before["training"] | {"seed": 4, "validation_images": 1000}


def test_the_folder_of_a_run_is_opened(qtbot, listed, monkeypatch):
    panel, (first, _) = listed
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", staticmethod(opened.append))
    press(qtbot, panel.bottom, first)
    click(qtbot, panel.bottom.folder_button)
    assert [url.toLocalFile() for url in opened] == [str(first)]


def test_everything_of_a_run_can_be_exported(qtbot, listed, tmp_path, monkeypatch, messages):
    panel, (first, second) = listed
    press(qtbot, panel.bottom, first)
    for kind, ending in (("model", "safetensors"), ("csv", "csv"), ("png", "png"), ("html", "html")):
        path = tmp_path / f"out.{ending}"
        say(monkeypatch, tmp_path / "out")
        panel.bottom.verbs[kind].trigger()
        settle(qtbot, panel)
        assert messages[-1] == ("info", f"Saved {path}")
        assert path.stat().st_size > 100
    assert load_model(tmp_path / "out.safetensors")[1].facts == load_model(first)[1].facts
    assert (tmp_path / "out.csv").read_bytes() == (first / "metrics.csv").read_bytes()
    picture = QImage(str(tmp_path / "out.png"))
    assert (picture.width(), picture.height()) == (2400, 1200)
    assert len({picture.pixel(x, y) for x in range(0, 2400, 7) for y in range(0, 1200, 7)}) > 4
    assert "<svg" in (tmp_path / "out.html").read_text()
    (second / "best.safetensors").unlink()
    press(qtbot, panel.bottom, second)
    say(monkeypatch, tmp_path / "none")
    panel.bottom.verbs["model"].trigger()
    settle(qtbot, panel)
    assert messages[-1] == ("error", "second cannot be exported: It has no weights yet.")
    assert not (tmp_path / "none.safetensors").exists()


def write_note(qtbot, bottom, path, text):
    """Write in the Notes of a run without ending it -> the editor."""
    press(qtbot, bottom, path)
    qtbot.keyClick(bottom.table, Qt.Key.Key_F2)
    editor = next(editor for editor in bottom.table.findChildren(QLineEdit) if editor.isVisible())
    editor.clear()
    qtbot.keyClicks(editor, text)
    return editor


def note_of(bottom, path):
    return next(bottom.table.item(i, NOTES).text() for i, row in enumerate(bottom.rows()) if row.path == path)


def test_notes_on_a_slow_disk_block_nobody_and_the_last_ones_stay(qtbot, listed, slow):
    panel, (first, second) = listed
    disk, calls = slow(train_runs.Run, "save_remarks")
    for text in ("good", "better"):
        qtbot.keyClick(write_note(qtbot, panel.bottom, first, text), Qt.Key.Key_Return)
        qtbot.waitUntil(lambda text=text: note_of(panel.bottom, first) == text, timeout=WAIT)
        qtbot.waitUntil(lambda: len(calls) == 1, timeout=WAIT)
    press(qtbot, panel.bottom, second)
    turns(qtbot)
    assert panel.bottom.selection() == [second]
    panel.read_runs()    # reads what was there before
    qtbot.waitUntil(lambda: not panel.bottom._reader.busy, timeout=WAIT)
    assert note_of(panel.bottom, first) == "better"
    assert [remarks.notes for _, remarks in calls] == ["good"], "the second waits for the first"
    assert not (first / "remarks.json").exists()
    disk.set()
    settle(qtbot, panel)
    assert [remarks.notes for _, remarks in calls] == ["good", "better"]
    assert Run.open(first).remarks() == Remarks("better")
    assert note_of(panel.bottom, first) == "better"


def test_notes_that_cannot_be_written_stay_in_the_list(qtbot, listed, messages, monkeypatch):
    panel, (first, _) = listed
    with monkeypatch.context() as full:
        full.setattr(modelfile.os, "fsync", lambda _file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        qtbot.keyClick(write_note(qtbot, panel.bottom, first, "#a long to write"), Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: bool(messages), timeout=WAIT)
    where = first / "remarks.json"
    assert messages == [(
        "error", "The notes of first could not be written (No space left on device): "
        "they stay in this list until the window closes; change them to try again."
    )]
    assert not where.exists()
    read(qtbot, panel)
    assert note_of(panel.bottom, first) == "#a long to write"
    qtbot.keyClick(write_note(qtbot, panel.bottom, first, "#a long to write."), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: Run.open(first).remarks() == Remarks("long to write.", ("a",)), timeout=WAIT)
    settle(qtbot, panel)
    assert len(messages) == 1


def test_a_window_that_closes_while_notes_are_typed_writes_them(qtbot, window, slow):
    first = train("first")
    window.show_train()
    bottom = window.train.bottom
    read(qtbot, window.train)
    disk, calls = slow(train_runs.Run, "save_remarks")
    write_note(qtbot, bottom, first, "almost done")
    QTimer.singleShot(0, window, disk.set)    # the closing window still turns
    assert window.close()
    assert len(calls) == 1
    assert Run.open(first).remarks() == Remarks("almost done")


def test_a_lock_on_a_slow_disk_blocks_nobody_and_is_read_again_before_the_run_goes(qtbot, listed, messages, monkeypatch):
    panel, (first, second) = listed
    disk, calls, answers = threading.Event(), [], ["", "process 7 on far"]

    def writer_of(path):
        calls.append((path, threading.current_thread()))
        assert disk.wait(WAIT / 1000)
        return answers[len(calls) - 1]

    monkeypatch.setattr(train_runs, "writer_of", writer_of)
    press(qtbot, panel.bottom, first)
    click(qtbot, panel.bottom.delete_button)
    qtbot.waitUntil(lambda: bool(calls), timeout=WAIT)
    press(qtbot, panel.bottom, second)
    turns(qtbot)
    assert panel.bottom.selection() == [second]
    assert panel.bottom.findChild(QMessageBox) is None
    disk.set()
    settle(qtbot, panel)
    box = panel.bottom.findChild(QMessageBox)
    assert box.text() == "Move the run first to the trash?"
    disk.clear()
    next(b for b in box.buttons() if "trash" in b.text()).click()
    qtbot.waitUntil(lambda: len(calls) == 2, timeout=WAIT)
    press(qtbot, panel.bottom, first)
    assert next(row.state for row in panel.bottom.rows() if row.path == first) == "leaving"
    buttons = panel.bottom.open_button, panel.bottom.resume_button, panel.bottom.delete_button
    assert not any(button.isEnabled() for button in buttons)
    panel.resume(first)
    qtbot.waitUntil(lambda: not panel.reading, timeout=WAIT)
    assert panel.cost.error.text() == "first is on its way to the trash."
    disk.set()
    settle(qtbot, panel)
    assert messages == [("error", "first is being written by process 7 on far; stop that training before deleting it.")]
    assert threading.main_thread() not in [thread for _, thread in calls]
    assert {row.path for row in panel.bottom.rows()} == {first, second}
    assert all(button.isEnabled() for button in buttons)
    assert (first / "best.safetensors").exists()


def test_a_run_somebody_writes_is_not_asked_about(qtbot, listed, messages, monkeypatch):
    panel, (first, _) = listed
    monkeypatch.setattr(train_runs, "writer_of", lambda _path: "process 7 on far")
    press(qtbot, panel.bottom, first)
    click(qtbot, panel.bottom.delete_button)
    settle(qtbot, panel)
    assert messages == [("error", "first is being written by process 7 on far; stop that training before deleting it.")]
    assert panel.bottom.findChild(QMessageBox) is None


def test_a_window_that_closes_before_the_lock_is_read_asks_nothing(qtbot, window, slow):
    first = train("first")
    window.show_train()
    bottom = window.train.bottom
    read(qtbot, window.train)
    disk, calls = slow(train_runs, "writer_of")
    press(qtbot, bottom, first)
    settle(qtbot, window.train)
    click(qtbot, bottom.delete_button)
    qtbot.waitUntil(lambda: bool(calls), timeout=WAIT)
    QTimer.singleShot(0, window, disk.set)
    assert window.close()
    assert bottom.findChild(QMessageBox) is None
    assert (first / "run.json").exists()


def test_without_a_trash_nothing_is_lost(qtbot, listed, messages, monkeypatch):
    panel, (first, _) = listed
    monkeypatch.setattr(train_runs, "QFile", lambda _path: type("File", (), {"moveToTrash": lambda self: False})())
    press(qtbot, panel.bottom, first)
    click(qtbot, panel.bottom.delete_button)
    settle(qtbot, panel)
    box = panel.bottom.findChild(QMessageBox)
    next(b for b in box.buttons() if "trash" in b.text()).click()
    settle(qtbot, panel)
    assert messages[-1][1].startswith("first could not be moved to the trash and is still there")
    assert (first / "best.safetensors").exists()
    assert len(panel.bottom.rows()) == 2


WRITER = """
import sys, time
from pathlib import Path
from arstudio.progress import Progress
from arstudio.sampling import SampleSettings, sample
from arstudio.training.config import TrainConfig
from arstudio.training.setup import DataView, new_trainer

class Until(Progress):
    def report(self, fraction, text=""):
        time.sleep(0.01)
    def cancelled(self):
        return Path(sys.argv[2]).exists()

config = TrainConfig(epochs=1000, validation_images=20)
draw = lambda model, count, seed: sample(model, count, SampleSettings(seed=seed), 0).images()
new_trainer(sys.argv[1], DataView(dataset="digits"), "fvsbn", config, device="cpu", draw=draw).fit(Until())
"""


@pytest.fixture
def elsewhere(tmp_path):
    """A run directory that another process trains until the test ends; `stop` ends it."""
    path, stop = tmp_path / "shared" / "far", tmp_path / "stop"
    path.parent.mkdir()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(stop)])
    deadline = time.monotonic() + 60
    while not (path / "best.safetensors").exists() and time.monotonic() < deadline and writer.poll() is None:
        time.sleep(0.05)
    yield path, stop, writer
    stop.touch()
    writer.wait(60)


def test_a_run_another_program_writes_is_followed_and_never_written(qtbot, panel, elsewhere, messages):
    path, stop, writer = elsewhere
    for part in (panel, panel.side, panel.bottom):
        part.show()
    panel.bottom.verbs["follow"].trigger()
    dialog = panel.bottom.findChild(QFileDialog)
    dialog.fileSelected.emit(str(path))
    dialog.close()
    settle(qtbot, panel)
    assert panel.cost.text.toolTip() == (
        f"Followed: {panel.session.writer} trains it. It is read once a second, and nothing is written there."
    )
    assert f"process {writer.pid} on " in panel.session.writer
    assert panel.session.status == "training"
    count = len(panel.session.live.points)
    qtbot.waitUntil(lambda: len(panel.view.plot.curves()[1]) > count, timeout=WAIT)
    assert panel.view.film.frames >= 1
    qtbot.waitUntil(lambda: [row.state for row in panel.bottom.rows()] == ["elsewhere"], timeout=WAIT)
    assert not panel.bottom.table.item(0, NOTES).flags() & Qt.ItemFlag.ItemIsEditable
    assert not panel.choices.resume.isVisible()

    panel.resume(path)
    settle(qtbot, panel)
    assert "only one program trains a run" in panel.cost.error.text()
    assert not panel.training

    with qtbot.waitSignal(panel.studio.model_changed, timeout=WAIT):
        click(qtbot, panel.side.live.use)
    assert panel.studio.card.path == path / "best.safetensors"

    stop.touch()
    qtbot.waitUntil(lambda: panel.session.status == "stopped" and not panel.session.writer, timeout=WAIT)
    writer.wait(60)
    ours = {p.name for p in path.iterdir()} - {"run.json", "metrics.csv", "latest.safetensors", "best.safetensors",
                                               "samples", "loss_map.npy"}
    assert ours == set()

    panel.bottom.select(path)
    assert panel.bottom.delete_button.text() == "Forget"
    click(qtbot, panel.bottom.delete_button)
    assert panel.bottom.rows() == []
    assert (path / "run.json").exists()


HOLDER = """
import sys
from arstudio.training.lock import WriterLock
lock = WriterLock(__import__("pathlib").Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held_run(tmp_path):
    """A run directory that another process has claimed."""
    path = train("far", root=tmp_path / "shared")
    Run.open(path).save_record(status="training")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    yield path
    holder.communicate(timeout=20)


def test_a_followed_run_that_goes_away_is_a_sentence(qtbot, panel, held_run, tmp_path):
    path = held_run
    panel.show()
    panel.bottom.follow(path)
    qtbot.waitUntil(lambda: panel.follower.path == path, timeout=WAIT)
    path.rename(tmp_path / "moved")
    qtbot.waitUntil(lambda: panel.cost.frame.isVisible(), timeout=WAIT)
    assert panel.cost.error.text() == f"{path} is not a run directory: it has no run.json."


def test_a_followed_run_that_goes_away_while_it_is_read_is_a_sentence(qtbot, panel, held_run, tmp_path, monkeypatch):
    """Half of it is read, the rest is not there: the lock that says who writes, for one."""
    path, stored, read = held_run, Session.stored, []

    def goes(run):
        read.append(run)
        if len(read) == 2:    # the first is to show it, the second to follow it
            path.rename(tmp_path / "moved")
        return stored(run)

    monkeypatch.setattr(Session, "stored", goes)
    panel.show()
    panel.bottom.follow(path)
    qtbot.waitUntil(lambda: panel.cost.frame.isVisible(), timeout=WAIT)
    assert panel.cost.error.text() == f"{path} is not a run directory: it has no run.json."
    assert len(read) == 2


def test_dropping_a_run_that_trains_elsewhere_follows_it(qtbot, window, held_run):
    path = held_run
    window.ask_before_closing = False
    window.files.open_path(path)
    assert window.job == "train"
    settle(qtbot, window.train)
    assert window.train.session.path == path
    assert window.train.follower.path == path


def test_the_run_that_trains_here_is_not_deleted_nor_taken_from_itself(qtbot, panel):
    for part in (panel, panel.side, panel.bottom):
        part.show()
    begin(qtbot, panel, 10)
    panel.bottom.select(panel.session.path)
    assert not panel.bottom.delete_button.isEnabled()
    panel.stop()
    finish(qtbot, panel)
    panel.bottom.select(panel.session.path)
    assert panel.bottom.delete_button.isEnabled()


def test_choosing_another_model_after_a_duplicate_takes_none_of_its_settings(qtbot, panel):
    path = train("made", "nade")
    panel.show()
    read(qtbot, panel)
    panel.bottom.duplicated.emit(path)
    settle(qtbot, panel)
    choose(panel.choices.model, "fvsbn")
    assert panel.choice().changes == {}
    assert Path(panel.choice().view.dataset).name == "digits"
