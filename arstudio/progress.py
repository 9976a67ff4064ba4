"""How long work reports, publishes partial results and is cancelled, without knowing who watches.

Every room below `gui/` takes a `Progress`. The command line passes one that draws a bar, the window passes
one that hands the latest value to the screen, and a test passes the base class, which does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Cancelled(Exception):
    """Raised by `Progress.check` after someone asked the work to stop. Callers leave a valid state behind."""


class Progress:
    """Silent progress: reports go nowhere and nobody cancels. Subclass to show or to stop work."""

    def report(self, fraction: float | None, text: str = "") -> None:
        """Say how far the work is (0 … 1, or None when unknown) and what it is doing now."""

    def publish(self, partial: Any) -> None:
        """Hand over a partial result; only the latest one needs to survive."""

    def cancelled(self) -> bool:
        """True once the work should stop at the next safe place."""
        return False

    def pause_point(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Return at once, or only when the work may go on, doing `meanwhile` again and again: called between steps, where
        waiting is safe."""

    def check(self) -> None:
        """Raise `Cancelled` if the work should stop."""
        if self.cancelled():
            raise Cancelled


class Muted(Progress):
    """Passes on only that the work should stop: for a part of a job that must not report as if it were the whole."""

    def __init__(self, outer: Progress) -> None:
        self._outer = outer

    def cancelled(self) -> bool:
        return self._outer.cancelled()
