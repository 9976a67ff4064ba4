"""`arstudio demo`: the main job in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arstudio.cli.console import destination_folder


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
    destination_folder(out_dir)
    from arstudio.gui.demo import run

    raise typer.Exit(run(out_dir) or 0)
