"""One run as the Train panel sees it, live or read from disk, and the work that trains it.

A `Session` is written by the worker and read by the screen, which looks at it twice a second. torch is
imported inside the work only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from arstudio.data import DataView, Shelf
from arstudio.gui.tasks import TaskProgress
from arstudio.image import ImageError, ImageSpec, from_pil, open_picture
from arstudio.progress import Cancelled, Muted, Progress
from arstudio.training.baselines import uniform_nats
from arstudio.training.lock import writer_of
from arstudio.training.recipes import Recipe, size_settings
from arstudio.training.runs import Run, RunError

QUICKLY = 20_000_000    # parameters of a network whose receptive field is worked out in a moment
RESUMABLE = ("stopped", "training", "interrupted", "diverged")   # `training` on disk: the program ended first


@dataclass(frozen=True)
class Choice:
    """What a person chose: data view, model with settings, budget, and how to train."""

    view: DataView
    model: str
    recipe: Recipe                                             # where everything comes from that is not said here
    preset: str
    changes: dict[str, Any]                                    # settings of the model other than the preset's
    minutes: float
    epochs: float
    name: str
    training: dict[str, Any] = field(default_factory=dict)     # fields of TrainConfig
    classes: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the model; loads torch."""
        return size_settings(self.model, self.preset) | self.recipe.changes | self.changes

    @property
    def config(self) -> dict[str, Any]:
        """Fields of TrainConfig."""
        rates = {key: getattr(self.recipe, key) for key in ("batch", "learning_rate", "ema", "patience")}
        return {"minutes": self.minutes, "epochs": self.epochs, **rates, **self.training}

    @property
    def command(self) -> str:
        """The same training on the command line."""
        import shlex

        view, config = self.view, self.config
        parts = ["arstudio", "train", "--dataset", view.dataset, "--model", self.model, "--out", self.name]
        parts += ["--minutes", f"{self.minutes:g}"] if self.minutes else ["--epochs", f"{self.epochs:g}"]
        for option, value in (("levels", view.levels), ("size", view.size), ("cell", view.cell)):
            parts += [f"--{option}", str(value)] if value is not None else []
        parts += ["--grey"] if view.grey else []
        parts += ["--crop", view.crop] if view.crop != "middle" else []
        parts += ["--binarise", view.binarise] if view.binarise != "static" else []
        parts += ["--preset", self.preset] if self.preset != "medium" else []
        parts += ["--batch", str(config["batch"]), "--lr", f"{config['learning_rate']:g}", "--ema", f"{config['ema']:g}"]
        parts += ["--patience", str(config["patience"])] if config["patience"] else []
        for key, value in (self.recipe.changes | self.changes).items():
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            parts += ["--set", f"{key}={text}"]
        return shlex.join(parts)


class Session:
    """A run on screen. `live` is a training.watch.Live or a Stored; None until there is something to show."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec: ImageSpec | None = None
        self.live: Any = None
        self.parameters = 0
        self.native = 0                            # levels that reals were dequantised from
        self.baselines: dict[str, float] = {}      # nats per image
        self.limit = 0.0                           # seconds of the whole budget, as far as known
        self.plan: list[float] = []                # seconds at which film frames are drawn
        self.status = "training"
        self.probed: Probed | None = None          # what was measured before it started, or as it did
        self.budget = 0.0, 0.0                     # minutes and epochs in all
        self.trainer: Any = None                   # while it trains here
        self.writer = ""                           # who else writes it, "process 12 on host"

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.name

    def comparable(self, nats: float) -> float:
        """Nats of an image as shown: of reals the bound on those of the native levels."""
        return self.spec.comparable_nats(nats, self.native)

    def bits_per_dim(self, nats: float) -> float:
        """The same as bits per dimension."""
        return self.spec.bits_per_dim(nats, self.native)

    @property
    def has_best(self) -> bool:
        """True if there are weights to draw with."""
        return (self.path / "best.safetensors").exists()

    @property
    def resumable(self) -> bool:
        """True if there is a state on disk to go on from."""
        return not self.writer and self.status in RESUMABLE and (self.path / "latest.safetensors").exists()

    def attach(self, trainer: Any) -> None:
        """Show what a trainer does from now on."""
        from arstudio.training.loop import FILM

        data, spec = trainer.data, trainer.model.spec
        self.spec, self.parameters = spec, trainer.model.num_parameters
        self.native = data.info.spec.levels
        self.baselines = _baselines(spec, self.native, trainer.run.record)
        self.trainer = trainer
        minutes = bool(trainer.config.minutes)
        total = trainer.budget.total
        self.budget = (total / 60, 0.0) if minutes else (0.0, total)
        self.limit = total if minutes else 0.0
        self.plan = [share * total for share in FILM] if minutes else []
        if trainer.live.step:      # resumed: what was drawn and kept before
            trainer.live.film[:0] = stored_film(trainer.run, spec)
            trainer.live.snapshots[:0] = trainer.run.snapshots()
            trainer.live.loss_map = trainer.run.loss_map()
        self.live = trainer.live

    @classmethod
    def stored(cls, run: Run) -> Session:
        """A run as it lies on disk. Raises RunError if its record is damaged."""
        session = cls(run.path)
        record = run.record
        try:
            session.spec = ImageSpec(**record["spec"])
            session.status = record["status"]
            minutes = float(record["training"].get("minutes") or 0)
        except (KeyError, TypeError, ValueError, ImageError) as error:
            raise RunError(f"{run.path} has a damaged run.json ({error}).") from None
        session.writer = writer_of(run.path)
        session.parameters = int(record.get("parameters", 0))
        session.native = int(record.get("native_levels", 0))
        session.baselines = _baselines(session.spec, session.native, record)
        session.live = Stored(run, session.spec)
        session.limit = max(60 * minutes, session.live.seconds)
        return session


class Stored:
    """The figures of a run on disk, under the names that training.watch.Live gives them."""

    def __init__(self, run: Run, spec: ImageSpec) -> None:
        self.points = run.points
        self.step_seconds: list[float] = []
        self.step_nats: list[float] = []
        self.film = stored_film(run, spec)
        self.notes = [str(note) for note in run.record.get("notes", ())]
        self.snapshots = run.snapshots()
        self.shared = None
        self.loss_map = run.loss_map()
        self.best_nats = min((p.validation_nats for p in run.points), default=math.inf)
        last = run.points[-1] if run.points else None
        self.learning_rate = last.learning_rate if last else math.nan
        self.gradient_norm = last.gradient_norm if last else math.nan
        self.epoch = float(run.record.get("epochs_done") or (last.epoch if last else 0.0))
        self.seconds = float(run.record.get("seconds") or (last.seconds if last else 0.0))
        self.images_per_second = last.images_per_second if last else math.nan
        self.fraction = 1.0
        self.eta = math.nan


def _baselines(spec: ImageSpec, native: int, record: dict[str, Any]) -> dict[str, float]:
    """What a run must beat, nats per image; of runs of earlier versions two of them."""
    found = {"uniform": spec.comparable_nats(uniform_nats(spec), native)} if spec.levels or native else {}
    if "histogram_nats" in record:
        found["histogram"] = float(record["histogram_nats"])
    return found | {str(name): float(nats) for name, nats in record.get("baselines", {}).items()}


def stored_film(run: Run, spec: ImageSpec) -> list[tuple[float, np.ndarray]]:
    """(seconds, images (n, C, H, W)) of the first row of every sample sheet, oldest first."""
    steps = [p.step for p in run.points]
    seconds = [p.seconds for p in run.points]
    film = []
    for path in sorted((run.path / "samples").glob("*.png")):
        try:
            sheet = open_picture(path)
            cell_w, cell_h = 2 * spec.width + 1, 2 * spec.height + 1       # as training.loop draws it
            columns = min((sheet.width - 1) // cell_w, 4)
            boxes = [(1 + i * cell_w, 1, 1 + i * cell_w + 2 * spec.width, cell_h) for i in range(columns)]
            images = np.stack([from_pil(sheet.crop(box), spec, fit=True) for box in boxes])
            film.append((float(np.interp(int(path.stem), steps, seconds)) if steps else 0.0, images))
        except (ImageError, ValueError):
            continue
    return film


def train(session: Session, choice: Choice, shelf: Shelf) -> Callable[[TaskProgress], Any]:
    """The work of a new run; it returns a training.loop.Outcome and raises errors of one sentence."""

    def work(progress: TaskProgress) -> Any:
        from arstudio.training.config import TrainConfig
        from arstudio.training.setup import new_trainer

        progress.report(None, "loading data and building the network")
        config = TrainConfig(**choice.config)
        trainer = new_trainer(
            session.path, choice.view, choice.model, config, choice.settings, classes=choice.classes,
            draw=draw_film(progress), command=choice.command, data=shelf.load(choice.view, progress),
        )
        return _fit(session, trainer, progress)

    return work


def resume(session: Session, minutes: float = 0.0, epochs: float = 0.0) -> Callable[[TaskProgress], Any]:
    """The work of continuing a run; `minutes` or `epochs` beyond its budget when that is spent."""

    def work(progress: TaskProgress) -> Any:
        from arstudio.training.setup import resume_trainer

        progress.report(None, "reading the last saved state")
        return _fit(session, resume_trainer(session.path, minutes=minutes, epochs=epochs, draw=draw_film(progress)), progress)

    return work


def _fit(session: Session, trainer: Any, progress: TaskProgress) -> Any:
    session.attach(trainer)
    progress.publish(session.live)
    _measure_late(session, trainer, progress)
    try:
        return trainer.fit(progress)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            sentence = "Memory ran out; choose a smaller batch, a smaller size or fewer levels."
            raise RunError(sentence) from error
        raise


def _measure_late(session: Session, trainer: Any, progress: TaskProgress) -> None:
    """What a person who started at once, or went on with a run, has not seen measured: before the first step, because the
    probe and a training share torch's generator. A network too large to measure in a moment is left alone."""
    from arstudio.models.base import ConfigError

    model, data = trainer.model, trainer.data
    if (session.probed is not None and session.probed.sees is not None) or model.num_parameters >= QUICKLY:
        return
    view = trainer.run.record["view"]
    with contextlib.suppress(RunError, ConfigError, Cancelled):    # the training itself ends, or says what is wrong
        session.probed = _measured(
            Probed(model.name, {}), dataclasses.asdict(model.config), data.spec, model.num_classes, trainer.config.batch,
            len(data.train), view["dataset"], progress,
        )


def draw_film(progress: Progress) -> Callable[[Any, int, int], np.ndarray]:
    """What a trainer draws its samples with, (model, count, seed) -> (count, C, H, W) levels; it stops with `progress`."""

    def draw(model: Any, count: int, seed: int) -> np.ndarray:
        from arstudio.sampling.draw import SampleSettings
        from arstudio.sampling.sampler import Sampler, balanced_classes

        sampler = Sampler(model, SampleSettings(seed=seed), count, balanced_classes(model.num_classes, count))
        with contextlib.suppress(Cancelled):    # then the frame stays half drawn, and the trainer ends
            sampler.run(Muted(progress))
        return sampler.trace.images()

    return draw


@dataclass(frozen=True)
class Probed:
    """What the probe learned: fields of the model's config with their values, then the estimate, and how much
    of the past the middle pixel sees, 0 … 1."""

    model: str
    fields: dict[str, Any]
    estimate: Any = None
    sees: float | None = None
    spec: ImageSpec | None = None
    dataset: str = ""

    def passes(self, minutes: float, epochs: float) -> float:
        """How often a budget shows every image, and 0 while that is not known."""
        return epochs or (self.estimate.epochs(minutes) if self.estimate is not None else 0.0)


def probe(choice: Choice, shelf: Shelf) -> Callable[[TaskProgress], Probed]:
    """The work of measuring a choice before it is started. Publishes the config's fields first."""

    def work(progress: TaskProgress) -> Probed:
        from arstudio.models import MODELS

        fields = {f.name: f.default for f in dataclasses.fields(MODELS[choice.model].config)}
        first = Probed(choice.model, fields)
        progress.publish(first)
        data = shelf.load(choice.view, Muted(progress))
        progress.check()
        num_classes = len(data.classes) if choice.classes and data.train.y is not None else 0
        return _measured(
            first, choice.settings, data.spec, num_classes, choice.config["batch"], len(data.train), choice.view.dataset,
            progress, progress.publish,
        )

    return work


def _measured(
    first: Probed, settings: dict[str, Any], spec: ImageSpec, num_classes: int, batch: int, images: int, dataset: str,
    progress: TaskProgress, publish: Callable[[Probed], None] = lambda _: None,
) -> Probed:
    """The estimate, published when it is there, and what the network sees, where that takes no more than a moment."""
    from arstudio.training.estimate import estimate

    found = estimate(first.model, spec, num_classes, settings, batch, images, progress=progress)
    learned = replace(first, estimate=found, spec=spec, dataset=dataset)
    publish(learned)
    progress.check()
    return replace(learned, sees=_share_seen(first.model, settings, spec)) if found.parameters < QUICKLY else learned


def _share_seen(name: str, settings: dict[str, Any], spec: ImageSpec) -> float:
    """Share of the past that the pixel in the middle of the last row sees, on random weights."""
    import torch

    from arstudio.analysis.maps import sees
    from arstudio.training.setup import build

    model = build(name, spec, 0, settings, 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():      # some begin at zero, which would look blind
            p.add_(torch.randn(p.shape, generator=generator), alpha=0.05)
    site = (0, spec.height - 1, spec.width // 2)
    seen = sees(model, site, inputs=1)
    step = model.order.sites(spec.channels)
    before = step[:int(np.flatnonzero(step == np.ravel_multi_index(site, spec.shape))[0])]
    return float((seen.ravel()[before] > 0).mean()) if len(before) else 1.0
