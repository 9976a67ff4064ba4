"""Export: one dialog for everything that leaves Generate, each kind with the few options it has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui import exporting
from arstudio.gui.widgets.controls import Field, Segmented, label

if TYPE_CHECKING:
    from arstudio.gui.files import Files

KINDS = ("png", "gif", "apng", "csv", "python")
MOVING = ("gif", "apng")
FILTERS = {"png": "PNG (*.png)", "gif": "GIF (*.gif)", "apng": "APNG (*.png)", "csv": "CSV (*.csv)", "python": "Python (*.py)"}


class ExportDialog(QDialog):
    """Save or copy the drawing that is shown. Files are made beside the window."""

    def __init__(self, window: QWidget, files: Files) -> None:
        super().__init__(window)
        self.files, self.studio = files, files.studio
        self.setWindowTitle(self.tr("Export"))
        self.setMinimumWidth(480)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.kind = Segmented((
            ("png", "PNG"), ("gif", "GIF"), ("apng", self.tr("Animated PNG")), ("csv", "CSV"), ("python", "Python"),
        ))
        self.kind.chosen.connect(self._show)
        self.images = Segmented((("one", self.tr("Large image")), ("all", self.tr("All images"))))
        self.images.chosen.connect(self._show)
        self.images.setFixedWidth(200)
        self.scale = self._number(1, 64, 8, self.tr("Size"), "×")
        self.fps = self._number(1, 50, 20, self.tr("Frames per second"))
        self.frames = self._number(2, 600, 90, self.tr("Frames"))
        self.loop = QCheckBox(self.tr("Play again and again"))
        self.loop.setChecked(True)
        self.code = QPlainTextEdit(readOnly=True, lineWrapMode=QPlainTextEdit.LineWrapMode.NoWrap)
        self.code.setAccessibleName(self.tr("Python that draws this image again"))
        self.code.setObjectName("code")
        self.code.setMinimumHeight(190)
        self.words = label("", "small", wrap=True)
        self.fields = {box: Field(box.accessibleName(), box) for box in (self.scale, self.fps, self.frames)}
        numbers = QHBoxLayout()
        numbers.setSpacing(8)
        for field in self.fields.values():
            numbers.addWidget(field)
        numbers.addStretch(1)
        self.copy = QPushButton(self.tr("Copy"))
        self.copy.clicked.connect(self.copy_it)
        self.save = QPushButton(self.tr("Save…"))
        self.save.setObjectName("primary")
        self.save.setDefault(True)
        self.save.clicked.connect(self.save_it)
        close = QPushButton(self.tr("Close"))
        close.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addWidget(self.copy)
        buttons.addStretch(1)
        buttons.addWidget(close)
        buttons.addWidget(self.save)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 20)
        column.setSpacing(16)
        column.addWidget(self.kind)
        column.addWidget(self.images)
        column.addLayout(numbers)
        column.addWidget(self.loop)
        column.addWidget(self.code, 1)
        column.addWidget(self.words)
        column.addLayout(buttons)
        self._show()

    def _number(self, least: int, most: int, value: int, name: str, suffix: str = "") -> QSpinBox:
        box = QSpinBox(minimum=least, maximum=most, value=value, suffix=suffix)
        box.setFixedWidth(46)
        box.setAccessibleName(name)
        box.valueChanged.connect(self._show)
        return box

    @Slot()
    def _show(self, _changed: object = None) -> None:
        """The options of the chosen kind, and in words what will be written."""
        kind = self.kind.key()
        for widget, shown in (
            (self.images, kind != "python" and self.studio.trace.count > 1),
            (self.fields[self.scale], kind in ("png", *MOVING)), (self.fields[self.fps], kind in MOVING),
            (self.fields[self.frames], kind in MOVING), (self.loop, kind in MOVING),
        ):
            widget.setVisible(shown)
        self.code.setVisible(kind == "python")
        self.copy.setVisible(kind not in MOVING)
        if kind == "python":
            self.code.setPlainText(exporting.snippet(self.studio))
        enough = kind != "python" or bool(self.code.toPlainText())
        self.copy.setEnabled(enough)
        self.save.setEnabled(enough)
        self.words.setText(self._words(kind))

    def _words(self, kind: str) -> str:
        spec, k = self.studio.trace.spec, self.scale.value()
        if kind == "png":
            size = self.tr("{0}×{1} pixels each").format(spec.width * k, spec.height * k)
            return self.tr("{0}. Model, seed and settings are inside: drop the picture here to draw it again.").format(size)
        if kind in MOVING:
            seconds = (self.frames.value() / self.fps.value()) + 2
            return self.tr("{0:.1f} seconds, the last frame held for two of them.").format(seconds)
        if kind == "csv":
            return self.tr("One row a site: step, channel, row, column, value, log p and entropy in nats, origin.")
        if not self.code.toPlainText():
            return self.tr("This image was not drawn here, so there is no way to draw it again.")
        return self.tr("Draws the same pixels through the package.")

    def make(self) -> Callable[[], bytes]:
        """A function that gives the bytes of the file and no longer looks at the window."""
        from arstudio.sampling.export import apng_bytes, csv_bytes, gif_bytes

        studio, kind, everything = self.studio, self.kind.key(), self.images.key() == "all"
        trace, index, info = studio.trace, None if everything else studio.focus, exporting.info(studio)
        moving = {"frames": self.frames.value(), "fps": self.fps.value(), "scale": self.scale.value(),
                  "loop": self.loop.isChecked()}
        if kind == "png":
            return partial(exporting.picture_bytes, trace, index, studio.position, info, self.scale.value())
        if kind == "gif":
            return partial(gif_bytes, trace, index, **moving)
        if kind == "apng":
            return partial(apng_bytes, trace, index, info=info, **moving)
        if kind == "csv":
            return partial(csv_bytes, trace, index)
        return self.code.toPlainText().encode

    @Slot()
    def save_it(self) -> None:
        """Ask where, then write beside the window."""
        kind = self.kind.key()
        suffix = {"apng": "png", "python": "py"}.get(kind, kind)
        path = self.files.ask(self.tr("Export"), f"arstudio-{self.studio.settings.seed}.{suffix}", FILTERS[kind])
        if path is not None:
            self.files.beside.write(path, self.make())
            self.accept()

    @Slot()
    def copy_it(self) -> None:
        """The picture, the table or the code on the clipboard."""
        kind, clipboard = self.kind.key(), QGuiApplication.clipboard()
        if kind == "png":
            clipboard.setImage(QImage.fromData(self.make()()))
        else:
            clipboard.setText(self.make()().decode())
        self.studio.message.emit("info", self.tr("It is on the clipboard."))
