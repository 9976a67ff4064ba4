"""The command line: each command a thin call into one room. `arstudio COMMAND --help` teaches by example."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from arstudio.progress import Progress

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")
out = Console()


class Bar(Progress):
    """A progress bar on stderr; Ctrl-C once stops at the next safe place."""

    def __enter__(self) -> Bar:
        from rich.progress import BarColumn, Progress as RichBar, TextColumn, TimeRemainingColumn

        self._bar = RichBar(
            BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn(), TextColumn("{task.description}"),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=1.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, fraction: float | None, text: str = "") -> None:
        self._bar.update(self._task, completed=fraction or 0.0, description=text)


def _pairs(items: list[str]) -> dict[str, Any]:
    pairs = {}
    for item in items:
        key, sign, value = item.partition("=")
        if not sign:
            raise typer.BadParameter(f"--set takes key=value, not {item!r}.")
        pairs[key.strip().replace("-", "_")] = value.strip()
    return pairs


@app.callback()
def _root() -> None: ...


@app.command()
def train(
    dataset: Annotated[str, typer.Option()] = "",
    model: Annotated[str, typer.Option()] = "gated_pixelcnn",
    out_dir: Annotated[Path | None, typer.Option("--out")] = None,
    resume: Annotated[Path | None, typer.Option()] = None,
    minutes: Annotated[float, typer.Option()] = 0.0,
    epochs: Annotated[float, typer.Option()] = 0.0,
    set_: Annotated[list[str], typer.Option("--set")] = [],
    levels: Annotated[int, typer.Option()] = -1,
    size: Annotated[int, typer.Option()] = 0,
    classes: Annotated[bool, typer.Option()] = True,
    seed: Annotated[int, typer.Option()] = 0,
    batch: Annotated[int, typer.Option()] = 32,
    lr: Annotated[float, typer.Option()] = 2e-3,
    ema: Annotated[float, typer.Option()] = 0.998,
    patience: Annotated[int, typer.Option()] = 0,
) -> None:
    from arstudio.training.loop import TrainConfig
    from arstudio.training.setup import DataView, new_trainer, resume_trainer

    if resume is not None:
        trainer = resume_trainer(resume, minutes=minutes, epochs=epochs)
    else:
        view = DataView(dataset=dataset, levels=None if levels < 0 else levels, size=size or None)
        config = TrainConfig(
            minutes=minutes, epochs=epochs, seed=seed, batch=batch, learning_rate=lr, ema=ema, patience=patience
        )
        command = "arstudio " + shlex.join(sys.argv[1:])
        trainer = new_trainer(out_dir, view, model, config, _pairs(set_), classes=classes, command=command)
    with Bar() as bar:
        outcome = trainer.fit(bar)
    out.print(outcome.sentence)


def main() -> int | None:
    """Run the command line."""
    return app()
