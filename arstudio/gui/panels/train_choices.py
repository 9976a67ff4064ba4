"""The row above the curves: data, model, size and time; the buttons that start, hold and stop a training."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from arstudio.data import DatasetError, bundled
from arstudio.gui.widgets.controls import Field
from arstudio.gui.wording import duration
from arstudio.models.modelfile import TITLES
from arstudio.training.recipes import RECIPES, SIZES, levels_offered

CUSTOM = "custom"


class TrainChoices(QWidget):
    """`changed` when any choice did. The buttons are the panel's to connect."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.data = QComboBox()
        self.model = QComboBox()
        self.size = QComboBox()
        self.recipe = QComboBox()
        self.minutes = QDoubleSpinBox(decimals=2, minimum=0.02, maximum=10_000, value=2)
        self.start = QPushButton(self.tr("Start"))
        self.pause = QPushButton(self.tr("Pause"))
        self.stop = QPushButton(self.tr("Stop"))
        self.resume = QPushButton(self.tr("Resume"))
        self._last_data = 0
        self._compact: bool | None = None
        self._fill()
        self._explain()
        for box in (self.data, self.model, self.size, self.recipe):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.minutes.setFixedSize(74, self.recipe.sizeHint().height())
        self.minutes.hide()
        first, second, buttons = (_row() for _ in range(3))
        self._time = Field(self.tr("Time"), self.recipe, self.minutes)
        first.layout().addWidget(Field(self.tr("Data"), self.data))
        first.layout().addWidget(Field(self.tr("Model"), self.model))
        second.layout().addWidget(Field(self.tr("Size"), self.size))
        second.layout().addWidget(self._time)
        for button in (self.resume, self.start, self.pause, self.stop):
            buttons.layout().addWidget(button)
        self._parts = (first, second, buttons)
        self._rows = (QHBoxLayout(), QHBoxLayout())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for row in self._rows:
            row.setSpacing(8)
            column.addLayout(row)
        self._arrange(True)
        self.data.activated.connect(self._data_chosen)
        self.model.currentIndexChanged.connect(self.changed)
        self.size.currentIndexChanged.connect(self.changed)
        self.recipe.currentIndexChanged.connect(self._recipe_chosen)
        self.minutes.valueChanged.connect(self.changed)

    def _fill(self) -> None:
        try:
            infos = bundled()
        except DatasetError:
            infos = []
        for info in infos:
            for levels in levels_offered(info):
                text = self._view_text(info.name, levels)
                view = None if levels == info.spec.levels else levels
                self.data.addItem(text, (info.name, view, False))
        self.data.insertSeparator(self.data.count())
        self.data.addItem(self.tr("Folder of images…"), None)
        for name, title in TITLES.items():
            self.model.addItem(title, name)
        self.model.setCurrentIndex(max(0, self.model.findData("gated_pixelcnn")))
        sizes = {"small": self.tr("small"), "medium": self.tr("medium"), "paper": self.tr("paper")}
        for key in SIZES:
            self.size.addItem(sizes[key], key)
        self.size.setCurrentIndex(SIZES.index("medium"))
        names = {"quick": self.tr("quick"), "good": self.tr("good"), "long": self.tr("long")}
        for key, minutes in RECIPES.items():
            self.recipe.addItem(f"{names[key]} · {duration(60 * minutes)}", key)
        self.recipe.addItem(self.tr("custom"), CUSTOM)

    def _view_text(self, name: str, levels: int) -> str:
        return self.tr("{0} · {1} levels").format(name, levels) if levels else self.tr("{0} · continuous").format(name)

    def _explain(self) -> None:
        self.data.setToolTip(self.tr("The images to learn from. Fewer levels are easier and faster."))
        self.model.setToolTip(self.tr("The network that turns the pixels so far into p(next pixel)."))
        self.size.setToolTip(self.tr("How wide and deep the network is. Larger learns more, slower; paper is as published."))
        self.recipe.setToolTip(self.tr("How long to train. The learning rate falls over this time."))
        self.minutes.setToolTip(self.tr("Minutes of training"))
        self.minutes.setSuffix(self.tr(" min"))
        self.minutes.setAccessibleName(self.tr("Minutes of training"))
        self.start.setObjectName("primary")
        self.start.setToolTip(self.tr("Train this model. You can stop at any time and go on later."))
        self.pause.setToolTip(self.tr("Hold the training where it is"))
        self.stop.setToolTip(self.tr("End now and save: the run can be resumed"))
        self.resume.setToolTip(self.tr("Go on with the run shown below"))

    # -- what is chosen -------------------------------------------------------------------------------------

    def dataset(self) -> tuple[str, int | None, bool]:
        """Name or path, levels (None: native), and whether it is a folder."""
        return self.data.currentData()

    def model_name(self) -> str:
        """Registry name of the model."""
        return self.model.currentData()

    def size_name(self) -> str:
        """A name of SIZES."""
        return self.size.currentData()

    def budget(self) -> float:
        """Minutes to train."""
        key = self.recipe.currentData()
        return self.minutes.value() if key == CUSTOM else RECIPES[key]

    def choose_dataset(self, name: str, levels: int | None = None) -> None:
        """Choose a bundled dataset by name, in its first view or at `levels`."""
        for i in range(self.data.count()):
            found = self.data.itemData(i)
            wanted = "" if levels is None else self._view_text(name, levels)
            if found and found[0] == name and (levels is None or self.data.itemText(i) == wanted):
                self.data.setCurrentIndex(i)
                self._data_chosen(i)
                return

    def choose_folder(self, path: str) -> None:
        """Choose a folder of pictures; it joins the list."""
        at = self.data.count() - 2
        self.data.insertItem(at, self.tr("folder {0}").format(Path(path).name), (str(path), None, True))
        self.data.setCurrentIndex(at)
        self._data_chosen(at)

    def choose_minutes(self, minutes: float) -> None:
        """Choose a time of one's own."""
        self.minutes.setValue(minutes)
        self.recipe.setCurrentIndex(self.recipe.findData(CUSTOM))

    # -- reactions ------------------------------------------------------------------------------------------

    @Slot(int)
    def _data_chosen(self, index: int) -> None:
        if self.data.itemData(index) is not None:
            self._last_data = index
            self.changed.emit()
            return
        self.data.setCurrentIndex(self._last_data)
        dialog = QFileDialog(self, self.tr("Folder of images"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.choose_folder)
        dialog.open()

    @Slot()
    def _recipe_chosen(self) -> None:
        self.minutes.setVisible(self.recipe.currentData() == CUSTOM)
        self._show_caption()
        self.changed.emit()

    def _show_caption(self) -> None:
        self._time.caption.setVisible(not (self._compact and self.recipe.currentData() == CUSTOM))

    def set_state(self, *, training: bool, paused: bool, stopping: bool, resumable: bool) -> None:
        """Which buttons are there, and whether choices can be changed."""
        for part in self._parts[:2]:
            part.setEnabled(not training)
        self.start.setVisible(not training)
        self.resume.setVisible(not training and resumable)
        self.pause.setVisible(training)
        self.stop.setVisible(training)
        self.pause.setText(self.tr("Continue") if paused else self.tr("Pause"))
        self.pause.setEnabled(not stopping)
        self.stop.setEnabled(not stopping)

    def resizeEvent(self, event: object) -> None:
        """One row or two."""
        first, second, _ = self._parts
        buttons = max(
            self.resume.sizeHint().width() + self.start.sizeHint().width(),
            self.pause.sizeHint().width() + self.stop.sizeHint().width(),
        )
        needed = first.sizeHint().width() + second.sizeHint().width() + buttons + 40
        self._arrange(self.width() < needed)

    def minimumSizeHint(self) -> QSize:
        """As narrow as two rows allow, however it is arranged now."""
        first, second, buttons = (part.minimumSizeHint() for part in self._parts)
        wide = max(first.width(), second.width() + 8 + buttons.width())
        return QSize(wide, super().minimumSizeHint().height())

    def _arrange(self, compact: bool) -> None:
        if compact == self._compact:
            return
        self._compact = compact
        self._show_caption()
        for row in self._rows:
            while row.count():
                row.takeAt(0)
        first, second, buttons = self._parts
        upper, lower = self._rows
        upper.addWidget(first)
        (lower if compact else upper).addWidget(second)
        if compact:
            upper.addStretch(1)
        (lower if compact else upper).addStretch(1)
        (lower if compact else upper).addWidget(buttons)
        lower.setContentsMargins(0, 8 if compact else 0, 0, 0)


def _row() -> QWidget:
    widget = QWidget()
    row = QHBoxLayout(widget)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    return widget
