"""The command line: each command a thin call into one room. `arstudio COMMAND --help` teaches by example.

    console.py    what all commands share: bars, JSON, sentences for errors, Ctrl-C
    options.py    options that several commands take, described once
    training.py   train                    drawing.py     sample
    completing.py complete                 reading.py     inspect
    evaluating.py evaluate: likelihood,    likelihood.py  the likelihood of a dataset
                  completion               lists.py       models, datasets
    benching.py   bench                    showing.py     demo

Nothing here is imported with torch or Qt: a command loads its room when it runs, so `arstudio --help` stays
quick.

Exit codes: 0 done, 1 a training that diverged or a benchmark whose samplers disagree, 2 a mistake that one
sentence on stderr explains, 130 stopped with Ctrl-C, after what was measured until then. Figures go to stdout,
everything else to stderr.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from arstudio import __version__
from arstudio.cli.benching import bench
from arstudio.cli.completing import complete
from arstudio.cli.console import Commands
from arstudio.cli.drawing import sample
from arstudio.cli.evaluating import evaluations
from arstudio.cli.lists import datasets, models
from arstudio.cli.reading import inspect
from arstudio.cli.showing import demo
from arstudio.cli.training import train

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"arstudio {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """AR Studio: train autoregressive image models, watch them draw, complete
    pictures, read every conditional.

    Without a command the window opens.

    Examples:

        arstudio
        arstudio models
        arstudio sample digits-gated --count 16 --seed 1 --out grid.png
        arstudio train --dataset digits --model gated_pixelcnn --minutes 2
        arstudio COMMAND --help
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


for _command in (train, sample, complete, inspect, models, datasets, demo):
    app.command()(_command)
app.add_typer(evaluations, name="evaluate")
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line; ends the process with the exit codes above."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows "?"
    app()
