"""The history: every finished drawing with model, seed and settings, kept on disk within a byte budget.

One file a drawing in the user's data directory, written beside the window; pinned drawings are never dropped.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot

from arstudio.gui.settings import Settings
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.image import ImageSpec
from arstudio.models.modelfile import ModelCard, ModelFileError, card_from_metadata, write_atomically

if TYPE_CHECKING:
    import numpy as np

    from arstudio.sampling import Branch, BranchTree, Recipe, Trace

HISTORY_BYTES = 64_000_000    # on disk
MEMORY_BYTES = 64_000_000     # traces kept with their distributions


def history_folder() -> Path:
    """Where drawings are kept: ARSTUDIO_HISTORY if set, else `history` in the user's data directory."""
    chosen = os.environ.get("ARSTUDIO_HISTORY")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("arstudio") / "history"


def same_model(a: ModelCard, b: ModelCard) -> bool:
    """True if two cards are of one model: JSON knows no tuples."""
    return a is b or (a.path == b.path and json.dumps(a.header()) == json.dumps(b.header()))


@dataclass(eq=False)
class HistoryItem:
    """One finished drawing: its first image, and what is needed to show it again without drawing."""

    card: ModelCard
    settings: Settings
    recipe: Recipe
    image: np.ndarray
    label: str = ""
    when: float = field(default_factory=time.time)
    pinned: bool = False
    path: Path | None = None
    file_bytes: int = 0                     # on disk
    kept: Trace | None = None               # None: on disk only
    tree: BranchTree | None = None          # the drawing it belongs to, while it is in memory
    branch: Branch | None = None

    @property
    def spec(self) -> ImageSpec:
        """Of its images."""
        return self.card.spec

    @property
    def trace(self) -> Trace:
        """The drawing, read if need be. Raises RecordError if its file is gone or damaged."""
        from arstudio.sampling.record import read_trace

        if self.kept is None:
            self.kept = read_trace(self.path)
        return self.kept

    @property
    def size(self) -> int:
        """Bytes held in memory."""
        t = self.kept
        return 0 if t is None else sum(a.nbytes for a in (t.values, t.log_probs, t.entropies, t.origin, t.pmfs))

    def words(self) -> str:
        """Everything a search may find, in lower case."""
        s, card = self.settings, self.card
        name = card.class_name(s.class_index) if s.class_index >= 0 else ""
        marks = f"seed {s.seed} t {s.temperature:.2f} {'pinned' if self.pinned else ''}"
        return f"{self.label} {card.title} {card.name} {card.facts.dataset} {name} {marks} {self.recipe.order}".lower()

    def about(self) -> dict[str, Any]:
        """What a file says of it beside its trace, as JSON: `read` takes it up."""
        return {
            "card": self.card.header(), "path": str(self.card.path) if self.card.path else "",
            "settings": dataclasses.asdict(self.settings), "recipe": self.recipe.to_dict(),
            "label": self.label, "when": self.when, "pinned": self.pinned,
        }

    @classmethod
    def read(cls, path: Path) -> HistoryItem:
        """The item of a file, its trace left on disk. Raises RecordError or SettingsError for a file that is none."""
        from arstudio.sampling import Recipe
        from arstudio.sampling.record import RecordError, read_about, read_trace

        about = read_about(path)
        try:
            where = Path(about["path"]) if about["path"] else None
            card = card_from_metadata({"arstudio": json.dumps(about["card"])}, where or path)
            card = dataclasses.replace(card, path=where)
            image = read_trace(path).image(0)
            return cls(
                card, Settings.from_dict(about["settings"]), Recipe.from_dict(about["recipe"]), image,
                str(about["label"]), float(about["when"]), bool(about["pinned"]), path, path.stat().st_size,
            )
        except (KeyError, TypeError, ModelFileError) as error:
            raise RecordError(f"{path.name} is a damaged drawing ({str(error).rstrip('.')}).") from None


class History(QObject):
    """Items, newest first, as a sequence. `changed`: other items, pins or order. `message`: what a person should know."""

    changed = Signal()
    message = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.items: list[HistoryItem] = []
        self._warned = False
        self._reading: Task | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int | slice) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[HistoryItem]:
        return iter(self.items)

    def load(self) -> None:
        """Read what earlier sessions left, beside the window."""
        self._reading = Task(_read_all, "history")
        self._reading.done.connect(self._loaded)
        self._reading.start()

    @Slot(object)
    def _loaded(self, found: list[HistoryItem]) -> None:
        here = {item.path for item in self.items}
        self.items = sorted([*self.items, *(i for i in found if i.path not in here)], key=lambda i: -i.when)
        self.changed.emit()

    def remember(self, item: HistoryItem) -> None:
        """Keep a finished drawing, newest first, and write it to disk. The same drawing made again takes its own place."""
        for old in [i for i in self.items if i.recipe == item.recipe and same_model(i.card, item.card) and not i.pinned]:
            self.items.remove(old)
            _remove(old.path)
        self.items.insert(0, item)
        item.path = history_folder() / f"{int(item.when * 1000)}-{os.getpid()}-{id(item) % 9973:04d}.safetensors"
        self._write(item)
        self._within_bytes()
        self.changed.emit()

    def pin(self, item: HistoryItem, on: bool) -> None:
        """Never drop a drawing, or let it go with time like the others."""
        item.pinned = on
        self._write(item)
        self.changed.emit()

    def delete(self, item: HistoryItem) -> None:
        """Forget a drawing here and on disk."""
        self.items = [i for i in self.items if i is not item]
        _remove(item.path)
        self.changed.emit()

    def search(self, text: str) -> list[HistoryItem]:
        """Items that hold every word, pinned ones first."""
        words = text.lower().split()
        found = [item for item in self.items if all(word in item.words() for word in words)]
        return sorted(found, key=lambda item: not item.pinned)

    def _write(self, item: HistoryItem) -> None:
        def write(progress: TaskProgress) -> tuple[HistoryItem, int]:
            from arstudio.sampling.record import encode

            item.path.parent.mkdir(parents=True, exist_ok=True)
            data = encode(item.trace, item.about())
            write_atomically(item.path, data)
            return item, len(data)

        task = Task(write, "history")
        task.done.connect(self._written)
        task.failed.connect(self._failed)
        task.start()

    @Slot(object)
    def _written(self, result: tuple[HistoryItem, int]) -> None:
        """Drop the oldest files beyond the budget."""
        result[0].file_bytes = result[1]
        held, gone = sum(item.file_bytes for item in self.items), []
        for item in reversed(self.items[1:]):
            if held <= HISTORY_BYTES:
                break
            if not item.pinned and item.file_bytes:
                held -= item.file_bytes
                gone.append(item)
        for item in gone:
            self.items.remove(item)
            _remove(item.path)
        if gone:
            self.changed.emit()

    @Slot(str, str)
    def _failed(self, sentence: str, _trace: str) -> None:
        if not self._warned:
            self._warned = True
            self.message.emit("error", self.tr("The history cannot be kept on disk: {0}").format(sentence))

    def _within_bytes(self) -> None:
        """Keep the newest drawings in memory; older ones are read again when wanted."""
        held = sum(item.size for item in self.items)
        for item in reversed(self.items[1:]):
            if held <= MEMORY_BYTES:
                break
            if item.kept is not None and item.file_bytes:
                held -= item.size
                item.kept = item.tree = item.branch = None


def _read_all(progress: TaskProgress) -> list[HistoryItem]:
    """Everything in the folder that can be read; what cannot is left alone."""
    found, folder = [], history_folder()
    for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
        progress.check()
        try:
            found.append(HistoryItem.read(path))
        except (ValueError, OSError):
            continue
    return found


def _remove(path: Path | None) -> None:
    try:
        if path is not None:
            path.unlink(missing_ok=True)
    except OSError:    # a read-only disk: it will be offered again next time
        return
