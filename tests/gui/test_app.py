"""Starting and ending the program as a process."""

import builtins
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


def test_collections_leave_out_what_imports_have_brought(studio, monkeypatch, tmp_path):
    import gc
    import threading
    import types

    from arstudio.gui import app

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    health = app.Health(studio, tmp_path)
    try:
        health.collect()
        frozen = gc.get_freeze_count()
        assert frozen > 1000
        health.collect()
        assert gc.get_freeze_count() == frozen    # nothing was imported meanwhile
        many = {f"imported_{i}": types.ModuleType(f"imported_{i}") for i in range(app.IMPORTED + 1)}
        for name, module in many.items():
            monkeypatch.setitem(sys.modules, name, module)
        health.collect()
        assert gc.get_freeze_count() >= frozen + len(many)
    finally:
        health.timer.stop()
        gc.unfreeze()


LOADED = """
import sys
from arstudio.gui.app import main, private_settings
private_settings(sys.argv[1])
def painted(window):
    print(*[name for name in ("numpy", "torch", "PIL", "safetensors") if name in sys.modules], "painted", flush=True)
    window.close()
sys.exit(main(painted))
"""


def test_the_window_is_painted_before_numpy_and_torch_are_loaded(tmp_path):
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)}
    command = [sys.executable, "-c", LOADED, str(tmp_path)]
    found = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert found.stdout.split() == ["painted"], found.stderr


def test_the_panels_made_next_do_not_wait_for_torch():
    code = "import sys, arstudio.gui.panels.complete, arstudio.gui.panels.train; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert found.stdout.strip() == "False", found.stderr


def test_imports_are_not_slowed_by_pyside(qapp):
    from arstudio.gui.app import make_application

    make_application()
    assert builtins.__import__ is not getattr(builtins, "__feature_import__", None)
