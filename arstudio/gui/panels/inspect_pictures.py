"""Inspect any image: one of the dataset, a file, the clipboard, a photograph. It is read as if it had just been drawn.

What does not fit the model as it is goes through the same page as in Complete, beside what the model will get.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QDialog, QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Latest, TaskProgress
from arstudio.gui.widgets.controls import label

if TYPE_CHECKING:
    import numpy as np

    from arstudio.gui.widgets.fitting import Incoming

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


class Pictures(QObject):
    """From a picture to a trace on the stage."""

    shown = Signal(str)    # what is being inspected now

    def __init__(self, studio: Studio, parent: QWidget) -> None:
        super().__init__(parent)
        self.studio, self._parent = studio, parent
        self.dialog: QDialog | None = None
        self.page: Any = None
        self._source: Any = None                 # made when first needed: it loads NumPy
        self._shelf: Any = None                  # the dataset loaded last, see `picture_source`
        self._work = Latest(self, "picture to inspect")
        self._work.done.connect(self._found)
        self._work.failed.connect(self._sorry)
        self._reading = Latest(self, "reading a picture")
        self._reading.done.connect(self._read)
        self._reading.failed.connect(self._sorry)

    @property
    def source(self) -> Any:
        """Where files and the clipboard are read."""
        if self._source is None:
            from arstudio.gui.widgets.picture_source import PictureSource

            self._source = PictureSource(self.studio, self)
            self._source.ready.connect(self._ready)
            self._source.offered.connect(self._offer)
        return self._source

    @Slot()
    def from_dataset(self) -> None:
        """A random test image of what the model learned from, with its class."""
        model, card, shelf, draw = self.studio.model, self.studio.card, self._shelf, random.randrange(2**31)
        if model is None:
            self.studio.message.emit("info", self.tr("Choose a model first: the Library on the left lists them."))
            return

        def work(progress: TaskProgress) -> Any:
            from arstudio.gui.widgets.picture_source import test_image

            shelf_now, x, y, name = test_image(card, shelf, draw)
            return shelf_now, model, x, y if model.num_classes else -1, name

        self._work.ask(work)

    @Slot(object)
    def _found(self, found: tuple) -> None:
        self._shelf, model, *picture = found
        if model is self.studio.model:
            self.inspect(*picture)

    @Slot()
    def choose_file(self) -> None:
        """Ask which picture."""
        pattern = self.tr("Pictures ({0})").format(" ".join("*" + s for s in SUFFIXES))
        path, _ = QFileDialog.getOpenFileName(self._parent, self.tr("Inspect a picture"), "", pattern)
        if path:
            self.source.read_file(path)

    @Slot()
    def paste(self) -> None:
        """What the clipboard holds."""
        image = QGuiApplication.clipboard().image()
        if image.isNull():
            self.studio.message.emit("info", self.tr("The clipboard holds no picture."))
        else:
            self.source.take_image(image, self.tr("The picture from the clipboard"))

    @Slot(object)
    def _offer(self, incoming: Incoming) -> None:
        """Show what has to be done to a picture before it is done."""
        from arstudio.gui.widgets.fit_page import FitPage

        if self.dialog is None:
            self.dialog, self.page = QDialog(self._parent), FitPage()
            self.dialog.setWindowTitle(self.tr("Inspect a picture"))
            self.dialog.resize(640, 480)
            whole = QVBoxLayout(self.dialog)
            whole.setContentsMargins(0, 0, 0, 0)
            whole.addWidget(self.page)
            self.page.use.setText(self.tr("Inspect"))
            self.page.use.setToolTip(self.tr("Read it as shown on the right"))
            self.page.taken.connect(self._ready)
            self.page.dropped.connect(self.dialog.reject)
        self.page.offer(incoming, self.studio.card.spec)
        self.page.hide_clear.hide()    # everything is to be read: what is transparent is black
        self.page.hide_clear.setChecked(False)
        self.dialog.open()

    @Slot(object, object, str)
    def _ready(self, content: np.ndarray, _hidden: np.ndarray, name: str) -> None:
        if self.dialog is not None:
            self.dialog.accept()
        y = self.studio.chosen_class()
        self.inspect(content, -1 if y is None else y, name)

    def inspect(self, x: np.ndarray, y: int, name: str) -> None:
        """Read image x (C, H, W) of class y (−1: none) and put it on the stage."""
        model, card = self.studio.model, self.studio.card
        if model is None or x.shape != model.spec.shape:    # another one was opened meanwhile
            return

        def work(progress: TaskProgress) -> Any:
            from arstudio.analysis.readings import read

            return model, card, read(model, x.astype(model.spec.dtype), y).trace(y), name

        self._reading.ask(work)

    @Slot(object)
    def _read(self, found: tuple) -> None:
        model, card, trace, name = found
        if self.studio.model is not model:
            return
        self.studio.pause()
        self.studio.stop_drawing()
        self.studio.show_trace(trace, card)
        self.shown.emit(name)

    @Slot(str)
    def _sorry(self, sentence: str) -> None:
        self.studio.message.emit("error", sentence)


class PicturesSection(QWidget):
    """Three ways to bring an image; the fourth is to drop one, which the panel passes on."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.pictures = Pictures(studio, self)
        self.dataset = QPushButton(self.tr("Dataset"))
        self.dataset.setToolTip(self.tr("A random test image of what the model learned from"))
        self.file = QPushButton(self.tr("Open…"))
        self.clip = QPushButton(self.tr("Paste"))
        row = QHBoxLayout()
        row.setSpacing(6)
        source = self.pictures
        for button, slot in (
            (self.dataset, source.from_dataset), (self.file, source.choose_file), (self.clip, source.paste),
        ):
            button.clicked.connect(slot)
            row.addWidget(button)
        self.words = label("", "small", wrap=True)
        self.hint = self.tr(
            "Or drop a picture or photograph on this panel. It is read in the model's order, as if it had just been drawn."
        )
        self.words.setText(self.hint)
        self.pictures.shown.connect(self._shown)
        studio.trace_changed.connect(self._another)
        self._studio, self._trace = studio, None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(self.words)

    @Slot(str)
    def _shown(self, name: str) -> None:
        self._trace = self._studio.trace
        self.words.setText(self.tr("Inspecting: {0}.").format(name))

    @Slot()
    def _another(self) -> None:
        if self._trace is not None and self._studio.trace is not self._trace:
            self._trace = None
            self.words.setText(self.hint)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Pictures are welcome."""
        mime = event.mimeData()
        path = mime.urls()[0].toLocalFile() if mime.hasUrls() and mime.urls() else ""
        if mime.hasImage() or path.lower().endswith(SUFFIXES):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Inspect what was dropped."""
        mime = event.mimeData()
        if mime.hasUrls() and mime.urls() and mime.urls()[0].isLocalFile():
            self.pictures.source.read_file(Path(mime.urls()[0].toLocalFile()))
        elif mime.hasImage():
            self.pictures.source.take_image(QImage(mime.imageData()), self.tr("The picture that was dropped"))
        event.acceptProposedAction()
