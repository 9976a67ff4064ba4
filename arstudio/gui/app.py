"""Starting the program: display check, application, theme, window, and what keeps a Qt program in Python healthy."""

from __future__ import annotations

import builtins
import contextlib
import faulthandler
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from arstudio.openmp import wait_briefly

if TYPE_CHECKING:
    from arstudio.gui.main_window import MainWindow

NO_DISPLAY = (
    "AR Studio needs a display for its window and found none. These commands work without one: arstudio demo, train, "
    "sample, complete, inspect, evaluate, models, datasets, bench."
)


def display_missing() -> bool:
    """True on Unix desktops without a reachable X or Wayland display and without another Qt platform chosen."""
    if sys.platform in ("win32", "darwin") or os.environ.get("QT_QPA_PLATFORM"):
        return False
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    wayland = os.environ.get("WAYLAND_DISPLAY", "")
    if wayland and (Path(wayland).exists() or Path(runtime, wayland).exists()):
        return False
    display = os.environ.get("DISPLAY", "")
    if not display:
        return True
    host, _, number = display.rpartition(":")
    local = host in ("", "unix")
    return local and sys.platform == "linux" and not _x_answers(number.split(".")[0])


def _x_answers(number: str) -> bool:
    """True if an X server listens on the local display, by its socket file or its abstract name."""
    import socket

    for address in (f"/tmp/.X11-unix/X{number}", f"\0/tmp/.X11-unix/X{number}"):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(0.5)
                probe.connect(address)
                return True
        except OSError:
            continue
    return False


def make_application(arguments: list[str] | None = None):
    """The QApplication with names, style and theme; also used by demo, benchmark and tests."""
    wait_briefly()    # as __main__ does, before torch is loaded
    _load_c10_first()
    from PySide6.QtCore import QCoreApplication
    from PySide6.QtGui import QGuiApplication
    from PySide6.QtWidgets import QApplication

    QCoreApplication.setOrganizationName("arstudio")
    QCoreApplication.setApplicationName("AR Studio")
    QGuiApplication.setDesktopFileName("arstudio")
    _restore_import()
    QApplication.setStyle("Fusion")    # before the application is made: no other style is loaded in vain
    app = QApplication.instance() or QApplication(arguments or sys.argv[:1])
    from arstudio.gui import theme

    theme.apply()
    return app


def _restore_import() -> None:
    """Give Python its own `__import__` back. PySide6 puts one in its place that reads the source of every module imported
    later, looking for its `from __feature__ import`, which is not used here; torch then took 1.5 s to load, not 1.1 s."""
    if builtins.__import__ is getattr(builtins, "__feature_import__", None):
        builtins.__import__ = builtins.__orig_import__


def _load_c10_first() -> None:
    """On Windows torch ≥ 2.9 cannot be imported after Qt unless its c10.dll was loaded before (pytorch#166628)."""
    if sys.platform != "win32":
        return
    import ctypes
    from importlib.util import find_spec

    spec = find_spec("torch")
    if spec is not None and spec.origin:
        dll = Path(spec.origin).parent / "lib" / "c10.dll"
        if dll.exists():
            ctypes.CDLL(str(dll))


def log_folder() -> Path | None:
    """Where logs go, made if need be; None where nothing can be written."""
    from platformdirs import user_log_path

    try:
        folder = user_log_path("arstudio", ensure_exists=True)
        return folder if os.access(folder, os.W_OK) else None
    except OSError:
        return None


def private_settings(folder: str | Path) -> None:
    """Keep settings, runs and history of this process in `folder`: for the demo, benchmarks and pictures."""
    from PySide6.QtCore import QSettings

    os.environ["ARSTUDIO_RUNS"] = str(Path(folder) / "runs")
    os.environ["ARSTUDIO_HISTORY"] = str(Path(folder) / "history")
    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))


IMPORTED = 100    # modules more than before that are worth leaving out of collections


class Health:
    """Keeps cyclic garbage collection on the GUI thread, and turns uncaught errors into one message and a log entry."""

    def __init__(self, studio, folder: Path | None = None) -> None:
        from PySide6.QtCore import QObject, QTimer, Signal

        class Errors(QObject):
            happened = Signal(str)

        gc.disable()
        self._modules = 0
        sys.setswitchinterval(0.001)    # the drawing thread and this one hand over more often: less lag, faster drawing
        self.timer = QTimer(interval=1000)
        self.timer.timeout.connect(self.collect)
        self.timer.start()
        folder = folder or log_folder()
        self.log = folder / "arstudio.log" if folder else None
        self.studio = studio
        self.errors = Errors()
        self.errors.happened.connect(self._tell)
        sys.excepthook = self._hook
        threading.excepthook = lambda args: self._hook(args.exc_type, args.exc_value, args.exc_traceback)

    def collect(self) -> None:
        """Collect as often as the counters ask for, here and nowhere else. What imports have brought stays for good, and
        going through it would stop the window for a tenth of a second, so it is left out."""
        if len(sys.modules) > self._modules + IMPORTED:
            self._modules = len(sys.modules)
            gc.freeze()
        counts, limits = gc.get_count(), gc.get_threshold()
        for generation in (2, 1, 0):
            if counts[generation] > limits[generation]:
                gc.collect(generation)
                break

    def _hook(self, kind, error, trace) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        sys.stderr.write(text)
        where = ""
        if self.log is not None:
            with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
                where = f" Details are in {self.log}."
        self.errors.happened.emit(f"Something went wrong ({kind.__name__}: {error}).{where}")

    def _tell(self, sentence: str) -> None:
        self.studio.message.emit("error", sentence)


def last_crash() -> str:
    """Turn on the crash log; returns where the previous one lies if the program crashed last time, else ""."""
    folder = log_folder()
    if folder is None:
        return ""
    path = folder / "crash.log"
    crashed = path.exists() and path.stat().st_size > 0
    kept = path.with_suffix(".previous.log")
    if crashed:
        os.replace(path, kept)
    faulthandler.enable(path.open("w", encoding="utf-8"))
    return str(kept) if crashed else ""


def after_first_paint(widget, call):
    """Call a function once, when the first paint event of a widget has ended; returns what must be kept until then."""
    from PySide6.QtCore import QEvent, QObject, QTimer

    class FirstPaint(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint:
                widget.removeEventFilter(self)
                QTimer.singleShot(0, call)
            return False

    watch = FirstPaint()
    widget.installEventFilter(watch)
    return watch


def begin(window: MainWindow) -> None:
    """What follows the first paint: health, lists, torch, the other panels, word of a crash, and once the tour."""
    window.health = Health(window.studio)
    window.complete_start()
    window.studio.drawing_changed.connect(window.teacher.offer_tour)
    crashed = last_crash()
    if crashed:
        window.studio.message.emit("info", f"AR Studio ended unexpectedly last time. What is known is in {crashed}.")


def main(painted: Callable[[MainWindow], None] = begin) -> int:
    """Open the window and run until it is closed; `painted(window)` is called when the first paint has ended."""
    gc.disable()    # nothing to collect yet; from `begin` on Health does it
    if display_missing():
        print(NO_DISPLAY, file=sys.stderr)
        return 1
    app = make_application()
    from PySide6.QtCore import QTimer

    from arstudio.gui.main_window import MainWindow
    from arstudio.gui.studio import Studio

    window = MainWindow(Studio())
    window.docks.fit_screen()

    def interrupted(*_: object) -> None:
        window.ask_before_closing = False    # a run that is stopped can be resumed
        QTimer.singleShot(0, window.close)   # not here: Python may be in the middle of a paint event

    signal.signal(signal.SIGINT, interrupted)
    watch = after_first_paint(window.generate_panel, lambda: painted(window))
    window.show()
    code = app.exec()
    del watch
    return code
