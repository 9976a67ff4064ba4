"""The docks around the stage: Library, Inspector, Timeline; where they stand at first, and where a person left them."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QEvent, QObject, QSettings, Qt, QTimer, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDockWidget, QMainWindow, QMenu, QSizePolicy, QStackedWidget, QWidget

LAYOUT_VERSION = 1
WIDE, NARROW = {"library": 224, "inspector": 300}, {"library": 214, "inspector": 256}    # in a roomy window, and in others
ROOMY = 1200
LOW = 140    # height of the dock below the stage, where its page can do with that


class Docks(QObject):
    """Three docks of a window. Inspector and Timeline are stacks with a page for each job, in the order of the tabs.

    What stands below the stage may need more height than it was given, for branches say. It takes it, and gives it back when
    it needs less again; `_given` is the height that a person or the window chose. A smaller window takes of the
    docks beside the stage, too, and a larger one gives it back: `_sides` are the widths chosen, `_chosen_in` the window's then.
    """

    def __init__(self, window: QMainWindow, library: QWidget, menu: QMenu) -> None:
        super().__init__(window)
        self.window = window
        self.side, self.bottom = QStackedWidget(), QStackedWidget()
        self.by_name: dict[str, QDockWidget] = {}
        self._given, self._sides, self._chosen_in, self._fitting = LOW, {}, 0, False
        self.held = False    # in a presentation the widths are others
        self._resized = QTimer(self, singleShot=True, interval=0)
        self._resized.timeout.connect(self._fit_sides)
        self._needs_changed = QTimer(self, singleShot=True, interval=0)    # when all layouts know of it
        self._needs_changed.timeout.connect(self._give_back)
        self._places = (
            ("library", self.tr("Library"), library, Qt.DockWidgetArea.LeftDockWidgetArea, 200),
            ("inspector", self.tr("Inspector"), self.side, Qt.DockWidgetArea.RightDockWidgetArea, 240),
            ("timeline", self.tr("Timeline"), self.bottom, Qt.DockWidgetArea.BottomDockWidgetArea, 0),
        )
        for name, title, widget, area, width in self._places:
            dock = QDockWidget(title, window)
            dock.setObjectName(name)
            dock.setWidget(widget)
            widget.setMinimumWidth(width)
            window.addDockWidget(area, dock)
            self.by_name[name] = dock
            menu.addAction(dock.toggleViewAction())
        for watched in (window, *self.by_name.values()):
            watched.installEventFilter(self)
        window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self.arrange()

    def add_page(self, index: int, side: QWidget, bottom: QWidget) -> None:
        """What stands beside and below the stage of a job."""
        self.side.insertWidget(index, side)
        self.bottom.insertWidget(index, bottom)

    def show_page(self, index: int, title: str) -> None:
        """Turn to the pages of a job; `title` heads the dock below the stage."""
        if index < self.side.count():
            self.side.setCurrentIndex(index)
            for i in range(self.bottom.count()):    # how high it has to be is the affair of the page in sight
                policy = QSizePolicy.Policy.Preferred if i == index else QSizePolicy.Policy.Ignored
                self.bottom.widget(i).setSizePolicy(QSizePolicy.Policy.Preferred, policy)
            self.bottom.setCurrentIndex(index)
        self.by_name["timeline"].setWindowTitle(title)

    @property
    def foot(self) -> QDockWidget | None:
        """What stands below the stage, None where it is hidden or elsewhere."""
        dock = self.by_name["timeline"]
        below = self.window.dockWidgetArea(dock) == Qt.DockWidgetArea.BottomDockWidgetArea
        return dock if below and dock.isVisible() and not dock.isFloating() else None

    def arrange(self) -> None:
        """Widths and heights that leave the stage most of the window."""
        self._sides = dict(WIDE if self.window.width() >= ROOMY else NARROW)
        self._chosen_in = self.window.width()
        self._fit_sides()
        self.give_way()

    @Slot()
    def _fit_sides(self) -> None:
        """The widths chosen, or in a window that is smaller than then and not roomy no more than at first there."""
        room = self.window.width() >= min(self._chosen_in, ROOMY)
        wanted = {self.by_name[name]: wide if room else min(wide, NARROW[name]) for name, wide in self._sides.items()}
        wanted = {dock: wide for dock, wide in wanted.items() if not dock.isHidden() and not dock.isFloating()}
        self._fitting = True
        self.window.resizeDocks(list(wanted), list(wanted.values()), Qt.Orientation.Horizontal)
        self._fitting = False

    def fit_screen(self) -> None:
        """A window no larger than its screen, before it is shown."""
        room, size = self.window.screen().availableSize(), self.window.size()
        if size.boundedTo(room) != size:
            self.window.resize(size.boundedTo(room))
            self.arrange()

    def give_way(self) -> None:
        """As low below the stage as the page there can be, where the stage needs the room."""
        self._given = LOW
        self.window.resizeDocks([self.by_name["timeline"]], [LOW], Qt.Orientation.Vertical)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """What stands below the stage has another height, or needs another; a person drags an edge; the window is resized."""
        dock = self.by_name["timeline"]
        if watched is not dock:
            if event.type() == QEvent.Type.Resize:
                self._side_resized(watched)
        elif event.type() == QEvent.Type.Resize and event.size().height() != event.oldSize().height():
            if dock.height() > dock.minimumSizeHint().height() and not dock.isFloating():
                self._given = dock.height()
        elif event.type() == QEvent.Type.LayoutRequest:
            self._needs_changed.start()
        return super().eventFilter(watched, event)

    def _side_resized(self, watched: QObject) -> None:
        if watched is self.window:
            if self.window.isVisible() and not self.held:
                self._resized.start()
        elif QGuiApplication.mouseButtons() & Qt.MouseButton.LeftButton and not (self._fitting or self._resized.isActive()):
            self._sides = {name: self.by_name[name].width() for name in WIDE}
            self._chosen_in = self.window.width()

    @Slot()
    def _give_back(self) -> None:
        dock = self.by_name["timeline"]
        if dock.height() > max(self._given, dock.minimumSizeHint().height()) and not dock.isFloating():
            self.window.resizeDocks([dock], [self._given], Qt.Orientation.Vertical)

    def reset(self) -> None:
        """All docks shown, where they were at first, and the focus where it is: a dock that moves would lose it."""
        focus = self.window.focusWidget()
        for name, _, _, area, _ in self._places:
            dock = self.by_name[name]
            dock.setFloating(False)
            self.window.addDockWidget(area, dock)
            dock.show()
        self.arrange()
        if focus is not None:
            focus.setFocus()

    def save(self) -> None:
        """Remember the window and its docks for next time."""
        settings = QSettings()
        settings.setValue("layout/version", LAYOUT_VERSION)
        settings.setValue("layout/geometry", self.window.saveGeometry())
        settings.setValue("layout/size", self.window.size())
        settings.setValue("layout/state", self.window.saveState(LAYOUT_VERSION))
        for name, wide in self._sides.items():
            settings.setValue(f"layout/{name}", wide)
        settings.setValue("layout/chosen_in", self._chosen_in)
        settings.setValue("layout/low", min(self._given, self.by_name["timeline"].height()))

    def restore(self) -> None:
        """As they were left; a window that would lie off every screen is brought back."""
        settings = QSettings()
        if settings.value("layout/version", 0, int) != LAYOUT_VERSION:
            return
        self.window.restoreGeometry(settings.value("layout/geometry", QByteArray()))
        self.window.restoreState(settings.value("layout/state", QByteArray()), LAYOUT_VERSION)
        self._chosen_in = settings.value("layout/chosen_in", self._chosen_in, int)
        self._sides = {name: settings.value(f"layout/{name}", wide, int) for name, wide in self._sides.items()}
        if low := settings.value("layout/low", 0, int):    # branches that took more are gone
            self.window.resizeDocks([self.by_name["timeline"]], [low], Qt.Orientation.Vertical)
        left = settings.value("layout/size", self.window.size())
        if self.window.width() < left.width() or self.window.height() < left.height():    # the screen is smaller than it was
            self.arrange()
        screens = [s.availableGeometry() for s in QGuiApplication.screens()]
        if not any(s.intersects(self.window.frameGeometry()) for s in screens):
            self.window.move(screens[0].topLeft())
