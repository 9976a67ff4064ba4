"""Options that several commands take, described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A bundled name (see `arstudio models`), a model file or a run directory."
    ),
]
Picture = Annotated[
    Path, typer.Argument(metavar="IMAGE.png", help="A picture of the model's size and colours, or use --fit.")
]
Json = Annotated[bool, typer.Option("--json", help="Print figures as JSON on stdout.")]
TOP_SEED = 2**63 - 1    # the greatest that torch's generator takes
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=TOP_SEED, help="One seed, one result, whichever method draws it."),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto: the fastest for this model, and it says which; incremental: site by site, every feature once; blocks: "
        "runs of sites, guessed and corrected; wavefront: pixels that do not see each other together; captured: rows by steps "
        "that CUDA records once and replays; jacobi: the whole image guessed, by full passes; naive: a full pass a site.",
    ),
]
Class = Annotated[
    str | None,
    typer.Option("--class", metavar="NAME", help="A class of a class-conditional model, by name or number."),
]
Temperature = Annotated[
    float,
    typer.Option(
        "--temperature", help="Divides log-probabilities: below 1 bolder, 0 always the most probable value."
    ),
]
TopK = Annotated[
    int, typer.Option("--top-k", help="Draw among this many most probable values only; 0 keeps all.")
]
TopP = Annotated[
    float,
    typer.Option("--top-p", help="Keep the fewest values that hold this much probability; 1 keeps all."),
]
Guidance = Annotated[
    float,
    typer.Option(
        "--guidance", metavar="W", help="Draw from p(x | class)^(1+W) / p(x)^W, site by site; 0 is off, 1 to 3 strong."
    ),
]
Fit = Annotated[bool, typer.Option("--fit", help="Crop, resize and grey the picture as the model needs it.")]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="cpu, cuda, mps, or auto for the fastest there is.")
]
