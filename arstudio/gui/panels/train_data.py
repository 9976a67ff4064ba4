"""Images before they are chosen: read or fetched beside the window, and shown exactly as the model will get them.

Reading and fetching can be stopped and gone on with. Changing levels, grey or binarisation reads nothing again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from arstudio.data import SOURCES, DataView, ImageDataset, Shelf
from arstudio.data.downloads import begun, missing
from arstudio.data.idx import idx_files
from arstudio.data.mapped import cache_root
from arstudio.gui.tasks import Latest, TaskProgress
from arstudio.gui.widgets.controls import Choice, Elided, EmptyState, Field, label, section
from arstudio.gui.widgets.picture_grid import FittingGrid
from arstudio.gui.widgets.pictures import SUFFIXES
from arstudio.gui.widgets.thin_bar import ThinBar
from arstudio.gui.wording import size

SHOWN = 30              # images of the preview
SETTLE = 350            # ms after the last key before a folder is read again
FOLDER_VIEW = {"size": 28, "levels": 16}
FETCHED_LEVELS = {"mnist-70k": 2, "kmnist": 2, "fashion-70k": 8}


class DataPage(QWidget):
    """`open_path`, `open_source` or `open_view`; then `taken(DataView, ImageDataset, name)`, or `left()`."""

    taken = Signal(object, object, str)
    left = Signal()

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self.shelf = shelf
        self.data: ImageDataset | None = None
        self._view = DataView(dataset="")
        self._folder = False    # pictures of any size, which may have to be cropped
        self._reader = Latest(self, "read images")
        self._settle = QTimer(self, interval=SETTLE, singleShot=True)
        self.title = Elided("title")
        self.side = QSpinBox(minimum=0, maximum=512)
        self.side.setSpecialValueText(self.tr("as is"))
        self.cell = QSpinBox(minimum=1, maximum=512, value=16)
        self.levels = Choice()
        self.binarise = Choice()
        self.grey = QToolButton(text=self.tr("Grey"), checkable=True)
        self.crop = Choice()
        self.grid = FittingGrid(self.tr("Images as the model will get them"))
        self.count = label("", "value", wrap=True)
        self.notes = label("", "small", wrap=True)
        self.names = QPushButton(self.tr("Files left out…"))
        self.use = QPushButton(self.tr("Use these images"))
        self.drop = QPushButton(self.tr("Cancel"))
        self.state = EmptyState("", "")
        self.bar = ThinBar()
        self.doing = label("", "dim")
        self._build()
        self._explain()
        self._reader.reported.connect(self._reported)
        self._reader.done.connect(self._show)
        self._reader.failed.connect(self._failed)
        self._settle.timeout.connect(self._read)
        for box in (self.side, self.cell):
            box.valueChanged.connect(self._settle.start)
        self.levels.currentIndexChanged.connect(self._changed)
        self.binarise.currentIndexChanged.connect(self._changed)
        self.crop.currentIndexChanged.connect(self._changed)
        self.grey.toggled.connect(self._changed)
        self.state.acted.connect(self._read)
        self.use.clicked.connect(self.accept)
        self.drop.clicked.connect(self.leave)
        self.names.clicked.connect(self._show_names)

    def _build(self) -> None:
        self.levels.addItem(self.tr("as is"), None)
        for number in (2, 4, 8, 16, 32, 64, 128, 256):
            self.levels.addItem(str(number), number)
        self.levels.addItem(self.tr("continuous"), 0)
        self.binarise.addItem(self.tr("drawn by brightness"), "static")
        self.binarise.addItem(self.tr("cut at half"), "threshold")
        for crop, words in (
            ("middle", self.tr("middle")), ("left", self.tr("left")), ("right", self.tr("right")), ("top", self.tr("top")),
            ("bottom", self.tr("bottom")),
        ):
            self.crop.addItem(words, crop)
        self.use.setObjectName("primary")
        self.names.setObjectName("link")
        self._fields = {
            "cell": Field(self.tr("Cell"), self.cell), "side": Field(self.tr("Side"), self.side),
            "levels": Field(self.tr("Levels"), self.levels), "binarise": Field(self.tr("2 levels"), self.binarise),
            "crop": Field(self.tr("Part kept"), self.crop),
        }
        options, act, work = QHBoxLayout(), QHBoxLayout(), QVBoxLayout()
        more = QHBoxLayout()
        fields = self._fields
        fields["cell"].hide()
        first = fields["cell"], fields["side"], fields["levels"], self.grey
        for row, widgets in ((options, first), (more, (fields["crop"], fields["binarise"]))):
            row.setSpacing(8)
            for widget in widgets:
                row.addWidget(widget)
            row.addStretch(1)
        act.setSpacing(8)
        for button in (self.use, self.drop):
            act.addWidget(button)
        act.addStretch(1)
        act.addWidget(self.names)
        shown, working = QWidget(), QWidget()
        column = QVBoxLayout(shown)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(section(self.tr("As the model will get them")))
        column.addWidget(self.grid, 1)
        column.addWidget(self.count)
        column.addWidget(self.notes)
        working.setLayout(work)
        work.addStretch(2)
        for widget in (self.doing, self.bar):
            work.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        work.addStretch(3)
        self.bar.setFixedWidth(320)
        self.names.hide()
        self.stack = QStackedWidget()
        for page in (shown, working, self.state):
            self.stack.addWidget(page)
        self._shown, self._working = shown, working
        whole = QVBoxLayout(self)
        whole.setContentsMargins(24, 16, 24, 12)
        whole.setSpacing(10)
        whole.addWidget(self.title)
        whole.addLayout(options)
        whole.addLayout(more)
        whole.addWidget(self.stack, 1)
        whole.addLayout(act)

    def _explain(self) -> None:
        self.side.setToolTip(self.tr("Pixels a side: pictures are cropped and resized"))
        self.crop.setToolTip(self.tr("What is kept of pictures that are not square, to make them so"))
        self.side.setSuffix(self.tr(" px"))
        self.cell.setToolTip(self.tr("Side of one image in the sheet, in pixels"))
        self.cell.setSuffix(self.tr(" px"))
        self.levels.setToolTip(self.tr("Steps of brightness the model tells apart. Fewer are easier and faster."))
        self.binarise.setToolTip(self.tr(
            "How 2 levels come about: each pixel drawn once with its brightness as probability, or cut at half"
        ))
        self.grey.setToolTip(self.tr("Brightness instead of colours: a third of the numbers to learn"))
        self.names.setToolTip(self.tr("Files that could not be read as pictures"))

    def open_path(self, path: str | Path) -> None:
        """A folder or file of one's own."""
        path = Path(path)
        sheet = path.is_file() and path.suffix.lower() in SUFFIXES
        view = DataView(dataset=str(path), levels=16, cell=self.cell.value() if sheet else None)
        self.open_view(replace(view, **FOLDER_VIEW) if _of_pictures(path) else view)

    def open_source(self, name: str) -> None:
        """A well-known dataset, fetched after a click if it is not here."""
        self.open_view(DataView(dataset=name, levels=FETCHED_LEVELS.get(name, 8)))

    def open_view(self, view: DataView) -> None:
        """Any images as they are seen now."""
        self._view, self.data, self._folder = view, None, _of_pictures(Path(view.dataset))
        source = SOURCES.get(view.dataset)
        name = source.info.title if source else Path(view.dataset).name
        self.title.setText(self.tr("Images of {0}").format(name))
        controls = (self.side, self.cell, self.levels, self.binarise, self.grey, self.crop)
        for control in controls:
            control.blockSignals(True)
        self.side.setValue(view.size or 0)
        self.cell.setValue(view.cell or self.cell.value())
        self.levels.setCurrentIndex(max(0, self.levels.findData(view.levels)))
        self.binarise.setCurrentIndex(self.binarise.findData(view.binarise))
        self.grey.setChecked(view.grey)
        self.crop.setCurrentIndex(self.crop.findData(view.crop))
        for control in controls:
            control.blockSignals(False)
        self._fields["cell"].setVisible(view.cell is not None)
        self.grey.setVisible(source is None or source.info.spec.channels == 3)
        if source and missing(view.dataset):
            here = begun(view.dataset)
            self._offer(
                self.tr("{0} is fetched once").format(name),
                self.tr("{0:,} images, {1}, {2}, from {3}. They are kept in {4}.").format(
                    sum(source.info.splits.values()), size(source.bytes), source.info.licence,
                    source.mirrors[0].split("/")[2], cache_root()
                ),
                self.tr("Go on fetching, {0} are here").format(size(here)) if here else self.tr("Fetch"),
            )
        else:
            self._read()

    def view(self) -> DataView:
        """What the controls say."""
        return replace(
            self._view, size=self.side.value() or None, levels=self.levels.currentData(), grey=self.grey.isChecked(),
            binarise=self.binarise.currentData(), cell=self.cell.value() if self._view.cell is not None else None,
            crop=self.crop.currentData() if self._folder else "middle",
        )

    def name(self) -> str:
        """The images in a few words, for a list."""
        view, parts = self.view(), [Path(self._view.dataset).name]
        if self.data is not None:
            parts.append(str(self.data.spec).replace(" · ", ", "))
        return " · ".join(parts) + (self.tr(", cut at half") if view.levels == 2 and view.binarise == "threshold" else "")

    @property
    def busy(self) -> bool:
        """True while images are read or fetched."""
        return self._reader.busy

    @Slot()
    def _changed(self) -> None:
        if self.data is not None or self.busy:
            self._read()

    @Slot()
    def _read(self) -> None:
        view, shelf = self.view(), self.shelf

        def work(progress: TaskProgress) -> ImageDataset:
            return shelf.load(view, progress)

        self._settle.stop()
        self._show_options()
        self._reported(None, self.tr("Reading the images"))
        self._show_page(self._working)
        self._reader.ask(work)

    def _show_options(self) -> None:
        self._fields["binarise"].setVisible(self.levels.currentData() == 2)
        self._fields["crop"].setVisible(self._folder and self.side.value() > 0)

    @Slot(object, str)
    def _reported(self, fraction: float | None, text: str) -> None:
        self.bar.show_share(fraction)
        self.doing.setText(self.doing.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, 320))

    @Slot(object)
    def _show(self, data: ImageDataset) -> None:
        self.data, train = data, data.train.x
        some = np.linspace(0, len(train) - 1, min(SHOWN, len(train))).astype(int)
        self.grid.show_images(np.asarray(train[some]), data.spec, -1)
        counts = [len(data.splits[name]) for name in ("train", "validation", "test")]
        words = self.tr("{0:,} images of {1}: {2:,} to learn from, {3:,} to choose by, {4:,} to test on").format(
            sum(counts), data.spec, *counts
        )
        if data.classes:
            words += self.tr(" · {0} classes").format(len(data.classes))
        self.count.setText(words)
        self.notes.setText(" ".join(data.notes))
        self.notes.setVisible(bool(data.notes))
        self.grey.setVisible(data.info.spec.channels == 3)
        self._show_page(self._shown)

    @Slot(str)
    def _failed(self, sentence: str) -> None:
        self.data = None
        self._offer(self.tr("These images cannot be used so"), sentence.splitlines()[0], self.tr("Try again"))

    def _offer(self, headline: str, sentence: str, action: str) -> None:
        self._show_options()
        self.state.show_state(headline, sentence, action)
        self._show_page(self.state)

    def _show_page(self, page: QWidget) -> None:
        self.stack.setCurrentWidget(page)
        shown = page is self._shown
        self.use.setVisible(shown)
        self.names.setVisible(shown and bool(self.data.skipped))
        self.drop.setText(self.tr("Stop") if page is self._working else self.tr("Cancel"))

    @Slot()
    def accept(self) -> None:
        """Choose what is shown."""
        if self.data is not None and not self.busy:
            self.taken.emit(self.view(), self.data, self.name())

    @Slot()
    def leave(self) -> None:
        """Stop reading or fetching, and then go back to what was chosen before."""
        self._settle.stop()
        if not self.busy:
            self.left.emit()
            return
        self._reader.forget()
        here = begun(self._view.dataset) if self._view.dataset in SOURCES else 0
        kept = self.tr("{0} are here and are kept.").format(size(here)) if here else self.tr("Nothing was changed.")
        self._offer(self.tr("Stopped"), kept, self.tr("Go on"))

    @Slot()
    def _show_names(self) -> None:
        dialog = QDialog(self)
        dialog.setWindowTitle(self.tr("Files left out"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.resize(420, 320)
        text = QPlainTextEdit("\n".join(self.data.skipped), readOnly=True)
        text.setObjectName("code")
        text.setAccessibleName(self.tr("Names of the files left out"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(dialog.reject)
        column = QVBoxLayout(dialog)
        column.addWidget(QLabel(self.tr("{0:,} files could not be read as pictures.").format(len(self.data.skipped))))
        column.addWidget(text, 1)
        column.addWidget(buttons)
        dialog.open()


def _of_pictures(path: Path) -> bool:
    return path.name not in SOURCES and path.is_dir() and not idx_files(path)
