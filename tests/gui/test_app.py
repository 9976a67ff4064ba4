"""Starting and ending the program as a process."""

import os
import signal
import subprocess
import sys

import pytest

CODE = """
import sys
from PySide6.QtCore import QTimer
import arstudio.gui.main_window as module
start = module.MainWindow.complete_start
def ready(window):
    start(window)
    window.studio.position_changed.connect(lambda: (print("drawing", flush=True)))
module.MainWindow.complete_start = ready
from arstudio.gui.app import main
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_closes_the_window_and_leaves_no_traceback(tmp_path):
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == "drawing"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_a_display_that_does_not_answer_counts_as_missing(monkeypatch):
    from arstudio.gui.app import display_missing

    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":9753")
    if sys.platform.startswith("linux"):
        assert display_missing()
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert not display_missing()


def test_an_uncaught_error_becomes_one_sentence_and_a_log_entry(qtbot, studio, monkeypatch, tmp_path):
    import threading

    from arstudio.gui.app import Health

    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    health = Health(studio)
    health.log = tmp_path / "arstudio.log"
    try:
        with qtbot.waitSignal(studio.message) as said:
            try:
                raise ValueError("the cat sat on the keyboard")
            except ValueError as error:
                sys.excepthook(ValueError, error, error.__traceback__)
        assert said.args[0] == "error"
        assert "the cat sat on the keyboard" in said.args[1]
        assert "the cat sat on the keyboard" in health.log.read_text()
    finally:
        health.timer.stop()
