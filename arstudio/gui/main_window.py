"""The main window: menu, toolbar, stage with three jobs, docks around it, one status line, one place for messages."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSettings, Qt, QTimer, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QIcon, QUndoGroup
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QMessageBox,
    QStackedWidget,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui import actions, tasks, theme
from arstudio.gui.docks import Docks
from arstudio.gui.files import Files
from arstudio.gui.first_pixel import FirstPixel
from arstudio.gui.keyboard import Keyboard
from arstudio.gui.panels.generate import GeneratePanel
from arstudio.gui.panels.inspect import InspectPanel
from arstudio.gui.panels.library import LibraryPanel
from arstudio.gui.status_bar import StatusLine
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.gui.toolbar import Toolbar
from arstudio.gui.transport import Transport
from arstudio.gui.widgets.controls import label, retint
from arstudio.gui.widgets.notice import Notice
from arstudio.resources import resource

if TYPE_CHECKING:
    from arstudio.gui.presentation import Presentation
    from arstudio.gui.teacher import Teacher

FIRST_MODEL, FIRST_CLASS = "fashion-gated", 2    # pullovers: a class draws more recognisable things than "any"
JOBS = ("generate", "complete", "train")


class MainWindow(QMainWindow):
    """Everything a person sees. Complete and Train are made by `complete_start`, after the first paint."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.studio = studio
        self.setWindowTitle("AR Studio")
        self.setWindowIcon(QIcon(str(resource("icons", "arstudio.png"))))
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        self.resize(1280, 800)
        self.setMinimumSize(880, 600)
        self.ask_before_closing = True
        self.complete: Any = None
        self.train: Any = None
        self.files, self.transport = Files(self), Transport(self)
        self.actions_by_slot = actions.build(self)
        self.toolbar = Toolbar(studio, self.actions_by_slot)
        self.addToolBar(self.toolbar)
        self._make_menus()
        self._make_stage()
        self._make_docks()
        self.status_line = StatusLine(studio)
        self.setStatusBar(self.status_line)
        self.status_line.cancel_wanted.connect(self._cancel_work)
        studio.message.connect(self.notice.show_message)
        self.toolbar.redraw_wanted.connect(self._settings_wanted)
        self.generate_panel.wanted.connect(self.go)
        studio.tab_requested.connect(self.show_job)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._system_scheme_changed)
        self._keyboard = Keyboard(self)
        self._laid_out = QTimer(self, singleShot=True, interval=0)
        self._laid_out.timeout.connect(self._make_room)
        self.docks.restore()
        studio.trace_changed.connect(self._begin)

    def _make_menus(self) -> None:
        bar, made = self.menuBar(), {}
        bar.setNativeMenuBar(False)
        for spec in actions.ACTIONS:
            menu = made.get(spec.menu)
            if menu is None:
                menu = made[spec.menu] = bar.addMenu(self.tr("&" + spec.menu))
                menu.setToolTipsVisible(True)
            if spec.text:
                menu.addAction(self.actions_by_slot[spec.slot])
            else:
                menu.addSeparator()
        self.recent_menu = made["File"].addMenu(self.tr("Open &recent"))
        made["File"].insertMenu(made["File"].actions()[1], self.recent_menu)
        self.recent_menu.aboutToShow.connect(self.files.fill_recent)
        theme_menu = made["View"].addMenu(self.tr("T&heme"))
        made["View"].addSeparator()
        self.theme_actions = {}
        for name, text in (("auto", self.tr("As the system")), ("dark", self.tr("Dark")), ("light", self.tr("Light"))):
            action = theme_menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(theme.scheme() == name)
            action.triggered.connect(lambda _=False, name=name: self.choose_theme(name))
            self.theme_actions[name] = action
        self.view_menu, self.edit_menu = made["View"], made["Edit"]

    def _make_stage(self) -> None:
        self.tabs = QTabBar()
        self.tabs.setObjectName("jobs")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideNone)
        for text in (self.tr("Generate"), self.tr("Complete"), self.tr("Train")):
            self.tabs.addTab(text)
        self.tabs.setAccessibleName(self.tr("Job"))
        stage = QWidget()
        stage.setObjectName("stage")
        self.setCentralWidget(stage)    # filled afterwards: whatever gets a parent is styled again with all that it holds
        self.stack = QStackedWidget(stage)
        self.generate_panel = GeneratePanel(self.studio)
        self.stack.addWidget(self.generate_panel)
        self._waiting = [label(self.tr("Loading…"), "dim"), label(self.tr("Loading…"), "dim")]
        for widget in self._waiting:
            widget.setAlignment(Qt.AlignmentFlag.AlignCenter)
            self.stack.addWidget(widget)
        self.notice = Notice(self, stage, self.tabs, lambda: self.docks.foot)
        column = QVBoxLayout(stage)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        tab_row = QHBoxLayout()
        tab_row.setContentsMargins(24, 4, 24, 0)
        tab_row.addWidget(self.tabs)
        tab_row.addStretch(1)
        column.addLayout(tab_row)
        column.addWidget(self.stack, 1)
        self.tabs.currentChanged.connect(self._job_changed)
        self.tabs.tabBarClicked.connect(self.notice.hide)    # who turns to something else has read it
        for job in JOBS:
            self.actions_by_slot[f"show_{job}"].triggered.connect(self.notice.hide)

    def _make_docks(self) -> None:
        self.library = LibraryPanel(self.studio)
        self.library.dataset_chosen.connect(self._train_on)
        self.inspector = InspectPanel(self.studio, self.generate_panel)
        self.docks = Docks(self, self.library, self.view_menu)
        self.docks.add_page(0, self.inspector, self.generate_panel.bottom)

    def complete_start(self) -> None:
        """After the first paint: list resources (which loads NumPy), load torch in the background, make the other panels."""
        actions.retint(self.actions_by_slot)    # menus: not seen before they are opened
        try:
            self.library.fill()
            self.library.fill_datasets()
        except (OSError, ValueError) as error:
            self.studio.message.emit("error", str(error))
        self.toolbar.list_models(self.library.cards, self.actions_by_slot["open_model_file"])
        self._torch = Task(_import_torch, "Loading the drawing engine")
        self._torch.done.connect(self._torch_ready)
        self._torch.failed.connect(self._torch_failed)
        self._torch.start()
        self.status_line.show_work(self.tr("Loading the drawing engine"), None)
        QTimer.singleShot(0, self.make_panels)

    @Slot(object)
    def _torch_ready(self, device: str) -> None:
        self.status_line.device.setText(device)
        self.studio.history.load()
        self.status_line.show_work("", None)
        names = [card.name for card in self.library.cards]
        if self.studio.model is None and not self.studio.loading and names and QSettings().value("autostart", "true") == "true":
            if FIRST_MODEL in names:
                self.studio.set(class_index=FIRST_CLASS)
            FirstPixel(self.studio)
            self.studio.open_model(FIRST_MODEL if FIRST_MODEL in names else names[0])
        elif not names:
            self.studio.model_changed.emit()

    @Slot(str, str)
    def _torch_failed(self, sentence: str, _trace: str) -> None:
        self.generate_panel.empty.show_state(
            self.tr("torch cannot be loaded"), self.tr("{0}. Reinstall it with: python -m pip install torch").format(sentence)
        )
        self.status_line.show_work("", None)

    @Slot()
    def _begin(self) -> None:
        """There is a first picture: whoever went nowhere yet has the keyboard there, where arrows step and Space plays."""
        self.studio.trace_changed.disconnect(self._begin)
        nowhere = (None, self.tabs, self.toolbar.model)    # where Qt puts it
        if self.job == "generate" and self.focusWidget() in nowhere:
            self.focus_stage()

    def make_panels(self) -> None:
        """Complete and Train, made once, after the window is on screen."""
        if self.complete is not None:
            return
        from arstudio.gui.panels.complete import CompletePanel
        from arstudio.gui.panels.train import TrainPanel

        self.complete, self.train = CompletePanel(self.studio), TrainPanel(self.studio)
        for index, panel in ((1, self.complete), (2, self.train)):
            old = self.stack.widget(index)
            self.stack.removeWidget(old)
            old.deleteLater()
            self.stack.insertWidget(index, panel)
            self.docks.add_page(index, panel.side, panel.bottom)
        self.undo_group = QUndoGroup(self)
        self.undo_group.addStack(self.complete.undo_stack)
        undo, redo = self.undo_group.createUndoAction(self), self.undo_group.createRedoAction(self)
        undo.setShortcuts(["Ctrl+Z"])
        redo.setShortcuts(["Ctrl+Shift+Z", "Ctrl+Y"])
        undo.setIcon(theme.icon("undo"))
        redo.setIcon(theme.icon("redo"))
        self.edit_menu.insertActions(self.edit_menu.actions()[0], [undo, redo])
        self.edit_menu.insertSeparator(self.edit_menu.actions()[2])
        self.library.show_runs()
        self._keyboard.guard(self)
        self._order_stops()
        self.generate_panel.grown.connect(self._order_stops)
        self._job_changed(self.tabs.currentIndex())

    @Slot()
    def _order_stops(self) -> None:
        docks = self.docks
        self._keyboard.order((
            self.toolbar, self.library, self.tabs, self.notice, self.stack, docks.bottom, docks.side, self.status_line,
        ))
        self.library.order_stops()

    @property
    def job(self) -> str:
        """generate, complete or train."""
        return JOBS[self.tabs.currentIndex()]

    @Slot(str)
    def show_job(self, name: str) -> None:
        """Bring a job to the front."""
        self.tabs.setCurrentIndex(JOBS.index(name))

    @Slot(int)
    def _job_changed(self, index: int) -> None:
        goes = (self.stack.currentWidget(), self.docks.bottom, self.docks.side)    # out of sight
        leaves = any(part.isAncestorOf(self.focusWidget() or self) for part in goes)
        self.stack.setCurrentIndex(index)
        if leaves:    # else Qt gives the focus to whatever comes next, a menu of the toolbar
            self.focus_stage()
        self.transport.offer(JOBS[index] == "generate")
        self.tabs.updateGeometry()    # the chosen one is bold, so all of them are now as wide as they were not before
        titles = (self.tr("Timeline"), self.tr("Completions"), self.tr("Runs"))
        self.docks.show_page(index, titles[index])
        if self.complete is not None:    # strokes are undone where they can be seen
            self.undo_group.setActiveStack(self.complete.undo_stack if index == 1 else None)
        self.status_line.follow(likelihood=JOBS[index] == "generate")
        self._laid_out.start()

    def focus_stage(self) -> None:
        """Give the keyboard to what is in front."""
        panel = self.stack.currentWidget()
        getattr(panel, "begin_at", panel).setFocus()

    @Slot()
    def _make_room(self) -> None:
        """The buttons of Complete come before a dock below them that was made high elsewhere."""
        if self.job == "complete" and self.complete is not None and self.complete.cramped:
            self.docks.give_way()

    def show_generate(self) -> None:
        """Tab Generate."""
        self.show_job("generate")

    def show_complete(self) -> None:
        """Tab Complete."""
        self.show_job("complete")

    def show_train(self) -> None:
        """Tab Train."""
        self.show_job("train")

    @Slot(str)
    def _train_on(self, dataset: str) -> None:
        self.show_train()
        if self.train is not None:
            self.train.choose_dataset(dataset)

    def go(self) -> None:
        """Ctrl+Return: the main verb of the job in front."""
        if self.job == "complete" and self.complete is not None:
            self.complete.complete()
        elif self.job == "train" and self.train is not None:
            self.train.start()
        elif self.toolbar.locked or self.studio.trace is None:
            self.studio.generate()
        else:
            self.toolbar.new_seed()

    def cancel(self) -> None:
        """Esc: end a lesson whose card has the keyboard, or the presentation; else stop what runs and dismiss the message.
        Training is stopped only from its own tab."""
        teacher = vars(self).get("teacher")    # without making one
        if teacher is not None and teacher.card.isAncestorOf(self.focusWidget() or self):
            teacher.end()
            return
        if self.presentation.on:
            self.presentation.toggle()
            return
        if self.job == "complete" and self.complete is not None:
            self.complete.cancel()
        elif self.job == "train" and self.train is not None:
            self.train.stop()
        self.studio.stop_drawing()
        self.studio.pause()
        self.notice.hide()

    @Slot()
    def _cancel_work(self) -> None:
        """The Cancel button beside the progress: the shortest work that runs, training last."""
        if self.studio.drawing:
            self.studio.stop_drawing()
            self.studio.pause()
        elif self.complete is not None and self.complete.running:
            self.complete.cancel()
        elif self.train is not None and self.train.training:
            self.train.stop()

    @Slot()
    def _settings_wanted(self) -> None:
        """A class, seed or temperature was chosen: shown at once where images are being generated."""
        if self.job == "generate":
            self.studio.generate()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files are welcome."""
        urls = event.mimeData().urls()
        if urls and urls[0].isLocalFile():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self.files.open_path(Path(event.mimeData().urls()[0].toLocalFile()))

    def fit_image(self) -> None:
        """Undo zoom and pan."""
        self.generate_panel.sides.reset_view()
        if self.complete is not None:
            self.complete.canvas.reset_view()

    def full_screen(self) -> None:
        """In and out of full screen."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def reset_layout(self) -> None:
        """Docks where they were at first."""
        self.docks.reset()

    def command_palette(self) -> None:
        """Any action by name."""
        palette = actions.CommandPalette(self, self.actions_by_slot)
        palette.chosen.connect(self._run_action)
        palette.open()

    @Slot(str)
    def _run_action(self, slot: str) -> None:
        self.actions_by_slot[slot].trigger()

    def preferences(self) -> None:
        """Theme and start."""
        from arstudio.gui.dialogs import Preferences

        Preferences(self).open()

    def choose_theme(self, name: str) -> None:
        """auto, dark or light, at once and for next time."""
        theme.choose(name)
        self._retint()

    @Slot()
    def _system_scheme_changed(self) -> None:
        theme.apply()
        self._retint()

    def _retint(self) -> None:
        for name, action in self.theme_actions.items():
            action.setChecked(name == theme.scheme())
        actions.retint(self.actions_by_slot)
        retint(self)
        self.toolbar.retint()

    @cached_property
    def teacher(self) -> Teacher:
        """Who gives the tour and the lessons."""
        from arstudio.gui.teacher import Teacher

        return Teacher(self)

    def take_tour(self) -> None:
        """The tour, from its first step."""
        self.teacher.begin_named("tour")

    def show_lessons(self) -> None:
        """Choose a lesson."""
        from arstudio.gui.dialogs import LessonList

        chooser = LessonList(self)
        chooser.chosen.connect(self.teacher.begin_named)
        chooser.open()

    @cached_property
    def presentation(self) -> Presentation:
        """Presentation mode."""
        from arstudio.gui.presentation import Presentation

        return Presentation(self)

    def present(self) -> None:
        """In and out of presentation mode."""
        self.presentation.toggle()

    def about(self) -> None:
        """Version and licences."""
        from arstudio.gui.dialogs import about

        about(self)

    def about_model(self) -> None:
        """What is known of the model in use."""
        from arstudio.gui.dialogs import about_model

        if self.studio.card is None:
            self.studio.message.emit("info", self.tr("No model is open."))
        else:
            about_model(self, self.studio)

    def show_keys(self) -> None:
        """All shortcuts."""
        from arstudio.gui.dialogs import show_keys

        show_keys(self, self.actions_by_slot)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask while training runs; stop everything, wait, remember the layout. The one way out."""
        training = self.train is not None and self.train.training
        if training and self.ask_before_closing and not self._may_stop_training():
            event.ignore()
            return
        if (focus := QApplication.focusWidget()) is not None:
            focus.clearFocus()    # what is being typed, such as notes of a run, is taken while it can still be written
        self.docks.save()
        self.studio.pause()
        self.status_line.show_work(self.tr("Stopping"), None)
        tasks.shut_down()
        event.accept()

    def _may_stop_training(self) -> bool:
        box = QMessageBox(self)
        box.setWindowTitle(self.tr("Training is running"))
        box.setText(self.tr("Training is running. It can be stopped now and resumed later; nothing is lost."))
        stop = box.addButton(self.tr("Stop and close"), QMessageBox.ButtonRole.AcceptRole)
        box.addButton(self.tr("Keep training"), QMessageBox.ButtonRole.RejectRole)
        box.exec()
        return box.clickedButton() is stop


def _import_torch(progress: TaskProgress) -> str:
    """Import what drawing needs; the first import takes a second or two."""
    import torch

    import arstudio.models
    import arstudio.sampling
    _ = arstudio.models.MODELS, arstudio.sampling.Sampler
    if torch.cuda.is_available():
        return f"draws on CPU, trains on {torch.cuda.get_device_name(0)}"
    return "draws on CPU, trains on MPS" if torch.backends.mps.is_available() else "CPU"

