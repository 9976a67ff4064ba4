"""The observable state of the window, apart from its widgets: model, settings, trace, playhead, selection, history.

Drawing runs in a Task at full speed; what the screen shows is the *playhead* `position`, which follows the trace's
cursor or moves over it at the chosen speed. Every view reads the same trace, playhead and selection.

NumPy and torch are imported after the window is on screen: what the first paint needs imports neither at the top of
its file.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from arstudio.gui.tasks import Task, TaskProgress
from arstudio.models.modelfile import ModelCard, ModelFileError, find_model, read_card

if TYPE_CHECKING:
    import numpy as np

    from arstudio.models import AutoregressiveModel
    from arstudio.sampling import Sampler, Trace

FULL_SPEED = math.inf
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


class Studio(QObject):
    """State and the few verbs that change it. Signals say that something changed; readers pull what they need."""

    model_changed = Signal()
    model_loading = Signal(str)
    settings_changed = Signal()
    trace_changed = Signal()
    position_changed = Signal()
    selection_changed = Signal()
    hover_changed = Signal()
    playing_changed = Signal()
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
        self.sampler: Sampler | None = None
        self.trace: Trace | None = None
        self.trace_card: ModelCard | None = None
        self.previous: np.ndarray | None = None       # (B, S) values before the last branch
        self.branched_at: tuple[int, int] | None = None
        self.position = 0                              # steps shown
        self.speed = 10.0                              # pixels or rows per second
        self.speed_in_rows = True
        self.playing = False
        self.focus = 0                                 # image shown large
        self.selection: tuple[int, int, int] | None = None   # (channel, row, column), None: follow the playhead
        self.hover: tuple[int, int] | None = None
        self.hover_value: int | None = None
        self.history: list[HistoryItem] = []
        self.autoplay = True
        self._seen = -1
        self._exact = 0.0
        self._last = 0.0
        self._loading: Task | None = None
        self._drawing: Task | None = None
        self._drawn_with = (self.card, self.settings, "")
        self._opened = 0                               # counts calls of open_model; the latest wins
        self._clock = QTimer(self, interval=16)
        self._clock.setTimerType(Qt.TimerType.PreciseTimer)
        self._clock.timeout.connect(self._tick)

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
        known = self.card.num_classes if self.card else 0
        lowest = 0 if known and self.card.config.get("class_dropout") == 0 else -1
        if not lowest <= self.settings.class_index < known:
            self.settings = replace(self.settings, class_index=lowest)

    def set(self, **changes: Any) -> None:
        """Change settings."""
        changed = replace(self.settings, **changes)
        if changed != self.settings:
            self.settings = changed
            self.settings_changed.emit()

    def chosen_class(self) -> int | None:
        """The class to draw from, or None for any."""
        return self.settings.class_index if self.settings.class_index >= 0 else None

    @property
    def can_guide(self) -> bool:
        """True where guidance can act: a class is chosen, and the model also knows p(x) without one."""
        knows_both = self.card is not None and self.card.config.get("class_dropout", 0.1) != 0
        return knows_both and self.chosen_class() is not None

    @property
    def guidance(self) -> float:
        """Guidance as it acts now, 0 where it cannot."""
        return self.settings.guidance if self.can_guide else 0.0

    def sample_settings(self) -> Any:
        """The settings as the sampling room takes them."""
        from arstudio.sampling import SampleSettings

        s = self.settings
        return SampleSettings(
            seed=s.seed, temperature=s.temperature, top_k=s.top_k, top_p=s.top_p, guidance=self.guidance
        )

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
        self.stop_drawing()
        model, settings, y, count = self.model, self.sample_settings(), self.chosen_class(), self.settings.count
        self.previous = self.branched_at = None
        self._drawn_with = (self.card, self.settings, "")

        def draw(progress: TaskProgress) -> Any:
            from arstudio.sampling import Sampler

            sampler = Sampler(model, settings, count, y)
            progress.publish(sampler)
            sampler.run(progress)
            return sampler

        self._start_drawing(draw, f"Drawing {count} image{'s' if count > 1 else ''}")

    def branch(self, step: int, value: float | None = None) -> None:
        """Redraw the future of the shown images from `step`. With a value, the focused image takes it there and keeps
        the same noise, so that what changes is its effect; without one, the future gets fresh noise."""
        if self.sampler is None or self.trace is None or self.sampler.trace is not self.trace:
            self.message.emit("info", "This drawing is a record; generate again to branch from it.")
            return
        if value is not None and not 0 <= value <= self.trace.spec.top:
            self.message.emit("error", f"The value must be 0 to {self.trace.spec.top:g}.")
            return
        if step >= self.trace.spec.sites:
            self.message.emit("info", "Nothing follows the last pixel: go back to where the future should change.")
            return
        self.stop_drawing()
        if step > self.trace.cursor:
            return
        card, settings, _ = self._drawn_with
        record, (_, row, column) = self.trace.copy(), self.trace.site(step)
        for item in self.history:
            if item.trace is self.trace:
                item.trace = record    # history keeps what was drawn before
        self._drawn_with = (card, settings, f", branched at row {row}, column {column}")
        sampler, focus, seed = self.sampler, self.focus, self.settings.seed + 1 + int(time.time() * 1000) % 1_000_000
        self.previous = record.values
        self.branched_at = (focus, step)

        def redraw(progress: TaskProgress) -> Any:
            if value is None:
                sampler.redraw(step, seed)
            else:
                sampler.change(focus, step, value)
            progress.publish(sampler)
            sampler.run(progress)
            return sampler

        self._start_drawing(redraw, "Drawing the branch")
        self._set_position(step + 1)

    def _start_drawing(self, work: Any, text: str) -> None:
        self._drawing = Task(work, text)
        self._drawing.partial.connect(self._trace_ready)
        self._drawing.done.connect(self._drawing_done)
        self._drawing.failed.connect(self._drawing_failed)
        self._drawing.cancelled.connect(self._drawing_ended)
        self._drawing.reported.connect(self._drawing_reported)
        self._drawing.start()
        self.drawing_changed.emit()

    @Slot(object)
    def _trace_ready(self, sampler: Sampler) -> None:
        self.sampler = sampler
        if self.trace is not sampler.trace:
            self.show_trace(sampler.trace, self.card)
        self.play()

    @Slot(object, str)
    def _drawing_reported(self, fraction: float | None, text: str) -> None:
        self.status.emit(f"{self._drawing.objectName() if self._drawing else ''} · {text}", fraction)

    @Slot(object)
    def _drawing_done(self, sampler: Sampler) -> None:
        self._drawing_ended()
        card, settings, words = self._drawn_with
        self.remember(sampler.trace, card, settings, f"{card.title}, seed {settings.seed}{words}")

    @Slot(str, str)
    def _drawing_failed(self, sentence: str, trace: str) -> None:
        self._drawing_ended()
        self.pause()
        self.message.emit("error", sentence)

    @Slot()
    def _drawing_ended(self) -> None:
        self._drawing = None
        self.status.emit("", None)
        self.drawing_changed.emit()

    def stop_drawing(self) -> None:
        """Stop the drawing task, keeping what it has drawn. Returns when the thread has ended (milliseconds)."""
        if self._drawing is not None:
            self._drawing.stop_and_wait()
            self._drawing_ended()

    def show_trace(self, trace: Trace, card: ModelCard | None, *, focus: int = 0, position: int | None = None) -> None:
        """Show a trace, new or old. Branching needs the sampler that made it."""
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

    # -- playhead -------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Move the playhead; from the start if it is at the end."""
        if self.trace is None:
            self.generate()
            return
        if self.position >= self.trace.spec.sites and self.trace.complete:
            self._set_position(0)
        self.playing, self._last = True, time.perf_counter()
        self._clock.start()
        self.playing_changed.emit()

    def pause(self) -> None:
        """Hold the playhead. Drawing goes on behind it."""
        self.playing = False
        self._clock.stop()
        self.playing_changed.emit()

    def toggle(self) -> None:
        """Play or pause."""
        if self.playing:
            self.pause()
        else:
            self.play()

    def seek(self, step: int) -> None:
        """Pause at a step, as far as the trace goes."""
        if self.trace is None:
            return
        if self.playing:
            self.pause()
        self._set_position(max(0, min(step, self.trace.cursor)))

    def step_pixels(self, count: int) -> None:
        """Move the playhead by whole pixels."""
        if self.trace is not None:
            c = self.trace.spec.channels
            self.seek((self.position // c + count) * c if self.position % c == 0 or count > 0 else self.position // c * c)

    def step_rows(self, count: int) -> None:
        """Move the playhead by rows of the image (as many pixels as a row has)."""
        if self.trace is not None:
            row = self.trace.spec.width * self.trace.spec.channels
            target = (self.position // row + count) * row
            if count < 0 and self.position % row:
                target += row
            self.seek(target)

    def set_speed(self, per_second: float, *, rows: bool = False) -> None:
        """Speed of the playhead in pixels or rows a second; math.inf follows the drawing."""
        self.speed, self.speed_in_rows = per_second, rows

    def _set_position(self, step: int) -> None:
        self._exact, self.position = float(step), step
        self.position_changed.emit()

    @Slot()
    def _tick(self) -> None:
        trace, now = self.trace, time.perf_counter()
        if trace is None:
            return
        cursor = trace.cursor
        if self.playing:
            per_unit = trace.spec.channels * (trace.spec.width if self.speed_in_rows else 1)
            advance = math.inf if math.isinf(self.speed) else self.speed * per_unit * (now - self._last)
            self._exact = min(float(cursor), self._exact + advance)
        self._last = now
        position = int(self._exact)
        if (position, cursor) != (self.position, self._seen):
            self.position, self._seen = position, cursor
            self.position_changed.emit()
        if position >= trace.spec.sites and not self.drawing:
            self.pause()

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
        self.settings = item.settings
        self._fit_class()
        self.settings_changed.emit()
        self.show_trace(item.trace, item.card)
        self.tab_requested.emit("generate")
