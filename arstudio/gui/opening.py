"""Opening a model beside the window. Of several the one asked for last is taken, and if it cannot be opened the one before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from arstudio.gui.tasks import Task, TaskProgress
from arstudio.models.modelfile import ModelCard, find_model, read_card

if TYPE_CHECKING:
    from arstudio.models import AutoregressiveModel
    from arstudio.sampling import Recipe


@dataclass(frozen=True, eq=False)
class Wish:
    """What is to be done with a model that is open: draw at once, with the settings of a recipe, and turn to Generate."""

    draw: bool
    recipe: Recipe | None
    turn: bool


@dataclass(frozen=True, eq=False)
class Opened:
    """A model, its card, and what it was opened for."""

    model: AutoregressiveModel
    card: ModelCard
    wish: Wish


class Opening(QObject):
    """`begun(name)` for each that is asked for, `opened(Opened)` for the one that is taken, `failed(sentence)`."""

    begun = Signal(str)
    opened = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._asked: dict[Task, Opened | None] = {}    # in this order, None: still being opened

    @property
    def busy(self) -> bool:
        """True while a model is being opened."""
        return bool(self._asked)

    def ask(self, which: str | Path, wish: Wish) -> None:
        """Open a bundled name, model file or run directory."""

        def load(_progress: TaskProgress) -> Opened:
            path = read_card(find_model(which)).path    # what is wrong with a file is said before torch is there
            from arstudio.models import load_frozen

            return Opened(*load_frozen(path), wish)

        task = Task(load, "open model")
        task.done.connect(self._loaded)
        task.failed.connect(self._not_loaded)
        self._asked[task] = None
        task.start()
        name = Path(which).name
        self.begun.emit(name.removesuffix(".safetensors"))

    @Slot(object)
    def _loaded(self, found: Opened) -> None:
        if self.sender() in self._asked:
            self._asked[self.sender()] = found
            self._take()

    @Slot(str, str)
    def _not_loaded(self, sentence: str, _trace: str) -> None:
        if self.sender() in self._asked:
            del self._asked[self.sender()]
            self._take()
            self.failed.emit(sentence)

    def _take(self) -> None:
        """Take the last one if it is there, and wait for none of the others."""
        found = next(reversed(self._asked.values()), None)
        if found is not None:
            self._asked.clear()
            self.opened.emit(found)
