"""The toolbar: which model, class, seed, temperature and guidance; transport; speed. Everything else lives in the panels."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QSlider,
    QToolBar,
    QToolButton,
    QWidget,
)

from arstudio.gui import theme
from arstudio.gui.playhead import FULL_SPEED
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.advanced import AdvancedButton
from arstudio.gui.widgets.controls import Choice, Field, icon_button, label, retint
from arstudio.models.modelfile import ModelCard

SPEEDS = (
    ("1 pixel/s", "pixel", 1.0), ("10 pixels/s", "pixel", 10.0), ("1 row/s", "row", 1.0), ("4 rows/s", "row", 4.0),
    ("10 rows/s", "row", 10.0), ("Full speed", "full", FULL_SPEED),
)
DEFAULT_SPEED = 4


class Toolbar(QToolBar):
    """Bound to the studio both ways. `redraw_wanted`: a setting changed that new images would show."""

    redraw_wanted = Signal()

    def __init__(self, studio: Studio, actions: dict[str, QAction]) -> None:
        super().__init__()
        self.studio = studio
        self.setObjectName("toolbar")
        self.setWindowTitle(self.tr("Toolbar"))
        self.setMovable(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self._quiet = False
        self._compact = self._tight = self.transport_only = False

        self.model = QToolButton(popupMode=QToolButton.ToolButtonPopupMode.InstantPopup)
        self.model.setObjectName("field")
        self.model.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.model.setAccessibleName(self.tr("Model"))
        self.model.setToolTip(self.tr("The model that draws"))
        self.model_menu = QMenu(self)
        self.model_menu.aboutToShow.connect(self._check_model)
        self.model.setMenu(self.model_menu)
        self.addWidget(self.model)

        self.classes = Choice()
        self.classes.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        self.classes.currentIndexChanged.connect(self._class_chosen)
        class_field = Field(self.tr("Class"), self.classes)
        class_field.setToolTip(self.tr("Draw from p(x | class), or from p(x) with “any”"))
        self.class_action = self.addWidget(class_field)

        self.seed = QLineEdit(str(studio.settings.seed))
        self.seed.setFixedWidth(84)
        self.seed.editingFinished.connect(self._seed_typed)
        self.copy = self.seed.addAction(theme.icon("copy", "dim"), QLineEdit.ActionPosition.TrailingPosition)
        self.copy.setToolTip(self.tr("Copy the seed"))
        self.copy.triggered.connect(self._copy_seed)
        self.dice = icon_button("dice", self.tr("Another seed (Ctrl+R)"), kind="quiet")
        self.dice.clicked.connect(self.new_seed)
        self.lock = icon_button("unlock", self.tr("Keep this seed when generating again"), checkable=True, kind="quiet")
        self.lock.toggled.connect(self._lock_toggled)
        seed_field = Field(self.tr("Seed"), self.seed, self.dice, self.lock)
        seed_field.setToolTip(self.tr("One seed, one result: every pixel owns one random number drawn from it"))
        self.addWidget(seed_field)

        self.temperature = QSlider(Qt.Orientation.Horizontal)
        self.temperature.setRange(0, 200)
        self.temperature.setValue(100)
        self.temperature.setFixedWidth(72)
        self.temperature.valueChanged.connect(self._temperature_moved)
        self.temperature.sliderReleased.connect(self._apply_temperature)
        self.degrees = label("1.00", "value")
        self.degrees.setFixedWidth(30)
        heat = Field(self.tr("Temperature"), self.temperature, self.degrees)
        heat.setToolTip(self.tr("Temperature: draw from p(x)^(1/T). Below 1 safer, above 1 wilder, 0 always the most probable"))
        self.addWidget(heat)

        self.guidance = QDoubleSpinBox(decimals=1, minimum=0, maximum=10, singleStep=0.5)
        self.guidance.setSpecialValueText(self.tr("off"))
        self.guidance.setKeyboardTracking(False)
        self.guidance.setFixedWidth(44)
        self.guidance.valueChanged.connect(self._guidance_chosen)
        self.guidance_field = Field(self.tr("Guidance"), self.guidance)
        self.guidance_action = self.addWidget(self.guidance_field)
        for field in (class_field, seed_field, heat, self.guidance_field):
            field.stack()

        self.advanced = AdvancedButton(studio)
        self.advanced.changed.connect(self.redraw_wanted)
        self.addWidget(self.advanced)

        self.space, self.words = QWidget(), label("", "dim")
        self.space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        row = QHBoxLayout(self.space)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.words)
        self.addWidget(self.space)

        self.transport: dict[str, QToolButton] = {}
        for slot, icon, tip in (
            ("to_start", "skip-start", self.tr("To the start (Home)")),
            ("previous_pixel", "step-back", self.tr("Back one pixel (Left)")),
            ("toggle", "play", self.tr("Play or pause (Space)")),
            ("next_pixel", "step-forward", self.tr("Forward one pixel (Right)")),
            ("to_end", "skip-end", self.tr("To the end (End)")),
        ):
            button = icon_button(icon, tip, kind="primary" if slot == "toggle" else "")
            button.clicked.connect(actions[slot].trigger)
            self.transport[slot] = button
            self.addWidget(button)
        self.speed = Choice()
        for text, _, _ in SPEEDS:
            self.speed.addItem(self.tr(text))
        self.speed.setCurrentIndex(DEFAULT_SPEED)
        self.speed.currentIndexChanged.connect(self._speed_chosen)
        self.speed.setAccessibleName(self.tr("Speed"))
        self.speed.setToolTip(self.tr("How fast the picture unfolds on the screen; drawing itself runs ahead"))
        self.addWidget(self.speed)
        self._tips = {control: control.toolTip() for control in (*self.transport.values(), self.speed)}
        self.setIconSize(QSize(18, 18))
        self.apply_speed()

        studio.model_changed.connect(self.refresh)
        studio.model_loading.connect(self._loading)
        studio.settings_changed.connect(self.refresh)
        studio.playing_changed.connect(self._playing)
        self.refresh()

    def list_models(self, cards: list[ModelCard], other: QAction) -> None:
        """Fill the model menu, grouped by dataset."""
        self.model_menu.clear()
        last = None
        for card in cards:
            if last is not None and card.facts.dataset != last:
                self.model_menu.addSeparator()
            last = card.facts.dataset
            action = self.model_menu.addAction(f"{card.title}\t{card.kind}")    # a tab: the second column of a menu
            action.setCheckable(True)
            action.setData(card.name)
            action.triggered.connect(lambda _=False, name=card.name: self.studio.open_model(name))
        self.model_menu.addSeparator()
        self.model_menu.addAction(other)

    @Slot()
    def _check_model(self) -> None:
        """The model in use has a tick in the menu."""
        card = self.studio.card
        for action in self.model_menu.actions():
            action.setChecked(card is not None and bool(card.path) and action.data() == card.name)

    @Slot(str)
    def _loading(self, title: str) -> None:
        self.model.setText(self.tr("Opening {0}…").format(title))

    @Slot()
    def refresh(self) -> None:
        """Show the studio's settings."""
        self._quiet = True
        card, settings = self.studio.card, self.studio.settings
        self.model.setText(self.tr("Choose a model"))
        if card is not None:
            self.model.setText(card.title if self._compact else f"{card.title}  ·  {card.kind}")
            self.model.setToolTip(self.tr("The model that draws: {0}, {1}").format(card.title, card.kind))
        names = [self.tr("any")] + [card.class_name(i) for i in range(card.num_classes)] if card else [self.tr("any")]
        if [self.classes.itemText(i) for i in range(self.classes.count())] != names:
            self.classes.clear()
            self.classes.addItems(names)
        self.classes.setCurrentIndex(settings.class_index + 1)
        self.class_action.setVisible(bool(card and card.num_classes) and not self.transport_only)
        if not self.seed.hasFocus():
            self.seed.setText(str(settings.seed))
        self.temperature.setValue(round(settings.temperature * 100))
        self.degrees.setText(f"{settings.temperature:.2f}")
        self._show_guidance()
        self._quiet = False

    @Slot()
    def _playing(self) -> None:
        button = self.transport["toggle"]
        button.setProperty("iconName", "pause" if self.studio.playing else "play")
        button.setIcon(theme.icon(button.property("iconName"), "on_accent"))

    def offer_transport(self, drawing_in_sight: bool) -> None:
        """Enable the transport, or say where it is of use."""
        where = "" if drawing_in_sight else "\n" + self.tr("Moves through the drawing in Generate, which is not in sight.")
        for control, tip in self._tips.items():
            control.setEnabled(drawing_in_sight)
            control.setToolTip(tip + where)

    @Slot(int)
    def _class_chosen(self, index: int) -> None:
        if not self._quiet and index >= 0:
            self.studio.set(class_index=index - 1)
            self.redraw_wanted.emit()

    @Slot()
    def _seed_typed(self) -> None:
        text = self.seed.text().strip()
        try:
            seed = int(text)
            if not 0 <= seed < 2**63:
                raise ValueError
        except ValueError:
            self.studio.message.emit("error", self.tr("A seed is a whole number from 0 up, not “{0}”.").format(text))
            self.seed.setText(str(self.studio.settings.seed))
            return
        if seed != self.studio.settings.seed:
            self.studio.set(seed=seed)
            self.redraw_wanted.emit()

    @Slot()
    def new_seed(self) -> None:
        """The next seed, drawn at once."""
        self.studio.set(seed=(self.studio.settings.seed * 48271 + 11) % 99_991)
        self.redraw_wanted.emit()

    @Slot()
    def _copy_seed(self) -> None:
        QGuiApplication.clipboard().setText(str(self.studio.settings.seed))
        self.studio.message.emit("info", self.tr("The seed {0} is on the clipboard.").format(self.studio.settings.seed))

    @property
    def locked(self) -> bool:
        """True while generating again keeps the seed."""
        return self.lock.isChecked()

    @Slot(bool)
    def _lock_toggled(self, on: bool) -> None:
        self.lock.setProperty("iconName", "lock" if on else "unlock")
        retint(self)

    @Slot(int)
    def _temperature_moved(self, value: int) -> None:
        self.degrees.setText(f"{value / 100:.2f}")
        if not self._quiet and not self.temperature.isSliderDown():
            self._apply_temperature()

    @Slot()
    def _apply_temperature(self) -> None:
        value = self.temperature.value() / 100
        if value != self.studio.settings.temperature:
            self.studio.set(temperature=value)
            self.redraw_wanted.emit()

    def _show_guidance(self) -> None:
        """Guidance, and why it cannot be used where it cannot."""
        studio, card = self.studio, self.studio.card
        room = not self.transport_only and (not self._tight or studio.settings.guidance > 0)
        self.guidance_action.setVisible(bool(card and card.num_classes) and room)
        self.guidance.setEnabled(studio.can_guide)
        self.guidance.setValue(studio.settings.guidance if studio.can_guide else 0.0)
        what = self.tr(
            "Guidance w: draw from p(x | class)^(1+w) / p(x)^w, pixel by pixel. What is typical of the class becomes\n"
            "stronger, the images less varied; 0 is off (Ho & Salimans 2022). Figures stay those of p(x | class)."
        )
        if card is not None and card.num_classes and not studio.can_guide:
            why = self.tr("Choose a class to use it.")
            if studio.chosen_class() is not None:
                why = self.tr("This model was trained without class dropout, so it does not know p(x).")
            what = f"{what}\n{why}"
        self.guidance_field.setToolTip(what)

    @Slot(float)
    def _guidance_chosen(self, value: float) -> None:
        if not self._quiet and value != self.studio.settings.guidance:
            self.studio.set(guidance=value)
            self.redraw_wanted.emit()

    @Slot(int)
    def _speed_chosen(self, _index: int) -> None:
        self.apply_speed()

    def apply_speed(self) -> None:
        """Hand the chosen speed to the playhead."""
        _, unit, value = SPEEDS[self.speed.currentIndex()]
        self.studio.set_speed(value, rows=unit == "row")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """On a narrow window the model's data is in its tooltip; half a screen leaves out guidance that is off and the
        button that copies the seed, so that the speed has its place."""
        super().resizeEvent(event)
        compact, tight = self.width() < 1220, self.width() < 1000
        if (compact, tight) != (self._compact, self._tight):
            self._compact, self._tight = compact, tight
            self.temperature.setFixedWidth(46 if compact else 72)
            self.seed.setFixedWidth(58 if tight else 84)
            self.copy.setVisible(not tight)
            self.refresh()

    def show_only_transport(self, only: bool) -> None:
        """Hide what sets and all that chooses but the model, or show it again."""
        kept = {self.model, *self.transport.values(), self.speed, self.space}
        self.transport_only = only
        for action in self.actions():
            if self.widgetForAction(action) not in kept:
                action.setVisible(not only)
        self.refresh()

    def retint(self) -> None:
        """Icons in the palette in use."""
        retint(self)
        self.copy.setIcon(theme.icon("copy", "dim"))

