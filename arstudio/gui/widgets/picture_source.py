"""Where the canvas gets its pictures: the model's dataset, the current drawing, the history, a file, the clipboard.

Reading happens in a Task. `ready` carries what fits as it is, `offered` what a person should see fitted first. An
error leaves the canvas as it is and is said once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QImage

from arstudio.gui.history import HistoryItem
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.gui.widgets.fitting import Fit, Incoming
from arstudio.gui.widgets.pictures import pil_of
from arstudio.image import ImageSpec, filled, is_hidden
from arstudio.models.modelfile import ModelCard


class PictureSource(QObject):
    """`ready(content (C, H, W), hidden (H, W) or None to keep the mask, caption, notice or "")`; `offered(Incoming)`."""

    ready = Signal(object, object, str, str)
    offered = Signal(object)

    def __init__(self, studio: Studio, parent: QObject) -> None:
        super().__init__(parent)
        self._studio = studio
        self._asked = 0                                  # only the latest answer counts
        self._rng = np.random.default_rng(1)
        self._shelf: tuple[Any, Any] | None = None      # what was loaded last: key, dataset

    def open_first_model(self) -> None:
        """Open the first bundled model."""
        from arstudio.models.modelfile import ModelFileError, bundled_models

        try:
            self._studio.open_model(bundled_models()[0].path)
        except (IndexError, OSError, ModelFileError):
            self._studio.message.emit("info", self.tr(
                "No bundled models were found: open a model file with Model ▸ Open, or train one."
            ))

    def take_from_dataset(self, first: bool = False) -> None:
        """A random test image in the model's view of its dataset. With `first`, a blank image if there is
        none."""
        if self._refuse():
            return
        card, draw, shelf = self._studio.card, int(self._rng.integers(2**31)), self._shelf

        def read(progress: TaskProgress) -> Any:
            try:
                self._shelf, content, _, words = test_image(card, shelf, draw)
            except ValueError as error:
                if not first:
                    raise
                content = np.zeros(card.spec.shape, card.spec.dtype)
                words = self.tr("Blank: what you draw is known")
                return content, np.ones(content.shape[1:], bool), words, str(error)
            return content, None, words, ""

        self._start(read, self.tr("Taking a picture from the dataset"))

    def take_from_drawing(self) -> None:
        """The image Generate shows, as far as it is drawn; the rest of it is hidden."""
        trace = self._studio.trace
        if self._refuse():
            return
        if trace is None:
            words = self.tr("There is no drawing yet: press play in Generate first.")
            self._studio.message.emit("info", words)
            return
        self._take(trace.image(self._studio.focus, self._studio.position), trace.spec, self.tr("The drawing in Generate"))

    def take_from_history(self, item: HistoryItem) -> None:
        """The first image of a remembered drawing."""
        if not self._refuse():
            self._take(item.image, item.spec, item.label)

    def _take(self, image: np.ndarray, spec: ImageSpec, words: str) -> None:
        if spec != self._studio.card.spec:
            self._studio.message.emit("info", self.tr("That drawing is {0} but the model draws {1}.").format(
                spec, self._studio.card.spec
            ))
            return
        hidden = is_hidden(image).any(0)
        self._asked += 1
        self.ready.emit(filled(image), hidden if hidden.any() else None, words, "")

    def read_file(self, path: str | Path) -> None:
        """A picture file: one of our own goes on the canvas as it is, any other is offered for fitting."""
        if self._refuse():
            return
        spec, path = self._studio.card.spec, Path(path)

        def read(progress: TaskProgress) -> Any:
            from arstudio.image import open_picture

            return _fitted(Incoming.of(open_picture(path), path.name), spec)

        self._start(read, self.tr("Opening {0}").format(path.name))

    def take_image(self, image: QImage, name: str) -> None:
        """A picture from the clipboard or a drop, treated as a file is."""
        if self._refuse():
            return
        spec, copy = self._studio.card.spec, QImage(image)
        self._start(lambda progress: _fitted(Incoming.of(pil_of(copy), name), spec), self.tr("Reading the picture"))

    def _refuse(self) -> bool:
        if self._studio.card is None:
            self._studio.message.emit("info", self.tr("Choose a model first: the Library on the left lists them."))
        return self._studio.card is None

    def _start(self, read: Any, name: str) -> None:
        self._asked += 1
        asked, spec = self._asked, self._studio.card.spec
        task = Task(lambda progress: (asked, spec, read(progress)), name)
        task.done.connect(self._arrived)
        task.failed.connect(self._failed)
        task.finished.connect(task.deleteLater)
        task.start()

    @Slot(object)
    def _arrived(self, result: Any) -> None:
        asked, spec, picture = result
        if asked != self._asked or self._studio.card is None:
            return
        if isinstance(picture, Incoming):
            self.offered.emit(picture)
        elif spec == self._studio.card.spec:
            self.ready.emit(*picture)

    @Slot(str, str)
    def _failed(self, sentence: str, _trace: str) -> None:
        self._studio.message.emit("error", sentence)


def _fitted(incoming: Incoming, spec: ImageSpec) -> Any:
    """What `ready` carries for a picture that loses nothing, else the picture itself."""
    if not incoming.is_ours(spec):
        return incoming
    return incoming.levels(spec, Fit()), incoming.hidden(spec, Fit()), incoming.name, ""


def test_image(card: ModelCard, shelf: Any, draw: int) -> tuple[Any, np.ndarray, int, str]:
    """Test image number `draw`, modulo their count, in the view a model was trained on: (what to pass as `shelf` the next
    time, (C, H, W) levels, class or −1, a name for people). Raises DatasetError."""
    shelf = _dataset(card, shelf)
    data = shelf[1]
    index = draw % len(data.test)
    y = -1 if data.test.y is None else int(data.test.y[index])
    words = f"{data.info.title.split(' (')[0]} test image {index}" + (f" · class {card.class_name(y)}" if y >= 0 else "")
    return shelf, data.test.x[index].astype(card.spec.dtype), y, words


def _dataset(card: ModelCard, shelf: tuple[Any, Any] | None) -> tuple[Any, Any]:
    """(key, dataset) in the view a model was trained on. Raises DatasetError."""
    from arstudio.data import DatasetError, load

    spec, name = card.spec, card.facts.dataset
    how = "threshold" if "half brightness" in card.facts.protocol else "static"
    key = name, spec, how
    if shelf is not None and shelf[0] == key:
        return shelf
    if not name:
        raise DatasetError("This model does not say what it was trained on; draw or open a picture instead.")
    data = load(name, levels=spec.levels, size=(spec.height, spec.width), binarise=how)
    if data.spec != spec:
        raise DatasetError(f"{data.info.title} is {data.spec} but the model draws {spec}; open a picture instead.")
    return key, data
