"""How pictures come into the Complete panel: the New menu, the history in it, files, the clipboard and drops."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QObject, Slot
from PySide6.QtGui import QGuiApplication, QIcon, QImage, QPixmap
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from arstudio.gui.studio import Studio
from arstudio.gui.widgets.picture_source import PictureSource
from arstudio.gui.widgets.pictures import SUFFIXES, qimage_of

REMEMBERED = 24    # drawings of the history in the menu


class NewPictures(QObject):
    """Fills `menu`; `source.ready` and `source.offered` carry the pictures."""

    def __init__(self, studio: Studio, menu: QMenu, parent: QWidget) -> None:
        super().__init__(parent)
        self._studio, self._window = studio, parent
        self.source = PictureSource(studio, self)
        self.history = QMenu(self.tr("From the history"), menu)
        for text, tip, act in (
            (self.tr("From the dataset"), self.tr("A random test image the model has never seen"),
             self.source.take_from_dataset),
            (self.tr("From the drawing"), self.tr("What Generate shows now"), self.source.take_from_drawing),
            ("", "", None),
            (self.tr("Open file…"), self.tr("Any picture: you see how it is fitted before it is taken"), self.choose_file),
            (self.tr("Paste picture or screenshot"), self.tr("What is on the clipboard (Ctrl+V)"), self.paste),
        ):
            if act is None:
                menu.addMenu(self.history)
                menu.addSeparator()
                continue
            action = menu.addAction(text)
            action.setToolTip(tip)
            action.triggered.connect(act)
        self.history.aboutToShow.connect(self.fill_history)
        self.fill_history()

    @Slot()
    def fill_history(self) -> None:
        """The newest drawings the model could complete, each with its picture."""
        self.history.clear()
        card, count = self._studio.card, 0
        for item in self._studio.history[:REMEMBERED]:
            if card is not None and item.spec == card.spec:
                icon = QIcon(QPixmap.fromImage(qimage_of(item.image, card.spec, max(1, 32 // card.spec.height))))
                action = self.history.addAction(icon, item.label)
                action.triggered.connect(lambda _checked=False, item=item: self.source.take_from_history(item))
                count += 1
        if not count:
            self.history.addAction(self.tr("No drawings of this size yet")).setEnabled(False)

    def open_file(self, path: str | Path) -> None:
        """A picture file. Bad files change nothing and say why."""
        self.source.read_file(path)

    @Slot()
    def choose_file(self) -> None:
        """Ask for a file and open it."""
        kinds = self.tr("Pictures ({0})").format(" ".join(f"*{suffix}" for suffix in SUFFIXES))
        path, _ = QFileDialog.getOpenFileName(self._window, self.tr("Open picture"), "", kinds)
        if path:
            self.open_file(path)

    @Slot()
    def paste(self) -> None:
        """The clipboard's picture: a copied one, a screenshot, or a copied file."""
        if not self.accept(QGuiApplication.clipboard().mimeData()):
            words = self.tr("There is no picture on the clipboard: copy one, or take a screenshot, first.")
            self._studio.message.emit("info", words)

    def welcomes(self, data: QMimeData) -> bool:
        """True for picture files and pictures; other files are the window's."""
        files = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
        return Path(files[0]).suffix.lower() in SUFFIXES if files else data.hasImage()

    def accept(self, data: QMimeData | None) -> bool:
        """Take a picture from the clipboard (None when it is empty) or a drop; False if there is none."""
        if data is None:
            return False
        files = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
        image = data.imageData() if not files and data.hasImage() else None
        if files:
            self.open_file(files[0])
            if len(files) > 1:
                self._studio.message.emit("info", self.tr("{0} files, one canvas: {1} is opened.").format(
                    len(files), Path(files[0]).name
                ))
        elif isinstance(image, QImage) and not image.isNull():
            self.source.take_image(image, self.tr("The pasted picture"))
        else:
            return False
        return True
