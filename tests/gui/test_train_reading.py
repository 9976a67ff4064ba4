"""Runs on disk are read and written beside the window: it never waits, the last wish counts, and closing loses nothing."""

import shutil
import threading

import pytest
from hands import WAIT, click, read, settle
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFileDialog

from arstudio.gui.panels import train_stored
from arstudio.gui.panels.train_exports import DifferencesDialog
from arstudio.training.config import TrainConfig
from arstudio.training.places import runs_root
from arstudio.training.runs import Run
from arstudio.training.setup import DataView, new_trainer

pytestmark = pytest.mark.usefixtures("one_thread")


class Slow:
    """Stands before `Run.open`: counts the threads that read, and holds those who read the runs named in `held`."""

    def __init__(self):
        self.threads, self.held, self.gate = set(), set(), threading.Event()
        self._open = Run.open

    def open(self, path):
        self.threads.add(threading.current_thread())
        if path.name in self.held:
            assert threading.current_thread() is not threading.main_thread()
            self.gate.wait(WAIT / 1000)
        return self._open(path)


@pytest.fixture
def slow(monkeypatch):
    slow = Slow()
    monkeypatch.setattr(Run, "open", slow.open)
    yield slow
    slow.gate.set()


@pytest.fixture
def runs(qtbot, panel):
    """The panel, shown, with three runs on disk."""
    config = TrainConfig(epochs=0.2, validation_images=40)
    trainer = new_trainer(runs_root() / "first", DataView(dataset="digits"), "fvsbn", config, device="cpu")
    trainer.fit()
    paths = [runs_root() / name for name in ("first", "second", "third")]
    for path in paths[1:]:
        shutil.copytree(paths[0], path)
    for part in (panel, panel.side, panel.bottom):
        part.show()
    read(qtbot, panel)
    return paths


def ask(panel, verb, paths, monkeypatch, tmp_path):
    """Do what a person does with the runs that are selected."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_a, **_k: (str(tmp_path / "out"), "")))
    panel.bottom.select(*(paths[:2] if verb in ("differences", "compared") else paths[:1]))
    if verb == "resume":
        panel.bottom.resume_button.click()
    elif verb in ("chosen", "compared"):
        panel.bottom._chosen()
    else:
        panel.bottom.verbs[verb].trigger()


VERBS = ("chosen", "compared", "resume", "duplicate", "differences", "model", "csv", "html", "png")


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_reads_a_run_in_the_thread_of_the_window(qtbot, panel, runs, slow, messages, monkeypatch, tmp_path, verb):
    ask(panel, verb, runs, monkeypatch, tmp_path)
    if verb == "differences":
        qtbot.waitUntil(lambda: panel.bottom.findChild(DifferencesDialog) is not None, timeout=WAIT)
        panel.bottom.findChild(DifferencesDialog).reject()
    settle(qtbot, panel)
    if verb == "resume":
        assert panel.training
        panel.stop()
        qtbot.waitUntil(lambda: not panel.training, timeout=WAIT)
    settle(qtbot, panel)
    assert slow.threads
    assert threading.main_thread() not in slow.threads
    assert "error" not in [kind for kind, _ in messages]


@pytest.mark.parametrize("verb", VERBS)
def test_a_damaged_run_is_one_sentence_whatever_is_asked_of_it(qtbot, panel, runs, messages, monkeypatch, tmp_path, verb):
    before = panel.session, panel.choice()
    (runs[0] / "run.json").write_text("{")
    ask(panel, verb, runs, monkeypatch, tmp_path)
    said = panel.cost.error.text
    qtbot.waitUntil(lambda: bool(said()) or "error" in [kind for kind, _ in messages], timeout=WAIT)
    sentence = said() or messages[-1][1]
    assert sentence.startswith(f"{runs[0]} is a damaged run directory")
    assert sentence.count(".") - str(runs[0]).count(".") <= 1
    settle(qtbot, panel)
    assert (panel.session, panel.choice()) == before
    assert not panel.training
    assert not list(tmp_path.glob("out*"))


def test_what_is_wrong_with_a_run_is_not_taken_away_by_the_cost_of_a_training(qtbot, panel, runs):
    panel.probe.ask()
    qtbot.waitUntil(lambda: panel.probe.busy, timeout=WAIT)
    (runs[0] / "run.json").write_text("{")
    panel.show_run(runs[0])
    qtbot.waitUntil(lambda: bool(panel.cost.error.text()), timeout=WAIT)
    qtbot.waitUntil(lambda: not panel.probe.busy, timeout=WAIT)
    assert panel.cost.frame.isVisible()
    assert panel.cost.error.text().startswith(f"{runs[0]} is a damaged run directory")


def test_the_window_goes_on_while_a_run_is_read_and_the_last_wish_counts(qtbot, panel, runs, slow, studio):
    status, turns = [], []
    studio.status.connect(lambda text, _share: status.append(text))
    clock = QTimer(interval=1)
    clock.timeout.connect(lambda: turns.append(1))
    clock.start()
    slow.held = {"first", "second"}
    panel.show_run(runs[0])
    qtbot.waitUntil(lambda: status == ["Reading first"] and len(turns) > 3, timeout=WAIT)
    assert panel.session is None
    panel.show_run(runs[1])
    panel.show_run(runs[2])
    slow.gate.set()
    qtbot.waitUntil(lambda: panel.session is not None, timeout=WAIT)
    settle(qtbot, panel)
    assert panel.session.path == runs[2]
    assert status[-1] == ""
    clock.stop()


def test_a_training_that_starts_meanwhile_is_not_taken_from_the_screen(qtbot, panel, runs, slow):
    slow.held = {"first"}
    panel.show_run(runs[0])
    panel.choices.choose_minutes(10)
    click(qtbot, panel.choices.start)
    training = panel.session
    slow.gate.set()
    qtbot.waitUntil(lambda: training.live is not None and training.live.step > 2, timeout=WAIT)
    assert panel.session is training
    panel.stop()
    qtbot.waitUntil(lambda: not panel.training, timeout=WAIT)


def test_a_run_that_is_deleted_while_it_is_read_is_not_missed(qtbot, panel, runs, slow, messages):
    slow.held = {"first"}
    panel.show_run(runs[0])
    shutil.rmtree(runs[0])
    panel.bottom._drop(runs[0])
    slow.gate.set()
    settle(qtbot, panel)
    assert panel.session is None
    assert not panel.cost.error.text()


def test_what_is_being_exported_is_whole_when_the_window_has_closed(qtbot, window, slow, monkeypatch, tmp_path, messages):
    from arstudio.gui import tasks

    config = TrainConfig(epochs=0.2, validation_images=40)
    new_trainer(runs_root() / "first", DataView(dataset="digits"), "fvsbn", config, device="cpu").fit()
    path, panel = runs_root() / "first", window.train
    window.show_train()
    read(qtbot, panel)
    panel.bottom.select(path)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_a, **_k: (str(tmp_path / "out"), "")))
    slow.held = {"first"}
    panel.bottom.verbs["model"].trigger()
    panel.show_run(path)
    threading.Timer(0.3, slow.gate.set).start()
    window.close()
    assert not tasks.running()
    assert (tmp_path / "out.safetensors").read_bytes() == (path / "best.safetensors").read_bytes()


def test_the_curve_of_a_run_that_is_not_shown_is_shown_and_exported(qtbot, panel, runs, monkeypatch, tmp_path, messages):
    panel.show_run(runs[0])
    settle(qtbot, panel)
    painted = []
    monkeypatch.setattr(train_stored, "picture_of", lambda _plot: painted.append(panel.session.path) or b"png")
    ask(panel, "png", runs[1:], monkeypatch, tmp_path)
    qtbot.waitUntil(lambda: (tmp_path / "out.png").exists(), timeout=WAIT)
    settle(qtbot, panel)
    assert painted == [runs[1]]
    assert messages[-1] == ("info", f"Saved {tmp_path / 'out.png'}")
