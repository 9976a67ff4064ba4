"""`arstudio train`: learn a model, into a run directory that can be stopped and resumed."""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress
from dataclasses import asdict
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from arstudio.cli.console import STOPPED, StoppableBar, UsageSentence, say, show
from arstudio.cli.options import TOP_SEED, Device, Json
from arstudio.progress import Cancelled, Progress

if TYPE_CHECKING:
    from arstudio.models.base import AutoregressiveModel
    from arstudio.training.loop import Trainer


def train(
    context: typer.Context,
    dataset: Annotated[
        str,
        typer.Option(metavar="NAME", help="A dataset (see `arstudio datasets`), a folder of pictures, a file of images."),
    ] = "",
    model: Annotated[
        str, typer.Option(metavar="NAME", help="An architecture, see `arstudio models`.")
    ] = "gated_pixelcnn",
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="The run directory; runs/DATASET-MODEL-N by default."),
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with this run.")] = None,
    recipe: Annotated[
        str,
        typer.Option(
            metavar="quick|good|paper",
            help="Take size, view, time and rates from a recipe for this model and dataset, except what is said here.",
        ),
    ] = "",
    minutes: Annotated[float, typer.Option(help="Train this long. With --resume: this much longer.")] = 0.0,
    epochs: Annotated[float, typer.Option(help="Or see every image this often.")] = 0.0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the model; repeat it for more."),
    ] = None,
    preset: Annotated[
        str, typer.Option(metavar="small|medium|paper", help="The size of the model, before --set.")
    ] = "medium",
    levels: Annotated[
        int, typer.Option(help="View the images at this many levels; -1 keeps their own.")
    ] = -1,
    size: Annotated[
        int, typer.Option(help="View the images at this many pixels a side; 0 keeps their own.")
    ] = 0,
    cell: Annotated[
        int, typer.Option(help="Cut one picture, a sprite sheet, into images of this many pixels a side.")
    ] = 0,
    crop: Annotated[
        str,
        typer.Option(
            metavar="middle|left|right|top|bottom",
            help="The part of a folder's pictures that is kept where they are not square.",
        ),
    ] = "middle",
    grey: Annotated[bool, typer.Option("--grey", help="View coloured images by their brightness.")] = False,
    binarise: Annotated[
        str,
        typer.Option(
            metavar="static|threshold",
            help="How 2 levels are made: drawn once by brightness, or cut at half.",
        ),
    ] = "static",
    classes: Annotated[bool, typer.Option(help="Learn p(x | class) where the dataset has classes.")] = True,
    seed: Annotated[int, typer.Option(min=0, max=TOP_SEED, help="Of the weights, the order of images and the samples.")] = 0,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 32,
    lr: Annotated[float, typer.Option(help="Learning rate at its highest.")] = 2e-3,
    ema: Annotated[float, typer.Option(help="Decay of the average of the weights.")] = 0.998,
    patience: Annotated[int, typer.Option(help="Stop after this many epochs without progress; 0 never.")] = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Train a model.

    Ctrl-C stops at the next safe place and keeps everything; --resume goes on
    from there. The run directory is a MODEL for every other command.

    Examples:

        arstudio train --dataset digits --recipe quick
        arstudio train --dataset digits --model gated_pixelcnn --minutes 2
        arstudio train --dataset mnist --levels 2 --model nade --epochs 20
        arstudio train --dataset emoji --size 16 --levels 16 --minutes 30
        arstudio train --dataset icons/ --size 24 --crop top --minutes 10
        arstudio train --dataset sprites.png --cell 16 --levels 16 --minutes 10
        arstudio train --dataset fashion --set channels=48 --epochs 9 --out RUN
        arstudio train --resume RUN --epochs 3
        torchrun --standalone --nproc-per-node 2 -m arstudio train --resume RUN
    """
    if resume is not None and (dataset or out_dir is not None):
        raise UsageSentence("--resume takes everything from the run itself; leave out --dataset and --out.")
    if resume is None and not dataset:
        raise UsageSentence(
            "Say what to learn from, such as --dataset digits, or --resume RUN to go on with a run."
        )
    from arstudio.models import preset_settings
    from arstudio.training import recipes
    from arstudio.training.config import TrainConfig
    from arstudio.training.evaluation import units
    from arstudio.training.places import free_name
    from arstudio.training.setup import DataView, new_trainer, resume_trainer
    from arstudio.training.workers import join

    workers = join(device)
    if workers.size > 1 and resume is None:
        if out_dir is None:
            raise UsageSentence("Under torchrun, name the run directory with --out, so that every process finds it.")
        if int(environ.get("TORCHELASTIC_RESTART_COUNT", "0")) and (out_dir / "run.json").exists():
            resume = out_dir    # a process was lost and all are started again
    if resume is not None:
        trainer = resume_trainer(resume, minutes=minutes, epochs=epochs, device=device, draw=_film, workers=workers)
    else:
        settings = preset_settings(model, preset)
        if recipe:
            followed = recipes.recipe(recipe, model, dataset)

            def told(*names: str) -> bool:
                return any(context.get_parameter_source(name).name == "COMMANDLINE" for name in names)

            if not told("minutes", "epochs"):
                minutes, epochs = followed.minutes, followed.epochs
            settings = settings if told("preset") else followed.settings
            levels = levels if told("levels") or followed.levels is None else followed.levels
            size = size if told("size") or followed.size is None else followed.size
            batch = batch if told("batch") else followed.batch
            lr = lr if told("lr") else followed.learning_rate
            ema = ema if told("ema") else followed.ema
            patience = patience if told("patience") else followed.patience
        view = DataView(
            dataset=dataset, levels=None if levels == -1 else levels, size=size or None, binarise=binarise,
            cell=cell or None, grey=grey, crop=crop,
        )
        config = TrainConfig(
            minutes=minutes,
            epochs=epochs,
            seed=seed,
            batch=batch,
            learning_rate=lr,
            ema=ema,
            patience=patience,
        )
        trainer = new_trainer(
            out_dir or Path("runs") / free_name(f"{Path(dataset).stem}-{model}", Path("runs")),
            view,
            model,
            config,
            settings | _pairs(set_ or []),
            classes=classes,
            device=device,
            draw=_film,
            command="arstudio " + shlex.join(sys.argv[1:]),
            workers=workers,
        )
    if not workers.first:
        trainer.fit()
        workers.leave()
        return
    for note in trainer.data.notes:
        say(note)
    with StoppableBar() as bar:
        if resume is None:
            with suppress(Cancelled):    # which `fit` answers, as the run is there by now
                _expect(trainer, dataset, bar)
        outcome = trainer.fit(bar)
    workers.leave()
    run = trainer.run.path
    again = f"arstudio train --resume {shlex.quote(str(run))}"
    if json:
        show(
            {
                "run": run,
                "status": outcome.status,
                "sentence": outcome.sentence,
                "resume": again,
                "best_nats": outcome.best_nats,
                "best_bits_per_dim": trainer.bits_per_dim(outcome.best_nats),
                "split": "validation",
                "protocol": trainer.data.protocol + units(trainer.model.spec, trainer.native),
                "parameters": trainer.model.num_parameters,
                "epochs": trainer.live.epoch,
                "seconds": trainer.live.seconds,
            }
        )
    else:
        print(outcome.sentence)
        print(
            f"Go on with: {again}"
            if outcome.status == "stopped"
            else f"The model is in {run}; see it draw: arstudio sample {shlex.quote(str(run))} --out grid.png"
        )
    if outcome.status in ("stopped", "diverged"):
        raise typer.Exit(STOPPED if outcome.status == "stopped" else 1)


def _expect(trainer: Trainer, dataset: str, progress: Progress) -> None:
    """Say what a new run may be expected to reach, where such a model was measured; a budget of minutes is told in epochs by
    a few steps of the probe. Raises Cancelled if stopped meanwhile."""
    from arstudio.training.estimate import estimate
    from arstudio.training.expectations import expectation

    model, config, data = trainer.model, trainer.config, trainer.data
    if expectation(model.name, dataset, data.spec, model.num_parameters, float("inf")) is None:
        return
    epochs, pace = config.epochs, ""
    if not epochs and not model.closed_form:
        settings = asdict(model.config)
        images, batch = len(data.train.x), min(config.batch, len(data.train.x))
        device = str(model.device)
        found = estimate(model.name, data.spec, model.num_classes, settings, batch, images, device, progress=progress)
        epochs, pace = found.epochs(config.minutes), f"{found.seconds_per_epoch:.3g} s an epoch, "
        pace += f"so about {epochs:.3g} in {config.minutes:g} min. "
    expected = expectation(model.name, dataset, data.spec, model.num_parameters, epochs or 1)
    say(pace + (expected.sentence(trainer.bits_per_dim(expected.nats)) if expected else "No run as short was measured."))


def _film(model: AutoregressiveModel, count: int, seed: int) -> np.ndarray:
    """The samples a run keeps: (count, C, H, W) levels, classes in turn."""
    from arstudio.sampling import SampleSettings, sample
    from arstudio.sampling.sampler import balanced_classes

    return sample(
        model, count, SampleSettings(seed=seed), balanced_classes(model.num_classes, count)
    ).images()


def _pairs(items: list[str]) -> dict[str, str]:
    """["channels=32", …] -> {"channels": "32", …}. Raises UsageSentence for anything else."""
    pairs = {}
    for item in items:
        key, sign, value = item.partition("=")
        if not sign or not key.strip():
            raise UsageSentence(f"--set takes key=value, such as --set channels=32, not {item!r}.")
        pairs[key.strip().replace("-", "_")] = value.strip()
    return pairs
