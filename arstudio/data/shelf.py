"""The images used last, so that whoever looks at them, measures a model on them and trains on them reads them once."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from arstudio.data.datasets import DataView, seen_as
from arstudio.data.views import ImageDataset
from arstudio.progress import Progress


class Shelf:
    """Keeps one dataset at its native levels, and the last view of it. May be asked by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._native: tuple[tuple[DataView, float], ImageDataset] | None = None
        self._seen: tuple[tuple[DataView, float], ImageDataset] | None = None

    def load(self, view: DataView, progress: Progress | None = None) -> ImageDataset:
        """What `view.load()` gives; read from disk only where that has changed. Raises DatasetError, Cancelled."""
        with self._lock:
            key, native = (view, _changed(view)), replace(view, levels=None, binarise="static", grey=False)
            if self._seen is not None and self._seen[0] == key:
                return self._seen[1]
            if self._native is None or self._native[0] != (native, key[1]):
                self._native = self._seen = None    # room for the next
                self._native = (native, key[1]), native.load(progress)
            found = self._native[1]
            if view != native:
                found = seen_as(found, levels=view.levels, binarise=view.binarise, seed=view.seed, grey=view.grey)
            self._seen = key, found
            return found


def _changed(view: DataView) -> float:
    """When the file or folder last changed; 0 for a dataset that has a name."""
    try:
        return Path(view.dataset).expanduser().stat().st_mtime
    except OSError:
        return 0.0
