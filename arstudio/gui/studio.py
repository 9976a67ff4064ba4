"""The observable state of the window, apart from its widgets: model, settings, trace, branches, selection, history.

Drawing runs in a Task at full speed; what the screen shows is the playhead's `position`. Every view reads the same
trace, playhead and selection.

NumPy and torch are imported after the window is on screen: what the first paint needs imports neither at the top of
its file.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot

from arstudio.gui.compare import CompareLane, Comparison
from arstudio.gui.playhead import Playhead
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.models.modelfile import ModelCard, ModelFileError, find_model, read_card

if TYPE_CHECKING:
    import numpy as np

    from arstudio.models import AutoregressiveModel
    from arstudio.sampling import Branch, BranchTree, Change, Recipe, Redraw, Trace

HISTORY_BYTES = 64_000_000


@dataclass(frozen=True)
class Settings:
    """What the toolbar chooses. class_index −1 means any class. `guidance` is kept while it cannot act."""

    class_index: int = -1
    seed: int = 42
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 0.0
    count: int = 9
    order: str = ""            # "": the model's own; kept while the model has one order only
    order_seed: int = 0
    method: str = "incremental"

    def class_of(self, card: ModelCard) -> int | None:
        """The class a model is asked for: the chosen one if it knows it, else none, or its first if it needs one."""
        if 0 <= self.class_index < card.num_classes:
            return self.class_index
        return 0 if card.num_classes and card.config.get("class_dropout") == 0 else None

    def can_guide(self, card: ModelCard) -> bool:
        """True where guidance can act: there is a class, and the model also knows p(x) without one."""
        return self.class_of(card) is not None and card.config.get("class_dropout", 0.1) != 0

    def recipe(self, model: AutoregressiveModel, card: ModelCard) -> Recipe:
        """All that a drawing with these settings depends on beside the model's weights."""
        from arstudio.sampling import Recipe, SampleSettings

        settings = SampleSettings(
            seed=self.seed, temperature=self.temperature, top_k=self.top_k, top_p=self.top_p,
            guidance=self.guidance if self.can_guide(card) else 0.0,
        )
        order = self.order if model.any_order else ""
        return Recipe(settings, self.count, self.class_of(card), order, self.order_seed if order else 0, self.method)


@dataclass
class HistoryItem:
    """One finished drawing: its picture, and what is needed to show it again without drawing."""

    card: ModelCard
    settings: Settings
    trace: Any
    image: np.ndarray
    label: str = ""
    when: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        """Bytes held."""
        t = self.trace
        return sum(a.nbytes for a in (t.values, t.log_probs, t.entropies, t.origin, t.pmfs))


class Studio(Playhead):
    """State and the few verbs that change it. Signals say that something changed; readers pull what they need."""

    model_changed = Signal()
    model_loading = Signal(str)
    settings_changed = Signal()
    selection_changed = Signal()
    hover_changed = Signal()
    branches_changed = Signal()
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
        self.tree: BranchTree | None = None            # None: a record that cannot be drawn on
        self.beside: Branch | None = None              # the other future, for side by side
        self.side_by_side = True
        self.comparison: Comparison | None = None
        self.trace_card: ModelCard | None = None
        self.focus = 0                                 # image shown large
        self.selection: tuple[int, int, int] | None = None   # (channel, row, column), None: follow the playhead
        self.hover: tuple[int, int] | None = None
        self.hover_value: int | None = None
        self.history: list[HistoryItem] = []
        self.autoplay = True
        self._loading: Task | None = None
        self._drawing: Task | None = None
        self._drawn_with = (self.card, self.settings)
        self._opened = 0                               # counts calls of open_model; the latest wins
        self._reordered: AutoregressiveModel | None = None

    # -- model ----------------------------------------------------------------------------------------------

    def open_model(self, which: str | Path) -> None:
        """Load a bundled name, model file or run directory in the background; nothing is lost if that fails."""
        try:
            card = read_card(find_model(which))
        except (ModelFileError, OSError) as error:
            self.message.emit("error", str(error))
            return
        self._opened += 1
        number = self._opened

        def load(progress: TaskProgress) -> Any:
            from arstudio.models import load_model

            return number, *load_model(card.path)

        self.model_loading.emit(card.title)
        self.status.emit(f"Opening {card.title}", None)
        self._loading = Task(load, "open model")
        self._loading.done.connect(self._model_loaded)
        self._loading.failed.connect(self._model_failed)
        self._loading.start()

    @property
    def loading(self) -> bool:
        """True while a model is being opened."""
        return self._loading is not None

    @Slot(object)
    def _model_loaded(self, result: Any) -> None:
        number, model, card = result
        if number != self._opened:    # another was asked for meanwhile
            return
        self._loading = None
        self.status.emit("", None)
        self.use_model(model, card)

    @Slot(str, str)
    def _model_failed(self, sentence: str, _trace: str) -> None:
        self._loading = None
        self.status.emit("", None)
        self.message.emit("error", sentence)
        self.model_changed.emit()

    def use_model(self, model: AutoregressiveModel, card: ModelCard) -> None:
        """Make a loaded model the current one; draws at once when `autoplay` is on."""
        self.stop_drawing()
        if self.comparison is not None:
            self.comparison.change(self.comparison.focus, card=card, model=model)
            return
        same = self.card is not None and self.card.spec == card.spec
        self.model, self.card = model, card
        self._fit_class()
        if not same:
            self.selection = None
        self.model_changed.emit()
        self.settings_changed.emit()
        if self.autoplay:
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
    def trace_model(self) -> AutoregressiveModel | None:
        """The model of the shown trace, in its order; None while another model, or none, is open."""
        if self.model is None or self.trace is None or self.trace_card is not self.card:
            return None
        order = self.trace.order
        if order == self.model.order or not self.model.any_order:
            return self.model
        if self._reordered is None or self._reordered.order != order or self._reordered.config is not self.model.config:
            self._reordered = self.model.reordered(order)
        return self._reordered

    # -- drawing --------------------------------------------------------------------------------------------

    @property
    def drawing(self) -> bool:
        """True while a task writes the trace."""
        return self._drawing is not None

    def generate(self) -> None:
        """Draw `settings.count` new images from the current model and play them."""
        if self.model is None:
            self.message.emit("info", "Choose a model first: the Library on the left lists them.")
            return
        if self.comparison is not None:
            self.comparison.draw()
            return
        self.stop_drawing()
        model, recipe, name = self.model, self.settings.recipe(self.model, self.card), self.tr("First")
        self._drawn_with = (self.card, self.settings)

        def draw(progress: TaskProgress) -> Any:
            from arstudio.sampling import BranchTree

            tree = BranchTree.of(recipe.sampler(model), recipe, name)
            progress.publish(tree)
            tree.run(progress)
            return tree

        self._start_drawing(draw, f"Drawing {recipe.count} image{'s' if recipe.count > 1 else ''}")

    def branch(self, step: int, value: float | None = None) -> None:
        """Redraw the future of the shown images from `step`. With a value, the focused image takes it there and keeps
        the same noise, so that what changes is its effect; without one, the future gets fresh noise."""
        from arstudio.sampling import Change, Redraw

        if self.trace is not None and step >= self.trace.spec.sites:
            self.message.emit("info", "Nothing follows the last pixel: go back to where the future should change.")
        elif value is None:
            self.grow(Redraw(step, self.settings.seed + 1 + int(time.time() * 1000) % 1_000_000))
        else:
            self.grow([Change(self.focus, step, value)])

    def grow(self, edits: list[Change] | Redraw) -> None:
        """Draw another future of the shown branch. What was drawn stays beside it in the tree."""
        from arstudio.sampling import SettingsError

        if self.tree is None:
            self.message.emit("info", "This drawing is a record; generate again to branch from it.")
            return
        self.stop_drawing()
        try:
            branch = self.tree.grow(edits)
        except SettingsError as error:
            self.message.emit("error", str(error))
            return
        self.beside = branch.parent
        self._show_branch(branch, branch.step)
        self._draw_on()

    def walk_to(self, branch: Branch) -> None:
        """Show another branch of the tree at the same moment; one that is not finished is drawn on."""
        if self.tree is None or branch is self.tree.current:
            return
        self.stop_drawing()
        self.beside = self.tree.current
        self.tree.walk_to(branch)
        self._show_branch(branch, min(self.position, branch.trace.cursor))
        if not branch.trace.complete:
            self._draw_on()

    def step_branches(self, count: int) -> None:
        """Walk to the branch before (−1) or after (1) in the tree."""
        if self.tree is not None:
            branches = self.tree.branches()
            self.walk_to(branches[(branches.index(self.tree.current) + count) % len(branches)])

    def rename_branch(self, branch: Branch, name: str) -> None:
        """Give a branch another name; an empty one leaves it as it is."""
        if name.strip():
            branch.name = name.strip()
            self.branches_changed.emit()

    def set_side_by_side(self, on: bool) -> None:
        """Show the other future beside this one, or not."""
        if on != self.side_by_side:
            self.side_by_side = on
            self.branches_changed.emit()

    def other_future(self) -> Branch | None:
        """The branch shown beside the current one, None if there is none or it is not wanted."""
        return self.beside if self.tree is not None and self.side_by_side and self.beside is not self.tree.current else None

    def _show_branch(self, branch: Branch, position: int) -> None:
        self.show_trace(branch.trace, self.trace_card, focus=self.focus, position=position)
        self.branches_changed.emit()

    def _draw_on(self) -> None:
        tree = self.tree

        def draw(progress: TaskProgress) -> Any:
            progress.publish(tree)
            tree.run(progress)
            return tree

        self._start_drawing(draw, "Drawing the branch")

    # -- comparison -----------------------------------------------------------------------------------------

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
            self.comparison.deleteLater()
            self.comparison = None
            self.comparison_changed.emit()
            self.generate()
            return
        self.comparison = Comparison(self)
        self.comparison.changed.connect(self.comparison_changed)
        self.comparison_changed.emit()
        self.comparison.draw()

    def show_lane(self, lane: CompareLane, position: int) -> None:
        """Make a lane's model, temperature and drawing those that everybody looks at."""
        self.model, self.card, self.tree, self.beside = lane.model, lane.card, lane.tree, None
        self._drawn_with = (lane.card, lane.settings(self.settings))
        self.settings = replace(self.settings, temperature=lane.temperature, method=lane.method)
        self._fit_class()
        self.show_trace(lane.trace, lane.card, position=min(position, lane.trace.cursor))
        self.model_changed.emit()
        self.settings_changed.emit()
        self.branches_changed.emit()

    # -- tasks ----------------------------------------------------------------------------------------------

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
        self._drawing.start()
        self.drawing_changed.emit()

    @Slot(object)
    def _trace_ready(self, tree: BranchTree) -> None:
        if tree is not self.tree:
            self.tree, self.beside = tree, None
            self.show_trace(tree.current.trace, self._drawn_with[0])
            self.branches_changed.emit()
        self.play()

    @Slot(object, str)
    def _drawing_reported(self, fraction: float | None, text: str) -> None:
        self.status.emit(f"{self._drawing.objectName() if self._drawing else ''} · {text}", fraction)

    @Slot(object)
    def _drawing_done(self, tree: BranchTree) -> None:
        self.remember_branch(tree, tree.current, *self._drawn_with)
        self.branches_changed.emit()

    def remember_branch(self, tree: BranchTree, branch: Branch, card: ModelCard, settings: Settings) -> None:
        """Put a finished branch into the history."""
        words = ""
        if branch.parent is not None:
            _, row, column = branch.trace.site(branch.step)
            words = f", branched at row {row}, column {column}"
        self.remember(branch.trace, card, settings, f"{card.title}, seed {settings.seed}{words}")

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

    def show_trace(self, trace: Trace, card: ModelCard | None, *, focus: int = 0, position: int | None = None) -> None:
        """Show a trace, new or old, at its end or at `position`."""
        if self.trace is not None and self.trace.spec != trace.spec:
            self._forget_marks()
        self.trace, self.trace_card = trace, card
        self.focus = min(focus, trace.count - 1)
        if self.selection is not None and not self._fits(self.selection, trace):
            self.selection = None
        self._exact = self.position = trace.cursor if position is None and trace.complete else position or 0
        self._seen = -1
        self.trace_changed.emit()
        self.position_changed.emit()
        self.selection_changed.emit()

    @staticmethod
    def _fits(selection: tuple[int, int, int], trace: Trace) -> bool:
        return all(0 <= i < n for i, n in zip(selection, trace.spec.shape, strict=True))

    def play(self) -> None:
        """Move the playhead; draw first where there is nothing."""
        if self.trace is None:
            self.generate()
        else:
            super().play()

    # -- selection ------------------------------------------------------------------------------------------

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
            self.position_changed.emit()
            self.selection_changed.emit()

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

    # -- history --------------------------------------------------------------------------------------------

    def remember(self, trace: Trace, card: ModelCard, settings: Settings, label: str) -> None:
        """Keep a finished trace, newest first, within a byte budget."""
        self.history = [item for item in self.history if item.trace is not trace]
        image = trace.image(0)
        self.history.insert(0, HistoryItem(card, settings, trace, image, label))
        while len(self.history) > 1 and sum(item.size for item in self.history) > HISTORY_BYTES:
            self.history.pop()
        self.history_changed.emit()

    def recall(self, item: HistoryItem) -> None:
        """Show a remembered drawing with its settings."""
        self.pause()
        self.stop_drawing()
        if self.comparison is not None:
            self.comparison.deleteLater()
            self.comparison = None
            self.comparison_changed.emit()
        self.settings = item.settings
        self._fit_class()
        self.settings_changed.emit()
        self.tree = self.beside = None
        self.show_trace(item.trace, item.card)
        self.branches_changed.emit()
        self.tab_requested.emit("generate")
