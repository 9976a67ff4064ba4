"""`arstudio bench`: how fast everything is, and how well systems learn."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arstudio.cli.console import (
    UsageSentence,
    destination,
    destination_folder,
    folder_made,
    leave_stopped,
    measured,
    open_model,
    say,
    show,
    tables,
)
from arstudio.cli.options import TOP_SEED, Device, Json, Method

if TYPE_CHECKING:
    from arstudio.analysis.benchmarks import SamplingBenchmark
    from arstudio.analysis.jacobi_bench import Iterations
    from arstudio.analysis.model_table import Row
    from arstudio.analysis.training_speed import TrainingBenchmark
    from arstudio.image import ImageSpec
    from arstudio.progress import Progress

bench = typer.Typer(rich_markup_mode="rich")

Batch = Annotated[str, typer.Option(metavar="N,N,…", help="How many images are drawn at once.")]
Repeats = Annotated[int, typer.Option(min=1, help="Interleaved repeats; medians are reported.")]
Architectures = Annotated[str, typer.Option(metavar="NAME,NAME,…", help="Architectures; all of them by default.")]
Preset = Annotated[str, typer.Option(metavar="small|medium|paper", help="Size of every model.")]
WEEK = 7 * 86_400    # seconds


@bench.callback(invoke_without_command=True)
def _bench(context: typer.Context) -> None:
    """Measure how fast images are drawn, how fast and how well systems learn, how
    fast the window opens.

    Close other programs first: figures of a busy machine say little.

    Examples:

        arstudio bench sampling --json
        arstudio bench systems
        arstudio bench training
        arstudio bench models --dataset digits:17 --seconds 30
        arstudio bench gui
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


@bench.command()
def gui(json: Json = False) -> None:
    """Measure the window: how soon it is there, how smoothly it follows a
    drawing, how fast a click is answered, what a training in it costs, whether
    memory stays flat.

    Takes about five minutes. Without a display the window is painted offscreen.

    Examples:

        arstudio bench gui
        arstudio bench gui --json
    """
    from arstudio.gui.benchmark import run

    raise typer.Exit(run(json) or 0)


@bench.command()
def sampling(
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="A bundled name, model file or run; the reference network by default."
        ),
    ] = "",
    batch: Batch = "1,16,64",
    method: Method = "auto",
    repeats: Repeats = 3,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Measure the speed of drawing against the naive way, one forward pass and the
    arithmetic floor.

    Without --model the reference network is measured: Gated PixelCNN, 11 layers
    × 128 channels, 28×28, 2 levels, random weights. Naive drawing is really run
    where it takes under a minute, and then must give the same pixels; otherwise
    it is extrapolated from timed passes, and labelled so. Leave the machine
    alone meanwhile.

    Examples:

        arstudio bench sampling --json
        arstudio bench sampling --model mnist-gated --batch 1,16
        arstudio bench sampling --model digits-gated --batch 1 --method jacobi
    """
    sizes = _sizes(batch)
    from arstudio.analysis.benchmarks import bench_sampling, reference_network
    from arstudio.training.setup import pick_device

    if model:
        network, card = open_model(model, device)
        name = card.name
    else:
        network, name = reference_network().to(pick_device(device)), "reference network"
    result, stopped = measured(
        lambda bar: bench_sampling(network, name, batches=sizes, method=method, repeats=repeats, progress=bar)
    )
    if json:
        show(result)
    else:
        _print(result)
    if any(row.identical is False for row in result.rows):
        say(f"Naive and {method} sampling gave different pixels: a bug, please report it with this output.")
        raise typer.Exit(1)
    if stopped:
        leave_stopped(f"repeats measured until then: {result.repeats} of {repeats}, without the peak of memory")


@bench.command()
def systems(
    model: Architectures = "",
    image: Annotated[
        str, typer.Option(metavar="HxW:LEVELS", help="Size and levels of the images, or CxHxW:LEVELS.")
    ] = "28x28:2",
    preset: Preset = "small",
    batch: Batch = "1",
    method: Method = "auto",
    repeats: Repeats = 3,
    json: Json = False,
) -> None:
    """Measure how fast every system draws, in forward passes, and what limits it.

    Weights are random, from a fixed seed. Naive drawing is really run where it
    takes under ten seconds, otherwise extrapolated, marked *. Leave the machine
    alone meanwhile.

    Examples:

        arstudio bench systems
        arstudio bench systems --image 8x8:17 --model pixelcnn,wavenet
        arstudio bench systems --batch 1,64 --method jacobi --json
    """
    from arstudio.analysis.system_speeds import as_markdown, bench_systems

    sizes, spec = _sizes(batch), _image(image)
    names = [part.strip() for part in model.split(",") if part.strip()]
    rows, stopped = measured(
        lambda bar: bench_systems(spec, names, preset=preset, batches=sizes, method=method, repeats=repeats, progress=bar)
    )
    if json:
        show({"image": spec, "preset": preset, "rows": rows})
    else:
        print(f"{spec}, preset {preset}\n\n{as_markdown(rows)}\n\n{rows[0].figures.protocol}")
    if stopped:
        leave_stopped(f"systems measured until then: {len(rows)}")


@bench.command()
def jacobi(
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write iterations.png and iterations.json here.")
    ] = None,
    sides: Annotated[str, typer.Option(metavar="N,N,…", help="Sizes of the images, up to 28.")] = "7,14,21,28",
    seconds: Annotated[float, typer.Option(min=1, max=WEEK, help="Processor seconds of training a size.")] = 60,
    images: Annotated[int, typer.Option(min=1, help="Images drawn at each size.")] = 16,
    json: Json = False,
) -> None:
    """Count the Jacobi iterations an image takes, against its size.

    A MADE is trained on mnist (2 levels) at each size and draws images one at a
    time by full passes. Every image must be the one that site-by-site drawing
    gives.

    Examples:

        arstudio bench jacobi --out iterations
        arstudio bench jacobi --sides 7,14 --seconds 10 --json
    """
    from arstudio.analysis.jacobi_bench import bench_jacobi, plot
    from arstudio.models.modelfile import write_atomically
    from arstudio.sampling.export import png_bytes

    sizes = _numbers(sides, "--sides takes whole numbers with commas, such as 7,14,28")
    if out_dir is not None:
        destination_folder(out_dir)
    rows, stopped = measured(lambda bar: bench_jacobi(sizes, seconds=seconds, images=images, progress=bar))
    figures = [{**asdict(row), "mean": row.mean, "most": max(row.iterations)} for row in rows]
    if out_dir is not None:
        picture = png_bytes(plot(rows))
        with folder_made(out_dir):
            write_atomically(out_dir / "iterations.json", dumps({"rows": figures}, indent=1).encode())
            write_atomically(out_dir / "iterations.png", picture)
    if json:
        show({"rows": figures})
    else:
        _print_iterations(rows)
    if not all(row.identical for row in rows):
        say("Jacobi and site-by-site sampling gave different pixels: a bug, please report it with this output.")
        raise typer.Exit(1)
    if stopped:
        leave_stopped(f"sizes measured until then: {len(rows)} of {len(sizes)}")


@bench.command()
def training(
    channels: Annotated[str, typer.Option(metavar="N,N,…", help="Widths of the network.")] = "32,64",
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 32,
    image: Annotated[str, typer.Option(metavar="HxW:LEVELS", help="Size and levels of the images.")] = "28x28:2",
    repeats: Repeats = 7,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Time a training step against Gated PixelCNN written in two other ways:
    the paper in plain masked convolutions, and the arrangement of public code.

    All have seven layers and as many parameters; the plain one sees the same
    pixels, the public one a part of them. Their steps take turns in one process.
    Leave the machine alone meanwhile.

    Examples:

        arstudio bench training --json
        arstudio bench training --channels 16 --image 8x8:17 --batch 16
    """
    from arstudio.analysis.training_speed import bench_training

    widths, spec = _numbers(channels, "--channels takes whole numbers with commas, such as 32,64"), _image(image)
    if spec.channels != 1 or spec.height != spec.width or spec.levels == 0:
        raise UsageSentence("--image takes square images of one colour and some levels here, such as 28x28:2.")
    result, stopped = measured(lambda bar: bench_training(
        channels=widths, batch=batch, side=spec.height, levels=spec.levels, repeats=repeats, device=device, progress=bar
    ))
    if json:
        show(result)
    else:
        _print_steps(result)
    if stopped:
        leave_stopped(f"repeats measured until then: {result.repeats} of {repeats}")


def _print_steps(result: TrainingBenchmark) -> None:
    from rich.table import Table

    table = Table("Channels", "Network", "Parameters", "Seconds", "Images/s", "Times ours", box=None, header_style="bold")
    for row in result.rows:
        figures = f"{row.parameters:,}", f"{row.seconds:.3f}", f"{row.images_per_second:,.0f}", f"{row.times_ours:.2f}"
        table.add_row(str(row.channels), row.network, *figures)
    console = tables()
    console.print(table)
    console.print(result.protocol)


def _print_iterations(rows: list[Iterations]) -> None:
    from rich.table import Table

    table = Table("Size", "Sites D", "Validation nats", "Iterations", "Most", "", box=None, header_style="bold")
    most = max(max(row.iterations) for row in rows)
    for row in rows:
        bar = "█" * max(1, round(24 * row.mean / most))
        size = f"{row.side}×{row.side}"
        table.add_row(size, str(row.sites), f"{row.validation_nats:.2f}", f"{row.mean:.1f}", str(max(row.iterations)), bar)
    tables().print(table)


@bench.command()
def models(
    dataset: Annotated[
        str, typer.Option(metavar="NAME:LEVELS,…", help="Views of bundled datasets, one table each.")
    ] = "digits:17,mnist:2",
    model: Architectures = "",
    seconds: Annotated[float, typer.Option(min=1, max=WEEK, help="Processor seconds of training a row.")] = 120,
    preset: Preset = "small",
    test_images: Annotated[int, typer.Option(min=0, help="Images to test on; 0 for the whole test split.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Rows measured at once, each on one core.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=TOP_SEED, help="Seed of weights, order of images and drawings.")] = 0,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="FILE.json", help="Keep rows here as they come; rows already there stay."),
    ] = None,
    json: Json = False,
) -> None:
    """Train every system with the same budget and compare test figures, sizes and
    speeds.

    A row is trained in a process of its own with one thread, and its budget is
    processor time, so other work on the machine makes the table later but hardly
    different. Test figures are exact log-likelihoods.

    Examples:

        arstudio bench models --dataset digits:17 --model fvsbn,nade --seconds 30
        arstudio bench models --workers 2 --keep table.json
        arstudio bench models --keep table.json --json
    """
    from arstudio.analysis.model_table import Job, as_markdown, measure_all, read_rows, write_rows
    from arstudio.models import MODELS, make_config

    names = [part.strip() for part in model.split(",") if part.strip()] or list(MODELS)
    for name in names:
        make_config(name, {})    # says which models there are
    views = _views(dataset)
    if keep:
        destination(keep, ".json")
    try:
        kept = read_rows(keep) if keep else []
    except (ValueError, KeyError, TypeError):
        raise UsageSentence(f"{keep} holds no rows of this benchmark, and is left as it is; give another name.") from None
    there = {(row.job.model, row.job.dataset, row.job.levels) for row in kept}
    jobs = [
        Job(name, data, levels, seconds, preset, seed=seed, test_images=test_images)
        for data, levels in views for name in names if (name, data, levels) not in there
    ]
    rows = list(kept)

    def work(bar: Progress) -> list[Row]:
        def done(row: Row) -> None:
            rows.append(row)
            if keep:
                write_rows(keep, rows)
            bar.publish(rows)

        measure_all(jobs, workers=workers, done=done, progress=bar)
        return rows

    rows, stopped = measured(work)
    if json:
        show({"rows": rows})
    else:
        for data, levels in views:
            print(f"{data}, {levels} levels\n\n{as_markdown(rows, data)}\n")
    if stopped:
        leave_stopped(f"rows measured until then: {len(rows)}")


def _views(text: str) -> list[tuple[str, int]]:
    """"digits:17,mnist:2" -> [("digits", 17), ("mnist", 2)]. Raises UsageSentence."""
    parts = [part.strip().partition(":") for part in text.split(",")]
    if not all(name and levels.isdecimal() for name, _, levels in parts):
        raise UsageSentence(f"--dataset takes names with levels, such as digits:17,mnist:2, not {text!r}.")
    return [(name, int(levels)) for name, _, levels in parts]


def _image(text: str) -> ImageSpec:
    """ "28x28:2" -> one channel of 28×28, 2 levels; "3x8x8:256" for colours. Raises UsageSentence, ImageError."""
    from arstudio.image import ImageSpec

    shape, _, levels = text.partition(":")
    sides = shape.lower().replace("×", "x").split("x")
    if len(sides) not in (2, 3) or not all(part.isdecimal() for part in (*sides, levels)):
        raise UsageSentence(f"--image takes height, width and levels, such as 28x28:2 or 3x8x8:256, not {text!r}.")
    channels, height, width = map(int, sides if len(sides) == 3 else ("1", *sides))
    return ImageSpec(channels, height, width, int(levels))


def _sizes(text: str) -> tuple[int, ...]:
    """ "1,16" -> (1, 16). Raises UsageSentence."""
    return _numbers(text, "--batch takes whole numbers with commas, such as 1,16,64")


def _numbers(text: str, takes: str) -> tuple[int, ...]:
    """Whole numbers with commas, each above 0. Raises UsageSentence, which begins with what the option takes."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageSentence(f"{takes}, not {text!r}.")
    return tuple(int(part) for part in parts)


def _print(result: SamplingBenchmark) -> None:
    from rich.table import Table

    table = Table(
        "Images",
        "Seconds",
        "Sites/s",
        "Naive s",
        "× naive",
        "ρ",
        "× floor",
        "Cache MB",
        "Peak MB",
        "Same",
        box=None,
        header_style="bold",
    )
    for row in result.rows:
        same = {True: "yes", False: "NO", None: "not run"}[row.identical]
        naive = f"{row.naive_seconds:.1f}" + ("" if row.naive_source == "measured" else " *")
        table.add_row(
            str(row.batch),
            f"{row.seconds:.3f}",
            f"{row.sites_per_second:,.0f}",
            naive,
            f"{row.ratio_to_naive:.3g}",
            f"{row.rho:.2f}",
            "" if row.ratio_to_floor is None else f"{row.ratio_to_floor:.3g}",
            f"{row.cache_bytes / 1e6:.1f}",
            "" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.1f}",
            same,
        )
    console = tables()
    console.print(table)
    if any(row.naive_source != "measured" for row in result.rows):
        console.print("* extrapolated: one timed pass for each site.")
    for row in result.rows:
        console.print(f"{row.batch} at once: {row.method}. {row.why}")
    console.print(result.protocol)
