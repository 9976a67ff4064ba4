"""Following a run that another program writes, here or on another machine: its files are read again when they change, at
most once a second, beside the window, and nothing is ever written there."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QSettings, QTimer, Signal, Slot

from arstudio.gui.panels.train_session import Session
from arstudio.gui.tasks import Latest, TaskProgress
from arstudio.training.lock import writer_of
from arstudio.training.runs import Run

LOOK = 1000       # ms between looks
MOST = 20         # run directories remembered

Stamp = tuple[float, ...]


class Follower(QObject):
    """`watch(path)`; then `changed(Session)` whenever there is more, `lost(sentence)` when it cannot be read any more."""

    changed = Signal(object)
    lost = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.path: Path | None = None
        self._stamp: Stamp = ()
        self._reader = Latest(self, "follow a run")
        self._reader.done.connect(self._read)
        self._reader.failed.connect(self._failed)
        self._clock = QTimer(self, interval=LOOK, singleShot=True)
        self._clock.timeout.connect(self._look)

    def watch(self, path: Path) -> None:
        """Follow this run and no other."""
        self.path, self._stamp = path, ()
        self._look()

    def stop(self) -> None:
        """Follow nothing."""
        self.path = None
        self._clock.stop()
        self._reader.forget()

    @Slot()
    def _look(self) -> None:
        path, before = self.path, self._stamp

        def work(_progress: TaskProgress) -> tuple[Stamp, Session | None]:
            stamp = _stamp(path)
            return stamp, None if stamp == before else Session.stored(Run.open(path))

        self._reader.ask(work)

    @Slot(object)
    def _read(self, found: tuple[Stamp, Session | None]) -> None:
        if self.path is None:
            return
        self._stamp, session = found
        if session is not None:
            self.changed.emit(session)
        over = session is None and not self._stamp[-1]    # seen twice without a writer: what was read first may be half gone
        if self.path is not None and not over:
            self._clock.start()

    @Slot(str)
    def _failed(self, sentence: str) -> None:
        self.stop()
        self.lost.emit(sentence)


def _stamp(path: Path) -> Stamp:
    """What tells one state of a run directory from another: when its files changed, and whether somebody writes."""
    times = []
    for name in ("run.json", "metrics.csv", "samples", "snapshots", "loss_map.npy", "best.safetensors"):
        try:
            times.append((path / name).stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return (*times, float(bool(writer_of(path))))


def followed() -> list[Path]:
    """Run directories elsewhere that were followed, newest first."""
    kept = QSettings().value("train/followed", [])
    return [Path(path) for path in ([kept] if isinstance(kept, str) else list(kept or []))]


def remember(path: Path) -> None:
    """List a run directory from now on."""
    kept = [str(path), *(str(other) for other in followed() if other != path)]
    QSettings().setValue("train/followed", kept[:MOST])


def forget(path: Path) -> None:
    """List it no more; its files stay."""
    QSettings().setValue("train/followed", [str(other) for other in followed() if other != path])
