"""The row above the curves: data, model, size and time; the buttons that start, hold and stop a training."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from arstudio.data import SOURCES, DatasetError, DataView, bundled
from arstudio.gui.widgets.controls import Choice, Field, icon_button
from arstudio.gui.wording import duration
from arstudio.models.modelfile import TITLES
from arstudio.training.recipes import RECIPE_NAMES, SIZES, Recipe, recipe, views_offered

CUSTOM = "custom"
FOLDER, FILE = "folder", "file"


class TrainChoices(QWidget):
    """`changed` when any choice did; `offered(path or name)` when images are to be looked at before they are chosen, `looked`
    with the view that is chosen when they are to be looked at again. The buttons are the panel's to connect."""

    changed = Signal()
    offered = Signal(str)
    looked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.data = Choice()
        self.model = Choice()
        self.size = Choice()
        self.recipe = Choice()
        self.minutes = QDoubleSpinBox(decimals=2, minimum=0.02, maximum=10_000, value=2)
        self.start = QPushButton(self.tr("Start"))
        self.pause = QPushButton(self.tr("Pause"))
        self.stop = QPushButton(self.tr("Stop"))
        self.resume = QPushButton(self.tr("Resume"))
        self.look = icon_button("eye", self.tr("Look at these images as the model will get them"), kind="quiet")
        self._last_data, self._base, self._epochs = "", RECIPE_NAMES[0], 0.0
        self._compact: bool | None = None
        self._fill()
        self._explain()
        for box in (self.data, self.model, self.size, self.recipe):
            box.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        for box, letters in ((self.data, 15), (self.model, 12), (self.recipe, 10)):    # names of folders may be long
            box.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(letters)
            box.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
            box.view().setMinimumWidth(260)
        self.minutes.setFixedSize(74, self.recipe.sizeHint().height())
        self.minutes.hide()
        first, second, buttons = (_row() for _ in range(3))
        self._time = Field(self.tr("Recipe"), self.recipe, self.minutes)
        self._sources = Field(self.tr("Data"), self.data, self.look), Field(self.tr("Model"), self.model)
        for field in self._sources:
            first.layout().addWidget(field)
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
        self.look.clicked.connect(self._look)
        self.model.currentIndexChanged.connect(self._model_chosen)
        self.size.currentIndexChanged.connect(self._size_chosen)
        self.recipe.currentIndexChanged.connect(self._recipe_chosen)
        self.minutes.valueChanged.connect(self._minutes_changed)

    def _fill(self) -> None:
        try:
            infos = bundled()
        except DatasetError:
            infos = []
        for info in infos:
            for levels, side in views_offered(info):
                view = DataView(dataset=info.name, levels=None if levels == info.spec.levels else levels, size=side)
                name = f"{info.name} {side}×{side}" if side else info.name
                self.data.addItem(self._view_text(name, levels), view)
        self.data.insertSeparator(self.data.count())
        self.data.addItem(self.tr("Folder of images…"), FOLDER)
        self.data.addItem(self.tr("File of images…"), FILE)
        self.data.insertSeparator(self.data.count())
        for name, source in SOURCES.items():
            self.data.addItem(self.tr("{0}…").format(source.info.title), name)
        self._last_data = self.data.itemText(0)
        for name, title in TITLES.items():
            self.model.addItem(title, name)
        self.model.setCurrentIndex(max(0, self.model.findData("gated_pixelcnn")))
        sizes = {"small": self.tr("small"), "medium": self.tr("medium"), "paper": self.tr("paper")}
        for key in SIZES:
            self.size.addItem(sizes[key], key)
        self._recipe_names = {"quick": self.tr("quick"), "good": self.tr("good"), "paper": self.tr("paper")}
        for key in RECIPE_NAMES:
            self.recipe.addItem(self._recipe_names[key], key)
        self.recipe.addItem(self.tr("custom"), CUSTOM)
        self._show_recipes()

    def _view_text(self, name: str, levels: int) -> str:
        return self.tr("{0} · {1} levels").format(name, levels) if levels else self.tr("{0} · continuous").format(name)

    def _explain(self) -> None:
        self.data.setToolTip(self.tr("The images to learn from. Fewer levels are easier and faster."))
        self.model.setToolTip(self.tr("The network that turns the pixels so far into p(next pixel)."))
        self.size.setToolTip(self.tr("How wide and deep the network is. Larger learns more, slower; paper is as published."))
        self.recipe.setToolTip(self.tr(
            "Size, time and rates that are known to go together: quick shows what the model is good for, good is what a\n"
            "processor can do, paper is the published size for a GPU. The learning rate falls over the time."
        ))
        self.minutes.setToolTip(self.tr("Minutes of training"))
        self.minutes.setSuffix(self.tr(" min"))
        self.minutes.setAccessibleName(self.tr("Minutes of training"))
        self.start.setObjectName("primary")
        self.start.setToolTip(self.tr("Train this model. You can stop at any time and go on later."))
        self.pause.setToolTip(self.tr("Hold the training where it is"))
        self.stop.setToolTip(self.tr("End now and save: the run can be resumed"))
        self.resume.setToolTip(self.tr("Go on with the run shown below"))

    def view(self) -> DataView:
        """Which images, seen how."""
        found = self.data.currentData()
        return found if isinstance(found, DataView) else DataView(dataset="digits")    # an installation without data says so

    def model_name(self) -> str:
        """Registry name of the model."""
        return self.model.currentData()

    def size_name(self) -> str:
        """A name of SIZES."""
        return self.size.currentData()

    def base(self) -> Recipe:
        """The recipe chosen last; size and time may have been changed since."""
        return recipe(self._base, self.model_name(), self.view().dataset)

    def budget(self) -> tuple[float, float]:
        """Minutes and epochs to train, one of them 0."""
        if self.recipe.currentData() == CUSTOM:
            return (0.0, self._epochs) if self._epochs else (self.minutes.value(), 0.0)
        return self.base().minutes, self.base().epochs

    def choose_dataset(self, name: str, levels: int | None = None) -> None:
        """Choose a bundled dataset by name, in its first view or at `levels`."""
        for i in range(self.data.count()):
            found = self.data.itemData(i)
            wanted = "" if levels is None else self._view_text(name, levels)
            if isinstance(found, DataView) and found.dataset == name and (levels is None or self.data.itemText(i) == wanted):
                self.data.setCurrentIndex(i)
                self._data_chosen(i)
                return

    def choose_view(self, view: DataView, text: str) -> None:
        """Choose images of one's own, or others in a view of one's own; they join the list under a name."""
        places = [i for i in range(self.data.count()) if self.data.itemText(i) == text]
        at = places[0] if places else 0
        if places:
            self.data.setItemData(at, view)
        else:
            self.data.insertItem(0, text, view)
        self.data.setCurrentIndex(at)
        self._data_chosen(at)

    def choose_minutes(self, minutes: float) -> None:
        """Choose a time of one's own."""
        self._epochs = 0.0
        self.minutes.setValue(minutes)
        self.recipe.setCurrentIndex(self.recipe.findData(CUSTOM))

    def choose_all(self, view: DataView, text: str, model: str, minutes: float, epochs: float) -> None:
        """What another run was trained with; its size is kept, as its settings say more."""
        self.model.setCurrentIndex(max(0, self.model.findData(model)))
        self.choose_view(view, text)
        self.choose_minutes(max(minutes, self.minutes.minimum()))
        self._epochs = epochs
        self._show_caption()
        self.changed.emit()

    @Slot(int)
    def _data_chosen(self, index: int) -> None:
        wanted = self.data.itemData(index)
        if isinstance(wanted, DataView):
            self._last_data = self.data.itemText(index)
            self._show_recipes()
            self.changed.emit()
            return
        self.data.setCurrentIndex(max(0, self.data.findText(self._last_data)))
        if wanted in SOURCES:
            self.offered.emit(wanted)
        elif wanted is not None:
            self._ask(wanted)

    def _ask(self, what: str) -> None:
        dialog = QFileDialog(self, self.tr("Folder of images") if what == FOLDER else self.tr("File of images"))
        if what == FOLDER:
            dialog.setFileMode(QFileDialog.FileMode.Directory)
            dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        else:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
            dialog.setNameFilters([
                self.tr("Files of images (*.npz *.npy *idx3-ubyte* *.tar.gz *.tgz *.tar *.png *.gif *.bmp *.webp *.jpg)"),
                self.tr("All files (*)"),
            ])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.offered)
        dialog.open()

    @Slot()
    def _look(self) -> None:
        self.looked.emit(self.view())

    @Slot()
    def _model_chosen(self) -> None:
        self._show_recipes()
        self.changed.emit()

    @Slot()
    def _size_chosen(self) -> None:
        """A size of one's own keeps the time of the recipe."""
        if self.recipe.currentData() != CUSTOM:
            self._keep_time()
        self.changed.emit()

    def _keep_time(self) -> None:
        minutes, self._epochs = self.budget()
        for box in (self.minutes, self.recipe):
            box.blockSignals(True)
        self.minutes.setValue(minutes or self.minutes.value())
        self.recipe.setCurrentIndex(self.recipe.findData(CUSTOM))
        for box in (self.minutes, self.recipe):
            box.blockSignals(False)
        self._show_caption()

    @Slot()
    def _minutes_changed(self) -> None:
        self._epochs = 0.0
        self._show_caption()
        self.changed.emit()

    @Slot()
    def _recipe_chosen(self) -> None:
        if self.recipe.currentData() != CUSTOM:
            self._base = self.recipe.currentData()
        self._show_recipes()
        self._show_caption()
        self.changed.emit()

    def _show_recipes(self) -> None:
        """What the recipes are for this model and these images; the chosen one sets the size."""
        for i, name in enumerate(RECIPE_NAMES):
            found = recipe(name, self.model_name(), self.view().dataset)
            time = duration(60 * found.minutes) if found.minutes else self.tr("{0:.0f} epochs").format(found.epochs)
            self.recipe.setItemText(i, f"{self._recipe_names[name]} · {time}")
        if self.recipe.currentData() != CUSTOM:
            self.size.blockSignals(True)
            self.size.setCurrentIndex(SIZES.index(self.base().preset))
            self.size.blockSignals(False)

    def _show_caption(self) -> None:
        custom = self.recipe.currentData() == CUSTOM
        self.minutes.setVisible(custom and not self._epochs)
        text = self.tr("custom · {0:g} epochs").format(self._epochs) if self._epochs else self.tr("custom")
        self.recipe.setItemText(len(RECIPE_NAMES), text)
        self._time.caption.setVisible(not (self._compact and custom))

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
        spare = self.width() - sum(field.captioned for field in self._sources) - first.layout().spacing()
        for field in self._sources:    # what is chosen says more than the caption
            field.caption.setVisible(spare >= 0)
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
