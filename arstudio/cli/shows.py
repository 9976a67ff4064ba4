"""`arstudio demo` and `arstudio bench`: the main job in one go, and how fast everything is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arstudio.cli.console import Bar, UsageSentence, open_model, say, show, tables
from arstudio.cli.options import Device, Json

if TYPE_CHECKING:
    from arstudio.analysis.benchmarks import SamplingBenchmark

bench = typer.Typer(rich_markup_mode="rich")


def demo(
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where screenshots and the summary go.")
    ] = Path("arstudio-demo"),
) -> None:
    """Drive the real window through the main job, and keep pictures of it.

    A bundled model draws, a pixel is changed and the future branches, a picture
    is masked and completed, a pixel is inspected, a small model is trained.
    Visible where there is a display, offscreen otherwise.

    Examples:

        arstudio demo
        arstudio demo --out shots
    """
    from arstudio.gui.demo import run

    raise typer.Exit(run(out_dir) or 0)


@bench.callback(invoke_without_command=True)
def _bench(context: typer.Context) -> None:
    """Measure how fast images are drawn and how fast the window opens.

    Close other programs first: figures of a busy machine say little.

    Examples:

        arstudio bench sampling --json
        arstudio bench gui
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


@bench.command()
def gui(json: Json = False) -> None:
    """Measure how soon the window is there after the process starts.

    Without a display the window is painted offscreen.

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
    batch: Annotated[
        str, typer.Option(metavar="N,N,…", help="How many images are drawn at once.")
    ] = "1,16,64",
    repeats: Annotated[int, typer.Option(min=1, help="Interleaved repeats; medians are reported.")] = 3,
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
        arstudio bench sampling --model digits-gated --batch 1 --repeats 5
    """
    sizes = _sizes(batch)
    from arstudio.analysis.benchmarks import bench_sampling, reference_network
    from arstudio.training.setup import pick_device

    if model:
        network, card = open_model(model, device)
        name = card.name
    else:
        network, name = reference_network().to(pick_device(device)), "reference network"
    with Bar() as bar:
        result = bench_sampling(network, name, batches=sizes, repeats=repeats, progress=bar)
    if json:
        show(result)
    else:
        _print(result)
    if any(row.identical is False for row in result.rows):
        say("Naive and incremental sampling gave different pixels: a bug, please report it with this output.")
        raise typer.Exit(1)


def _sizes(text: str) -> tuple[int, ...]:
    """ "1,16" -> (1, 16). Raises UsageSentence."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageSentence(f"--batch takes whole numbers with commas, such as 1,16,64, not {text!r}.")
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
        "Cache",
        "Same",
        box=None,
        header_style="bold",
    )
    for row in result.rows:
        same = {True: "yes", False: "NO", None: "not run"}[row.identical]
        naive = f"{row.naive_seconds:.1f}" + ("" if row.naive_source == "measured" else " extrapolated")
        table.add_row(
            str(row.batch),
            f"{row.seconds:.3f}",
            f"{row.sites_per_second:,.0f}",
            naive,
            f"{row.ratio_to_naive:.3g}",
            f"{row.rho:.2f}",
            f"{row.ratio_to_floor:.3g}",
            f"{row.cache_bytes / 1e6:.1f} MB",
            same,
        )
    console = tables()
    console.print(table)
    console.print(result.protocol)
