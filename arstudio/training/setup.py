"""From what a person chose to a trainer ready to go, for a new run and for one that is resumed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from arstudio.data import DataView, ImageDataset
from arstudio.image import ImageError, ImageSpec
from arstudio.models import create
from arstudio.models.base import AutoregressiveModel, ConfigError
from arstudio.models.memory import available_bytes
from arstudio.models.registry import make_config
from arstudio.training.config import TrainConfig
from arstudio.training.loop import Draw, Trainer
from arstudio.training.record import start_run
from arstudio.training.runs import Run, RunError
from arstudio.training.workers import ALONE, Workers

PREPARE = 2000    # training images a model is shown before its first step, see AutoregressiveModel.prepare


class TooLarge(RunError):
    """A training that needs more memory than there is; the message says how much and what to change."""


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA, then Apple's MPS, then CPU. Raises RunError for a device this machine cannot compute on."""
    torch.backends.cudnn.allow_tf32 = False    # ten bits of mantissa are too few for an exact likelihood
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(name)
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()    # "meta" has room for shapes only
        if device.type == "cpu" and device.index:
            raise RuntimeError("all cores are one device")
    except (RuntimeError, AssertionError):
        raise RunError(f"This machine cannot compute on {name!r}; use cpu or auto.") from None
    return device


def build(
    model: str, spec: ImageSpec, num_classes: int, config: dict[str, Any], seed: int
) -> AutoregressiveModel:
    """A model with weights from `seed`, leaving torch's global generator as it was. Raises ConfigError, and TooLarge before
    it has taken the memory that training it would need."""
    cost, free = make_config(model, config).cost(spec, num_classes), available_bytes()
    if free is not None and cost.training_bytes(0) > free:
        raise TooLarge(
            f"A model of {cost.parameters:,} parameters needs {cost.training_bytes(0) / 1e9:,.1f} GB to be trained, and "
            f"{free / 1e9:.1f} GB are free; choose a smaller size or smaller settings."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create(model, spec, num_classes, **config)


def new_trainer(
    path: str | Path, view: DataView, model: str, config: TrainConfig, settings: dict[str, Any] | None = None,
    *, classes: bool = True, device: str = "auto", draw: Draw | None = None, command: str = "",
    data: ImageDataset | None = None, clock: Callable[[], float] = time.monotonic, workers: Workers = ALONE,
) -> Trainer:
    """Load data, build the model from `config.seed`, make the run directory.

    `classes` conditions on labels where the dataset has them; `clock` is what a budget of minutes counts; `data` is what
    `view` loads, where somebody has loaded it already; `workers` are the processes that train together, each of which calls
    this. Raises DatasetError, ConfigError or RunError.
    """
    data = data or _loaded(view, workers)
    num_classes = len(data.classes) if classes and data.train.y is not None else 0
    place = pick_device(workers.device(device))
    network = build(model, data.spec, num_classes, settings or {}, config.seed).to(place)
    network.prepare(torch.from_numpy(data.train.x[::max(1, len(data.train.x) // PREPARE)]))
    torch.manual_seed(config.seed)
    if workers.first:
        run = start_run(path, network, data, config, view=dataclasses.asdict(view), command=command)
    workers.wait()
    return Trainer(network, data, config, run if workers.first else Run.open(path), draw, clock=clock, workers=workers)


def _loaded(view: DataView, workers: Workers) -> ImageDataset:
    """The data, by the first process first: it may have to fetch or decode them."""
    data = view.load() if workers.first else None
    workers.wait()
    return data or view.load()


def resume_trainer(
    path: str | Path, *, minutes: float = 0.0, epochs: float = 0.0, device: str = "auto",
    draw: Draw | None = None, workers: Workers = ALONE,
) -> Trainer:
    """Continue a run where `latest.safetensors` left it, for the rest of its budget or longer. A run that
    was killed before its first save begins again.

    Raises RunError, DatasetError or ModelFileError; the run is left as it was then.
    """
    run = Run.open(path)
    try:
        record = run.record
        view, config = DataView(**record["view"]), TrainConfig(**record["training"])
        spec, settings, num_classes = ImageSpec(**record["spec"]), record["config"], record["num_classes"]
        make_config(record["model"], settings).check(spec)
        if not isinstance(num_classes, int) or num_classes < 0:
            raise TypeError(f"num_classes is {num_classes!r}")
    except (KeyError, TypeError, AttributeError, ConfigError, ImageError) as error:
        raise RunError(f"{path} has a damaged run.json ({str(error).rstrip('.')}); bring back a copy of it.") from None
    data = _loaded(view, workers)
    if data.spec != spec:
        raise RunError(
            f"This run was trained on images of {spec}, but the dataset now has {data.spec}; bring back the images it had, or "
            "start a new run."
        )
    network = build(record["model"], spec, num_classes, settings, config.seed).to(pick_device(workers.device(device)))
    network.prepare(torch.from_numpy(data.train.x[::max(1, len(data.train.x) // PREPARE)]))
    torch.manual_seed(config.seed)
    trainer = Trainer(network, data, config, run, draw, workers=workers)
    if (run.path / "latest.safetensors").exists() or record["status"] not in ("new", "training"):
        trainer.load()
        trainer.extend(minutes, epochs)
    else:
        run.points.clear()    # killed before its first save: it begins again, with the budget it was given
    return trainer
