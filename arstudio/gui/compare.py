"""A comparison: two to four lanes draw from the same seed, each with a model, a temperature and a sampler of its own.

The playhead moves over all lanes in step. One lane is in focus: the Inspector, the timeline and the toolbar speak of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot

from arstudio.gui.tasks import Latest, Task, TaskProgress
from arstudio.models.modelfile import ModelCard, ModelFileError, bundled_models, find_model, read_card

if TYPE_CHECKING:
    from arstudio.gui.settings import Settings
    from arstudio.gui.studio import Studio
    from arstudio.models import AutoregressiveModel
    from arstudio.sampling import BranchTree, Recipe, Sampler, Trace

    Made = tuple[AutoregressiveModel, ModelCard, BranchTree]

FEWEST, MOST = 2, 4
RUNS_OFFERED = 8    # the newest
ROUNDS = 56    # the lanes take turns, so that all of them grow


@dataclass(eq=False)
class CompareLane:
    """A model with a temperature and a sampler; `model` and `tree` come with the first drawing, or an `error`, one sentence,
    where the model cannot draw."""

    card: ModelCard
    temperature: float
    method: str = "auto"
    model: AutoregressiveModel | None = None
    tree: BranchTree | None = None
    error: str = ""

    @property
    def trace(self) -> Trace | None:
        """What is drawn: the branch that is shown."""
        return self.tree.current.trace if self.tree is not None else None

    def settings(self, shared: Settings) -> Settings:
        """The shared settings with those of the lane; one image each."""
        return replace(shared, temperature=self.temperature, method=self.method, count=1)


class Comparison(QObject):
    """`changed`: lanes, their settings, the focus or what may be chosen. `drawn`: there are new traces."""

    changed = Signal()
    drawn = Signal()

    def __init__(self, studio: Studio) -> None:
        super().__init__(studio)
        self.studio = studio
        self.focus = 0
        self.bundled = bundled_models()
        self.runs: list[ModelCard] = []    # the newest with weights, read beside the window
        self._reader = Latest(self, "read runs to compare")
        self._reader.done.connect(self._runs_read)
        studio.runs_changed.connect(self.read_runs)
        self.read_runs()
        first = CompareLane(studio.card, studio.settings.temperature, studio.settings.method, studio.model)
        self.lanes = [first, self._another(first)]

    @Slot()
    def read_runs(self) -> None:
        """Look which runs may be chosen."""
        self._reader.ask(_newest_runs)

    @Slot(object)
    def _runs_read(self, runs: list[ModelCard]) -> None:
        self.runs = runs
        self.changed.emit()

    def _another(self, lane: CompareLane) -> CompareLane:
        """What is most worth comparing with: another bundled model of the same images, else another temperature."""
        for card in self.bundled:
            if card.spec == lane.card.spec and card.facts.dataset == lane.card.facts.dataset and card.path != lane.card.path:
                return CompareLane(card, lane.temperature)
        return replace(lane, temperature=0.7 if lane.temperature > 0.85 else 1.0, tree=None)

    @property
    def lane(self) -> CompareLane:
        """The lane in focus."""
        return self.lanes[self.focus]

    @property
    def ready(self) -> bool:
        """True when every lane has something to show."""
        return self.lane.tree is not None and all(lane.tree is not None or lane.error for lane in self.lanes)

    @property
    def shown(self) -> list[CompareLane]:
        """The lanes that have something to show."""
        return [lane for lane in self.lanes if lane.tree is not None]

    def position_of(self, lane: CompareLane) -> int:
        """Steps of a lane that are shown: as far along as the playhead is in the lane in focus."""
        if lane is self.lane:
            return min(self.studio.position, lane.trace.cursor)
        share = self.studio.position / self.lane.trace.spec.sites
        return min(round(share * lane.trace.spec.sites), lane.trace.cursor)

    def bits_per_dim(self, lane: CompareLane) -> float:
        """Bits a site of what a lane shows, 0 before the first."""
        position = self.position_of(lane)
        return lane.trace.bits(0, position) / max(position, 1)

    def add(self) -> None:
        """Another lane, like the one in focus but colder than it by as many steps as no lane is yet."""
        if len(self.lanes) < MOST:
            like = self.lane
            there = [lane.temperature for lane in self.lanes if (lane.card, lane.method) == (like.card, like.method)]
            steps = (round(max(like.temperature - 0.25 * k, 0.0), 2) for k in range(1, MOST + 1))
            wanted = next((t for t in steps if t not in there), like.temperature + 0.25)
            self.lanes.append(replace(like, temperature=wanted, tree=None, error=""))
            self.draw()

    def remove(self, index: int) -> None:
        """One lane less, as long as two are left."""
        if len(self.lanes) > FEWEST:
            share, lane = self._share(), self.lane
            del self.lanes[index]
            others = self.shown or self.lanes
            lane = lane if lane in others else others[min(index, len(others) - 1)]
            self._focus(self.lanes.index(lane), share)

    def change(self, index: int, **changes: Any) -> None:
        """Give a lane another card, temperature or method, and draw again."""
        lane = self.lanes[index]
        if "card" in changes and changes["card"] != lane.card:
            changes.setdefault("model", None)
        if any(getattr(lane, name) != value for name, value in changes.items()):
            self.lanes[index] = replace(lane, **changes, tree=None, error="")
            self.draw()

    def follow(self, settings: Settings) -> None:
        """The toolbar changed what the lane in focus draws with."""
        if (settings.temperature, settings.method) != (self.lane.temperature, self.lane.method):
            self.lane.temperature, self.lane.method = settings.temperature, settings.method
            self.changed.emit()

    def focus_on(self, index: int) -> None:
        """Let Inspector, timeline and toolbar speak of another lane."""
        if index != self.focus and self.lanes[index].tree is not None:
            self._focus(index, self._share())

    def _share(self) -> float:
        return self.studio.position / self.lane.trace.spec.sites if self.ready else 0.0

    def _focus(self, index: int, share: float) -> None:
        self.focus = index
        if self.ready:
            self.studio.show_lane(self.lane, round(share * self.lane.trace.spec.sites))
        self.changed.emit()

    def draw(self) -> None:
        """Draw every lane from the seed in the toolbar."""
        self.studio.stop_drawing()
        lanes, shared, name = list(self.lanes), self.studio.settings, self.tr("First")

        def work(progress: TaskProgress) -> Any:
            from arstudio.progress import Muted
            from arstudio.sampling import BranchTree

            made: list[Made | str] = []
            samplers = []
            for lane in lanes:
                try:
                    model, card, recipe, sampler = _begin(lane, shared)
                except (ValueError, OSError) as error:
                    made.append(str(error))
                    continue
                samplers.append(sampler)
                made.append((model, card, BranchTree.of(sampler, recipe, name)))
            if not samplers:
                raise ValueError(made[0])
            progress.publish(made)
            for turn in range(1, ROUNDS + 1):
                for sampler in samplers:
                    progress.check()
                    sampler.run(Muted(progress), until=round(turn / ROUNDS * sampler.trace.spec.sites))
                progress.report(turn / ROUNDS, self.tr("{0} lanes").format(len(made)))
            return made

        self._drawn_for = lanes
        task = Task(work, self.tr("Comparing"))
        task.partial.connect(self._began)
        task.done.connect(self._done)
        self.studio.start_task(task)
        self.changed.emit()

    @Slot(object)
    def _began(self, made: list[Made | str]) -> None:
        if self.studio.comparison is not self:
            return
        for lane, found in zip(self._drawn_for, made, strict=True):
            if lane.tree is not None:
                lane.tree.rest()
            if isinstance(found, str):
                lane.tree, lane.error = None, found
            else:
                (lane.model, lane.card, lane.tree), lane.error = found, ""
        if self.lane.tree is None:
            self.focus = self.lanes.index(self.shown[0])
        self.studio.show_lane(self.lane, 0)
        self.drawn.emit()
        self.changed.emit()
        self.studio.play()

    @Slot(object)
    def _done(self, made: list[Made | str]) -> None:
        shared = self.studio.settings
        for lane, found in zip(self._drawn_for, made, strict=True):
            if not isinstance(found, str):
                _, card, tree = found
                self.studio.remember_branch(tree, tree.root, card, lane.settings(shared))


def _begin(lane: CompareLane, shared: Settings) -> tuple[AutoregressiveModel, ModelCard, Recipe, Sampler]:
    """Open what a lane draws with. Raises what cannot be opened, or cannot draw with these settings, in one sentence."""
    from arstudio.models import load_frozen

    model, card = (lane.model, lane.card) if lane.model is not None else load_frozen(lane.card.path)
    recipe = lane.settings(shared).recipe(model, card)
    return model, card, recipe, recipe.sampler(model)


def _newest_runs(progress: TaskProgress) -> list[ModelCard]:
    """Cards of the newest runs; those without weights yet are left out."""
    from arstudio.training.places import runs_root
    from arstudio.training.runs import list_runs

    cards = []
    for run in list_runs(runs_root())[:RUNS_OFFERED]:
        progress.check()
        try:
            cards.append(read_card(find_model(run.path)))
        except (ModelFileError, OSError):
            continue
    return cards
