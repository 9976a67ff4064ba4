"""Carries out the tour and the lessons in the real window: opens models, draws, goes to a moment, selects, and says why.

Nothing is staged: every picture and every figure comes from the model while the person watches, and all controls stay in
reach. When a lesson ends, the person's settings, speed and map come back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QRect, QSettings, QTimer, Slot
from PySide6.QtWidgets import QWidget

from arstudio.gui.lessons import TOUR, Lesson, Step, lesson
from arstudio.gui.playhead import FULL_SPEED
from arstudio.gui.studio import Settings
from arstudio.gui.widgets.coach import CoachCard, Ring
from arstudio.gui.widgets.controls import scrolled_in

if TYPE_CHECKING:
    from arstudio.gui.main_window import MainWindow

SEEN = "tour/seen"
MARGIN = 26    # of a heading above what is scrolled to
Ready = Callable[[], bool]

PLACES: dict[str, Callable[[Any], QWidget]] = {
    "stage": lambda window: window.generate_panel.view,
    "grid": lambda window: window.generate_panel.side_box,
    "inspector": lambda window: window.docks.by_name["inspector"],
    "distribution": lambda window: window.inspector.plot,
    "sum": lambda window: window.inspector.sum,
    "overlays": lambda window: window.inspector.maps,
    "timeline": lambda window: window.docks.by_name["timeline"],
    "transport": lambda window: window.toolbar.transport["toggle"],
    "temperature": lambda window: window.toolbar.temperature,
    "library": lambda window: window.docks.by_name["library"],
    "status": lambda window: window.status_line.likelihood,
    "complete": lambda window: window.complete,
    "train": lambda window: window.train,
}


class Teacher(QObject):
    """One lesson at a time, step by step. `begin`, `next`, `back` and `end` are what the card's buttons call."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.window, self.studio = window, window.studio
        self.card, self.ring = CoachCard(window), Ring(window)
        self.card.next_wanted.connect(self.next)
        self.card.back_wanted.connect(self.back)
        self.card.close_wanted.connect(self.end)
        self.lesson: Lesson | None = None
        self._placed: Step | None = None    # whose words have found a place
        self.index = 0
        self._todo: deque[tuple[Any, ...]] = deque()
        self._ready: Ready | None = None
        self._drawn: tuple[Any, ...] = ()
        self._before: tuple[Settings, bool, str] | None = None
        self._timer = QTimer(self, interval=30)
        self._timer.timeout.connect(self._work)
        self._watched: set[QWidget] = set()
        window.inspector.area.verticalScrollBar().valueChanged.connect(self._follow)

    @property
    def busy(self) -> bool:
        """True until all that a step does is done."""
        return bool(self._todo) or self._ready is not None

    @Slot()
    def offer_tour(self) -> None:
        """Begin the tour when the first drawing is there, if this person has not been offered it yet."""
        if self.studio.trace is not None and not self.studio.drawing and QSettings().value(SEEN, "false") != "true":
            self.begin_named(TOUR)

    @Slot(str)
    def begin_named(self, name: str) -> None:
        """Start the tour or a lesson; says so where its file is missing."""
        try:
            self.begin(lesson(name))
        except (OSError, ValueError, KeyError) as error:
            self.studio.message.emit("error", str(error))

    def begin(self, chosen: Lesson) -> None:
        """Start a lesson from its first step."""
        if self.lesson is not None:
            self.end()
        if chosen.name == TOUR:
            QSettings().setValue(SEEN, "true")
        self._before = self.studio.settings, self.studio.autoplay, self.window.inspector.overlays.key()
        self._watched = {self.window, *(place(self.window) for place in PLACES.values())}
        for part in self._watched:
            part.installEventFilter(self)
        self.studio.autoplay = False
        self.lesson, self._drawn = chosen, ()
        self._show(0)

    @Slot()
    def next(self) -> None:
        """The next step, or the end after the last."""
        if self.lesson is not None:
            if self.index + 1 < len(self.lesson.steps):
                self._show(self.index + 1)
            else:
                self.end()

    @Slot()
    def back(self) -> None:
        """The step before."""
        if self.lesson is not None and self.index > 0:
            self._show(self.index - 1)

    @Slot()
    def end(self) -> None:
        """Leave the lesson, done or not; the person's settings come back, the last drawing stays in view."""
        if self.lesson is None:
            return
        self._timer.stop()
        for part in self._watched:
            part.removeEventFilter(self)
        self._todo.clear()
        self._ready, self.lesson, self._placed = None, None, None
        if self.card.isAncestorOf(self.window.focusWidget() or self.window):
            self.window.focus_stage()
        self.card.hide()
        self.ring.hide()
        settings, self.studio.autoplay, overlay = self._before
        self.studio.set(**asdict(settings))
        self._overlay(overlay)
        self.window.toolbar.apply_speed()

    def _show(self, index: int) -> None:
        self.index = index
        self._todo, self._ready = deque(self.lesson.steps[index].do), None
        self._write("…")
        self.card.show()
        self.card.next_button.setFocus()
        self._timer.start()
        self._work()

    @Slot()
    def _work(self) -> None:
        """Do what is to be done, one verb after the other, each when the one before has come to its end."""
        while self.lesson is not None:
            if self._ready is not None:
                if not self._ready():
                    self._follow()
                    return
                self._ready = None
            if not self._todo:
                break
            verb, *arguments = self._todo.popleft()
            self._ready = getattr(self, f"_{verb}")(*arguments)
        self._timer.stop()
        if self.lesson is not None:
            self._write()
            self._reveal()
            self._point()

    def _write(self, unknown: str = "") -> None:
        """The step's words on the card, with the figures of the present drawing, or `unknown` in their place."""
        step, figures = self.lesson.steps[self.index], _Figures(unknown) if unknown else self._figures()
        text = _say(step.text).format_map(figures)
        self.card.show_step(_say(self.lesson.title), _say(step.title), text, self.index, len(self.lesson.steps))

    def _figures(self) -> dict[str, str]:
        trace, studio = self.studio.trace, self.studio
        if trace is None:
            return _Figures("–")
        at = min(studio.position, trace.cursor)
        step = min(studio.inspected_step() or 0, max(at - 1, 0))
        nats, parent = trace.nats(studio.focus, at), studio.tree.current.parent if studio.tree else None
        different = (parent.trace.values[studio.focus] != trace.values[studio.focus]).sum() if parent else 0
        return _Figures("–", {
            "nats": f"{nats:.1f}", "bits": f"{nats / math.log(2):.1f}",
            "bits_per_dim": f"{nats / math.log(2) / max(at, 1):.2f}", "differing": str(different),
            "p": f"{math.exp(float(trace.log_probs[studio.focus, step])):.3f}",
        })

    def _reveal(self) -> None:
        """Scroll to what the step speaks of."""
        name = self.lesson.steps[self.index].point
        place = PLACES[name](self.window) if name else None
        area = scrolled_in(place)
        if area is not None and place.isVisibleTo(area):
            area.widget().layout().activate()
            area.ensureWidgetVisible(place, 0, MARGIN)

    def _point(self) -> None:
        """Ring and card at the part of the window the step speaks of."""
        step = self.lesson.steps[self.index]
        place = self._rect(step.point)
        self.ring.setVisible(place.isValid())
        self.ring.setGeometry(place.adjusted(-4, -4, 4, 4).intersected(self.window.rect()))
        self.ring.raise_()
        self.card.place_beside(place, self._kept(step.point), stay=step is self._placed)
        self._placed = step
        self.card.raise_()

    def _kept(self, point: str) -> list[tuple[QRect, float]]:
        """What the words should not cover: what they speak of, pictures and distributions before all else."""
        window, panel = self.window, self.window.generate_panel
        views = [v for v in panel.sides.views if v.isVisible() and v.image() is not None]
        pictures = [QRect(v.mapTo(window, v.target().topLeft().toPoint()), v.target().size().toSize()) for v in views]
        kept = [(picture, 3.0) for picture in pictures]
        if point != "stage":    # of the stage only its pictures count
            kept.append((self._rect(point), 2.0))
        for name, cost in (("distribution", 3.0), ("sum", 1.0), ("timeline", 1.0), ("grid", 0.5), ("library", 0.2)):
            kept.append((self._rect(name), cost))
        others = (panel.draw_button, window.toolbar, window.tabs, window.inspector.figures)
        return kept + [(self._rect_of(other), 1.0) for other in others]

    def _rect(self, name: str) -> QRect:
        """Where a part of the window is now; an invalid rectangle if it is not to be seen."""
        return self._rect_of(PLACES[name](self.window) if name else None)

    def _rect_of(self, widget: QWidget | None) -> QRect:
        if widget is None or not widget.isVisibleTo(self.window):
            return QRect()
        seen, area = widget.rect(), scrolled_in(widget)
        if area is not None:
            shown = area.viewport()
            seen = seen.intersected(QRect(widget.mapFrom(shown, shown.rect().topLeft()), shown.size()))
        return QRect(widget.mapTo(self.window, seen.topLeft()), seen.size())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The window or a part of it found another place: point again."""
        if self.lesson is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
            QTimer.singleShot(0, self._settle)
        return super().eventFilter(watched, event)

    @Slot()
    def _settle(self) -> None:
        """What a step speaks of has changed its size, as words arrive or pictures make room."""
        if self.lesson is not None and not self.busy:
            self._reveal()
        self._follow()

    @Slot()
    def _follow(self) -> None:
        if self.lesson is not None:
            self._point()

    def _show_job(self, name: str) -> None:
        self.window.show_job(name)

    def _draw(self, model: str, settings: dict[str, Any]) -> Ready | None:
        """Open a bundled model and draw with these settings, from the defaults; the drawing that is there is used again."""
        wanted, tree = Settings(**settings), self.studio.tree
        if tree is not None and self._drawn == (model, wanted, tree):
            self.studio.walk_to(tree.root)
            return None
        if self.studio.card is None or self.studio.card.name != model:
            self._todo.appendleft(("draw", model, settings))
            self.studio.open_model(model)
            return lambda: self._opened(model)
        self.studio.set(**asdict(wanted))
        self.studio.set_speed(FULL_SPEED)
        self.studio.generate()

        def drawn() -> bool:
            if self.studio.tree is tree or self.studio.drawing:
                return False
            self._drawn = model, wanted, self.studio.tree
            return True

        return drawn

    def _opened(self, model: str) -> bool:
        """Whether the model is there to draw with; the lesson ends where it could not be opened, which the window has said."""
        if self.studio.loading:
            return False
        there = self.studio.card is not None and self.studio.card.name == model
        if not there:
            self.end()
        return there

    def _force(self, row: int, column: int) -> Ready | None:
        """Give a pixel the value furthest from its own, or show the future in which it has it."""
        trace, studio = self.studio.trace, self.studio
        if studio.tree.current.children:
            studio.walk_to(studio.tree.current.children[0])
            return None
        step = trace.step(0, row, column)
        top = trace.spec.levels - 1
        value = int(trace.values[studio.focus, step])
        studio.set_speed(FULL_SPEED)
        studio.branch(step, top if value <= top // 2 else 0)
        return lambda: not studio.drawing

    def _at(self, share: float) -> None:
        """Hold the playhead after this share of the sites."""
        self.studio.pause()
        self.studio.seek(round(share * self.studio.trace.spec.sites))

    def _watch(self, pixels_per_second: float) -> None:
        """Let it play from there."""
        self.studio.set_speed(pixels_per_second)
        self.studio.play()

    def _select(self, *place: int) -> None:
        """Select (row, column), or nothing."""
        self.studio.select((0, *place) if place else None)

    def _overlay(self, key: str) -> None:
        """Put a map on the image, or "none"."""
        overlays = self.window.inspector.overlays
        if overlays.key() != key:
            overlays.set_key(key)
            overlays.chosen.emit(key)


class _Figures(dict):
    """Figures by name; what is not there shows as one sign."""

    def __init__(self, otherwise: str, known: dict[str, str] | None = None) -> None:
        super().__init__(known or {})
        self._otherwise = otherwise

    def __missing__(self, name: str) -> str:
        return self._otherwise


def _say(text: str) -> str:
    return QCoreApplication.translate("Lesson", text)
