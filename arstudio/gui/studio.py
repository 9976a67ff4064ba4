"""The observable state of the window, apart from its widgets: model, settings, trace, branches, selection, history.

Drawing runs in a Task at full speed; what the screen shows is the playhead's `position`. Every view reads the same
trace, playhead and selection.

NumPy and torch are imported after the window is on screen: what the first paint needs imports neither at the top of
its file.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot

from arstudio.gui.compare import CompareLane, Comparison
from arstudio.gui.futures import Futures
from arstudio.gui.history import History, HistoryItem, same_model
from arstudio.gui.opening import Opened, Opening, Wish
from arstudio.gui.settings import Settings
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.models.modelfile import ModelCard, ModelFileError, find_model

if TYPE_CHECKING:

    from arstudio.models import AutoregressiveModel
    from arstudio.sampling import Branch, BranchTree, Recipe, Trace


SHORT = 0.25    # seconds of drawing before the status line speaks of it
WORDS = 100     # ms between looks at a task of which only words are shown


class Studio(Futures):
    """State and the few verbs that change it. Signals say that something changed; readers pull what they need."""

    model_changed = Signal()
    model_loading = Signal(str)
    settings_changed = Signal()
    selection_changed = Signal()
    hover_changed = Signal()
    comparison_changed = Signal()
    drawing_changed = Signal()
    history_changed = Signal()
    runs_changed = Signal()
    message = Signal(str, str)         # kind (info, error), sentence
    status = Signal(str, object)       # what runs, fraction or None; "" when idle
    tab_requested = Signal(str)        # generate, complete, train

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.card: ModelCard | None = None
        self.model: AutoregressiveModel | None = None
        self.settings = Settings()
        self.comparison: Comparison | None = None
        self.trace_card: ModelCard | None = None
        self.focus = 0                                 # image shown large
        self.selection: tuple[int, int, int] | None = None   # (channel, row, column), None: follow the playhead
        self.hover: tuple[int, int] | None = None
        self.hover_value: int | None = None
        self.history = History(self)
        self.history.changed.connect(self.history_changed)
        self.history.message.connect(self.message)
        self.autoplay = True
        self._opening = Opening(self)
        self._opening.begun.connect(self._model_asked)
        self._opening.opened.connect(self._model_opened)
        self._opening.failed.connect(self._model_failed)
        self._drawing: Task | None = None
        self._drawn_with = (self.card, self.settings)
        self._began = 0.0                              # when the drawing task was started

    def open_model(
        self, which: str | Path, *, draw: bool = True, recipe: Recipe | None = None, turn: bool = False
    ) -> None:
        """Load a bundled name, model file or run directory in the background; nothing is lost if that fails.
        `draw` False leaves what is shown on the stage; a recipe is drawn with its own settings; `turn` to Generate once it is
        open."""
        self._opening.ask(which, Wish(draw, recipe, turn))

    @property
    def loading(self) -> bool:
        """True while a model is being opened."""
        return self._opening.busy

    @Slot(str)
    def _model_asked(self, name: str) -> None:
        self.model_loading.emit(name)
        self.status.emit(self.tr("Opening {0}").format(name), None)

    @Slot(object)
    def _model_opened(self, found: Opened) -> None:
        wish = found.wish
        self.status.emit("", None)
        if wish.recipe is not None or not wish.draw:
            self._leave_comparison()
        self.use_model(found.model, found.card, draw=wish.draw and wish.recipe is None)
        if wish.recipe is not None:
            self.draw_recipe(wish.recipe)
        if wish.turn:
            self.tab_requested.emit("generate")

    @Slot(str)
    def _model_failed(self, sentence: str) -> None:
        if not self.loading:
            self.status.emit("", None)
        self.message.emit("error", sentence)
        self.model_changed.emit()

    def use_model(self, model: AutoregressiveModel, card: ModelCard, *, draw: bool = True) -> None:
        """Make a loaded model the current one; draws at once when `autoplay` is on and `draw` is not False."""
        self.stop_drawing()
        if self.comparison is not None:
            self.comparison.change(self.comparison.focus, card=card, model=model)
            return
        same = self.card is not None and self.card.spec == card.spec
        self.model, self.card = model, card
        self._fit_class()
        if not draw and self.trace_card is not None and same_model(self.trace_card, card):
            self.trace_card = card    # a record's own model
        elif not same:
            self.selection = None
        self.model_changed.emit()
        self.settings_changed.emit()
        if self.autoplay and draw:
            self.generate()

    def _fit_class(self) -> None:
        """Keep the class among those the model knows; one trained without "no class" begins with its first."""
        y = self.settings.class_of(self.card) if self.card is not None else None
        if y != self.chosen_class():
            self.settings = replace(self.settings, class_index=-1 if y is None else y)

    def set(self, **changes: Any) -> None:
        """Change settings."""
        changed = replace(self.settings, **changes)
        if changed != self.settings:
            self.settings = changed
            if self.comparison is not None:
                self.comparison.follow(changed)
            self.settings_changed.emit()

    def chosen_class(self) -> int | None:
        """The class to draw from, or None for any."""
        return self.settings.class_index if self.settings.class_index >= 0 else None

    @property
    def can_guide(self) -> bool:
        """True where guidance can act on the current model."""
        return self.card is not None and self.settings.can_guide(self.card)

    @property
    def guidance(self) -> float:
        """Guidance as it acts now, 0 where it cannot."""
        return self.settings.guidance if self.can_guide else 0.0

    def sample_settings(self) -> Any:
        """The settings as the sampling room takes them."""
        return self.settings.recipe(self.model, self.card).settings

    @property
    def drawing(self) -> bool:
        """True while a task writes the trace."""
        return self._drawing is not None

    def restore(self, info: dict[str, Any]) -> None:
        """Draw again what an exported picture remembers, with its model, seed and settings.
        What cannot be done is said in one sentence, and everything stays as it is."""
        from arstudio.sampling import SettingsError
        from arstudio.sampling.export import recipe_of

        name, path = str(info.get("model", "")), str(info.get("path", ""))
        try:
            recipe = recipe_of(info)
        except SettingsError as error:
            self.message.emit("error", str(error))
            return
        if self.model is not None and self.card.name == name and path == str(self.card.path or ""):
            self.draw_recipe(recipe)
            self.tab_requested.emit("generate")
        else:
            self.open_model(path if path and Path(path).exists() else name, recipe=recipe, turn=True)

    def draw_recipe(self, recipe: Recipe) -> None:
        """Draw a recipe from the current model, and let the toolbar show its settings."""
        self._leave_comparison()
        self.settings = Settings.of(recipe)
        self.settings_changed.emit()
        self.generate(recipe)

    def generate(self, recipe: Recipe | None = None) -> None:
        """Draw `settings.count` new images from the current model, or a recipe, and play them."""
        if self.model is None:
            self.message.emit("info", "Choose a model first: the Library on the left lists them.")
            return
        if self.comparison is not None:
            self.comparison.draw()
            return
        self.stop_drawing()
        if self.tree is not None:
            self.tree.rest()    # here, so that memory is free for the next, and nothing is left to do when it begins
        model, name = self.model, self.tr("First")
        recipe = recipe or self.settings.recipe(model, self.card)
        self._drawn_with = (self.card, self.settings)

        def draw(progress: TaskProgress) -> Any:
            from arstudio.sampling import BranchTree

            tree = BranchTree.of(recipe.sampler(model), recipe, name)
            progress.publish(tree)
            tree.run(progress)
            return tree

        self._start_drawing(draw, f"Drawing {recipe.count} image{'s' if recipe.count > 1 else ''}")

    def compare(self, on: bool) -> None:
        """Compare lanes on one seed, or go back to one drawing."""
        if on == (self.comparison is not None):
            return
        if self.model is None:
            self.message.emit("info", "Choose a model first: the Library on the left lists them.")
            self.comparison_changed.emit()
            return
        self.stop_drawing()
        if not on:
            self._leave_comparison()
            self.generate()
            return
        self.comparison = Comparison(self)
        self.comparison.changed.connect(self.comparison_changed)
        self.comparison_changed.emit()
        self.comparison.draw()

    def _leave_comparison(self) -> None:
        if self.comparison is not None:
            self.comparison.deleteLater()
            self.comparison = None
            self.comparison_changed.emit()

    def show_lane(self, lane: CompareLane, position: int) -> None:
        """Make a lane's model, temperature and drawing those that everybody looks at."""
        self.model, self.card = lane.model, lane.card
        self._turn_to(lane.tree)
        self._drawn_with = (lane.card, lane.settings(self.settings))
        self.settings = replace(self.settings, temperature=lane.temperature, method=lane.method)
        self._fit_class()
        self.show_trace(lane.trace, lane.card, position=min(position, lane.trace.cursor))
        self.model_changed.emit()
        self.settings_changed.emit()
        self.branches_changed.emit()

    def _start_drawing(self, work: Any, text: str) -> None:
        task = Task(work, text)
        task.partial.connect(self._trace_ready)
        task.done.connect(self._drawing_done)
        self.start_task(task)

    def start_task(self, task: Task) -> None:
        """Start a task that writes the shown trace, after the one before it was stopped."""
        self._drawing = task
        self._drawing.done.connect(self._drawing_ended)
        self._drawing.failed.connect(self._drawing_failed)
        self._drawing.cancelled.connect(self._drawing_ended)
        self._drawing.reported.connect(self._drawing_reported)
        self._began = time.perf_counter()
        self._drawing.start()
        self.drawing_changed.emit()

    @Slot(object)
    def _trace_ready(self, tree: BranchTree) -> None:
        if self._drawing is not None:
            self._drawing.look_every(WORDS)
        if tree is not self.tree:
            self._turn_to(tree)
            self.show_trace(tree.current.trace, self._drawn_with[0], play=True)
        else:
            self.play()

    @Slot(object, str)
    def _drawing_reported(self, fraction: float | None, text: str) -> None:
        if time.perf_counter() - self._began < SHORT:
            return
        by = self.tr(" by {}").format(self.way[0]) if self.way[0] else ""
        self.status.emit(f"{self._drawing.objectName() if self._drawing else ''}{by} · {text}", fraction)

    @property
    def way(self) -> tuple[str, str]:
        """The sampler of the shown drawing and why it was taken, one sentence; empty without one."""
        sampler = self.tree.sampler if self.tree is not None else None
        return (sampler.choice.method, sampler.choice.why) if sampler is not None else ("", "")

    @Slot(object)
    def _drawing_done(self, tree: BranchTree) -> None:
        if tree.sampler is not None and tree.sampler.notice:
            self.message.emit("info", tree.sampler.notice)
        self.remember_branch(tree, tree.current, *self._drawn_with)
        self.branches_changed.emit()

    def remember_branch(self, tree: BranchTree, branch: Branch, card: ModelCard, settings: Settings) -> None:
        """Put a finished branch into the history."""
        words = ""
        if branch.parent is not None:
            _, row, column = branch.trace.site(branch.step)
            words = f", branched at row {row}, column {column}"
        label = f"{card.title}, seed {settings.seed}{words}"
        self.history.remember(HistoryItem(
            card, settings, tree.recipe_of(branch), branch.trace.image(0), label, kept=branch.trace, tree=tree, branch=branch,
        ))

    @Slot(str, str)
    def _drawing_failed(self, sentence: str, trace: str) -> None:
        self._drawing_ended()
        self.pause()
        self.message.emit("error", sentence)

    @Slot()
    def _drawing_ended(self, _result: object = None) -> None:
        self._drawing = None
        self.status.emit("", None)
        self.drawing_changed.emit()

    def stop_drawing(self) -> None:
        """Stop the drawing task, keeping what it has drawn. Returns when the thread has ended (milliseconds)."""
        if self._drawing is not None:
            self._drawing.stop_and_wait()
            self._drawing_ended()

    def show_trace(
        self, trace: Trace, card: ModelCard | None, *, focus: int = 0, position: int | None = None, play: bool = False
    ) -> None:
        """Show a trace, new or old, at its end or at `position`; `play` at once, and its figures when they are next due."""
        if self.trace is not None and self.trace.spec != trace.spec:
            self._forget_marks()
        if self.tree is not None and trace is not self.tree.current.trace:
            self._turn_to(None)    # it comes from elsewhere
            self._leave_comparison()
        self.trace, self.trace_card = trace, card
        self.focus = min(focus, trace.count - 1)
        if self.selection is not None and not self._fits(self.selection, trace):
            self.selection = None
        self._exact = self.position = trace.cursor if position is None and trace.complete and not play else position or 0
        self._seen, self._unread = -1, True
        if play:
            self._read = time.perf_counter()
            self.play()
        self.trace_changed.emit()
        if not self.playing:
            self._figures()

    @staticmethod
    def _fits(selection: tuple[int, int, int], trace: Trace) -> bool:
        return all(0 <= i < n for i, n in zip(selection, trace.spec.shape, strict=True))

    def play(self) -> None:
        """Move the playhead; draw where nothing is drawn yet."""
        if self.trace is None:
            self.generate()
            return
        if not self.trace.complete and not self.drawing and self._can_draw_on:
            self._draw_on()    # it was stopped in the middle
        super().play()

    def select(self, site: tuple[int, int, int] | None) -> None:
        """Select (channel, row, column), or None to follow the playhead."""
        if site != self.selection:
            self.selection = site
            self.selection_changed.emit()

    def select_image(self, index: int) -> None:
        """Show another image of the trace large."""
        if self.trace is not None and 0 <= index < self.trace.count and index != self.focus:
            self.focus = index
            self.trace_changed.emit()
            self._figures()

    def point_at(self, pixel: tuple[int, int] | None, value: int | None = None) -> None:
        """The pixel (row, column) or bar value under the mouse, None when it left."""
        if (pixel, value) != (self.hover, self.hover_value):
            self.hover, self.hover_value = pixel, value
            self.hover_changed.emit()

    def inspected_step(self) -> int | None:
        """The step the Inspector shows: the selected site's, else the one under the playhead. None without a trace."""
        if self.trace is None:
            return None
        if self.selection is not None:
            return self.trace.step(*self.selection)
        return min(self.position, self.trace.spec.sites - 1)

    def recall(self, item: HistoryItem) -> None:
        """Show a remembered drawing with its settings; its model is opened behind it, so that it can be branched."""
        from arstudio.sampling import BranchTree

        try:
            trace = item.trace
        except ValueError as error:
            self.message.emit("error", str(error))
            return
        self.pause()
        self.stop_drawing()
        self._leave_comparison()
        same = self.card is not None and same_model(self.card, item.card)
        card, self.settings = self.card if same else item.card, item.settings
        self._drawn_with = (card, item.settings)
        if item.tree is not None and item.branch in item.tree.branches():
            item.tree.walk_to(item.branch)
            self._turn_to(item.tree)
        else:
            recipe = item.recipe
            self._turn_to(BranchTree(recipe, trace, lambda: recipe.sampler(self.model), self.tr("First")))
        self.show_trace(trace, card)
        if same:
            self._fit_class()
        elif (path := model_path(item.card)) is not None:
            self.open_model(path, draw=False)
        self.settings_changed.emit()
        self.branches_changed.emit()
        self.tab_requested.emit("generate")


def model_path(card: ModelCard) -> Path | None:
    """The file of a model that was used before: where it was, or of the same name among the bundled ones."""
    if card.path is not None and card.path.exists():
        return card.path
    try:
        return find_model(card.name) if card.path is not None else None
    except ModelFileError:
        return None
