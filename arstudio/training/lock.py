"""One writer for each run directory: RUN/writer.lock says which process writes, on which computer. No torch here.

The system's own lock on that file is held as long as the process lives, so a process that was killed leaves nothing behind
that needs clearing away. Some network file systems do not carry locks from one computer to another; there the file itself
speaks: it is touched every BEAT seconds, and what another computer wrote is respected until it has been silent for SILENCE
seconds. Whoever was taken for dead finds out before its next save, and writes nothing more.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from arstudio.training.runs import Run, RunError

NAME = "writer.lock"
BEAT = 20.0
SILENCE = 600.0
TRIES, BETWEEN = 5, 0.05    # somebody who only asks who writes holds the lock for an instant


class RunBusy(RunError):
    """A run directory that another program writes; the message says which."""


class WriterLock:
    """The right to write one run directory, until `release`. Raises RunBusy if another program has it, RunError if the
    place cannot be written."""

    def __init__(self, run: Path) -> None:
        self.path = run / NAME
        self._mine = {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
        self._beaten = time.monotonic()
        try:
            self._file = self._opened()
        except OSError as error:
            raise RunError(f"{run} cannot be written: {error.strerror or error}.") from None

    def _opened(self) -> BinaryIO:
        tries = 0
        while True:
            file = self.path.open("a+b")
            try:
                if not _locked(file):
                    tries += 1
                    if tries == TRIES:
                        raise RunBusy(_sentence(self.path.parent, _read(self.path)))
                    file.close()
                    time.sleep(BETWEEN)
                    continue
                if not self._same(file):    # the one before us took its file away in between
                    file.close()
                    continue
                other = _read(self.path)
                foreign = other.get("host") not in (None, self._mine["host"])
                silent = time.time() - self.path.stat().st_mtime
                if foreign and silent < SILENCE:
                    raise RunBusy(_sentence(self.path.parent, other))
                file.truncate(0)
                file.write(json.dumps(self._mine).encode())
                file.flush()
                return file
            except BaseException:
                file.close()
                raise

    def _same(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def check(self) -> None:
        """Before every save. Raises RunBusy if another program has taken the run over."""
        other = _read(self.path)
        if other and other.get("token") != self._mine["token"]:
            raise RunBusy(
                f"{self.path.parent} was taken over by process {other.get('pid')} on {other.get('host')} while this one was "
                "silent; nothing more is written here."
            )

    def beat(self) -> None:
        """Between steps: show that the writer lives."""
        if time.monotonic() - self._beaten > BEAT:
            self._beaten = time.monotonic()
            with suppress(OSError):
                os.utime(self.path)

    def release(self) -> None:
        """Give the run back; again is harmless."""
        with suppress(OSError):
            if _read(self.path).get("token") == self._mine["token"]:
                if os.name == "nt":    # there an open file cannot be removed
                    self._file.close()
                self.path.unlink()
        self._file.close()


def writer_of(run: str | Path) -> str:
    """Who writes a run directory at this moment, as "process 12 on host"; "" if nobody does."""
    path = Path(run) / NAME
    try:
        with path.open("r+b") as file:
            held = _read(path)
            foreign = held.get("host") not in (None, socket.gethostname())
            silent = time.time() - path.stat().st_mtime
            alive = not _locked(file) or (foreign and silent < SILENCE)
    except FileNotFoundError:
        return ""
    except OSError:    # to be read only: there the file's words must do
        try:
            held, alive = _read(path), time.time() - path.stat().st_mtime < SILENCE
        except OSError:
            return ""
    return f"process {held.get('pid')} on {held.get('host')}" if alive and held else ""


def state_of(run: Run) -> str:
    """How a run on disk stands: "elsewhere" if somebody writes it, else new, finished, early, stopped or diverged, or
    interrupted where it is marked as training."""
    if writer_of(run.path):
        return "elsewhere"
    state = str(run.record.get("status", "new"))
    return "interrupted" if state == "training" else state


def _sentence(run: Path, other: dict[str, Any]) -> str:
    who = f"process {other['pid']} on {other['host']}" if {"pid", "host"} <= other.keys() else "another program"
    return f"{run} is being written by {who}; stop that training first, or choose another run."


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes() or b"{}")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _locked(file: BinaryIO) -> bool:
    """Take the system's lock without waiting; True as well where the file system has none, and the file's words must do."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(2**20)    # a byte beyond the words, which others must be able to read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
