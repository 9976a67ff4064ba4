"""`arstudio evaluate MODEL` and `arstudio evaluate completion MODEL`: likelihoods of datasets, whole and completed."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from arstudio.cli.console import UsageSentence, destination, leave_stopped, measured, open_model, say, show
from arstudio.cli.likelihood import likelihood, origin_of, view_for
from arstudio.cli.options import TOP_SEED, Device, Json, Model


class Evaluations(TyperGroup):
    """A group whose first command is meant where none is named: `evaluate MODEL` is `evaluate likelihood MODEL`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = ["likelihood", *args]
        return super().parse_args(ctx, args)


evaluations = typer.Typer(cls=Evaluations, rich_markup_mode="rich")
evaluations.command("likelihood")(likelihood)


@evaluations.callback()
def _evaluate() -> None:
    """Measure a model on a dataset: the likelihood of whole images, or of what is
    hidden of them.

    `evaluate MODEL` is `evaluate likelihood MODEL`; its options are listed by
    `arstudio evaluate likelihood --help`.

    Examples:

        arstudio evaluate digits-gated
        arstudio evaluate digits-gated --dataset digits --split test --json
        arstudio evaluate completion mnist-gated --masks top,left --limit 5
    """


@evaluations.command()
def completion(
    model: Model,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="A bundled dataset, folder or file; the one the model learned from by default.")
    ] = "",
    masks: Annotated[
        str, typer.Option(metavar="MASK,MASK,…", help="What is hidden: top, bottom, left, right, centre, blob, random:SHARE.")
    ] = "top,left,bottom,centre,blob,random:0.5",
    split: Annotated[str, typer.Option(metavar="train|validation|test", help="Which images.")] = "test",
    limit: Annotated[int, typer.Option(min=1, help="How many images, the first of the split.")] = 10,
    particles: Annotated[
        str, typer.Option(metavar="N,N,…", help="Numbers of particles; the curve shows whether there are enough.")
    ] = "16,64,256,1024",
    repeats: Annotated[int, typer.Option(help="Populations of each, whose spread is reported.")] = 1,
    moves: Annotated[int, typer.Option(help="Metropolis moves after each resampling.")] = 0,
    methods: Annotated[
        str, typer.Option(metavar="NAME,NAME,…", help="Which of clamp, exact and particles.")
    ] = "clamp,exact,particles",
    classes: Annotated[
        bool, typer.Option(help="Given the true classes, or as a person with a picture: left out where it can be.")
    ] = False,
    bound: Annotated[
        bool, typer.Option(help="Also how probable the images are as draws by so many particles, at least; twice the time.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, max=TOP_SEED, help="Of the particles.")] = 0,
    csv: Annotated[Path | None, typer.Option(metavar="CSV", help="Also write the rows here.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Also draw the curves here.")] = None,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Measure −log p(hidden | observed) on test images under fixed, seeded masks,
    by every method the model has.

    Nats an image and bits per hidden site. A curve over particles that still
    rises has not arrived: an estimate from few particles is too low on average,
    "at most" is too high, and what lies between goes away with more particles.

    Examples:

        arstudio evaluate completion digits-gated --limit 3 --particles 16,64
        arstudio evaluate completion mnist-gated --masks top,left --json
        arstudio evaluate completion mnist-lmconv --csv rows.csv --plot rows.png
    """
    for path, suffix in ((csv, ".csv"), (plot, ".png")):
        if path is not None:
            destination(path, suffix)
    curve = _numbers(particles)
    names = [name.strip() for name in methods.split(",") if name.strip()]
    unknown = [name for name in names if name not in ("clamp", "exact", "particles")]
    if unknown or not names:
        raise UsageSentence(f"--methods takes clamp, exact and particles with commas between them, not {methods!r}.")
    wanted = [mask.strip() for mask in masks.split(",") if mask.strip()]
    if not wanted:
        raise UsageSentence(f"--masks takes names with commas between them, such as top,left,random:0.5, not {masks!r}.")
    from arstudio.analysis.completion_scores import as_markdown, csv_text, score
    from arstudio.analysis.completion_scores import plot as draw
    from arstudio.models.modelfile import write_atomically
    from arstudio.sampling.export import png_bytes

    network, card = open_model(model, device)
    origin = origin_of(card)
    given = network.num_classes > 0 and (classes or network.config.class_dropout == 0)
    data = view_for(card, replace(origin, dataset=dataset or origin.dataset), split, given)
    chosen = data.splits[split]
    x = chosen.x[:limit]
    started = time.perf_counter()
    rows, stopped = measured(lambda bar: score(
        network, x, chosen.y[:limit] if given else None, wanted, curve=curve, repeats=repeats, moves=moves,
        methods=names, bound=bound, seed=seed, progress=bar,
    ))
    if not rows:
        raise UsageSentence(f"{card.name} has none of the ways {methods} for these masks; add clamp.")
    of = "given the class" if given else "class left out" if network.num_classes else "no classes"
    protocol = (
        f"{data.info.name} {split}, the first {len(x)} images once, {data.spec}, {data.protocol}, {of}; mean of "
        f"−log p(hidden | observed) ± standard error of the mean over images; gain: how far clamping is above; seed {seed}"
    )
    if csv is not None:
        write_atomically(csv, csv_text(rows).encode())
    if plot is not None:
        write_atomically(plot, png_bytes(draw(rows, f"{card.name}: -log p(hidden | observed), nats against clamping")))
    if json:
        show({"model": card.name, "protocol": protocol, "seconds": time.perf_counter() - started, "rows": rows})
    else:
        print(f"{as_markdown(rows)}\n\nProtocol: {protocol}.")
    for note in data.notes:
        say(note)
    if stopped:
        leave_stopped(f"rows measured until then: {len(rows)}")


def _numbers(text: str) -> list[int]:
    """"16,64" -> [16, 64]. Raises UsageSentence."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= 2 for part in parts):
        raise UsageSentence(f"--particles takes whole numbers of at least 2, such as 16,64,256, not {text!r}.")
    return [int(part) for part in parts]
