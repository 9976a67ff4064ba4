"""`arstudio inspect`: what a model says of one pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from arstudio.cli.console import UsageSentence, class_index, open_model, show, tables
from arstudio.cli.options import Class, Fit, Json, Model, Picture

if TYPE_CHECKING:
    from arstudio.analysis.conditionals import Conditional

BARS = " ▁▂▃▄▅▆▇█"
PIECES = " ▏▎▍▌▋▊▉█"


def inspect(
    model: Model,
    image: Picture,
    at: Annotated[
        str,
        typer.Option(
            metavar="ROW,COL[,CHANNEL]", help="Which site, counted from 0; channel 0 is red or grey."
        ),
    ] = "",
    class_: Class = None,
    fit: Fit = False,
    json: Json = False,
) -> None:
    """Read the distribution of one pixel, given all pixels before it.

    With --json: the full pmf, log p in nats, surprise and entropy in bits, rank,
    mean, standard deviation and the five most probable values. Computed in
    double precision from one forward pass. Of a continuous model log p is that
    of a density, the pmf that of 256 bins of [0, 1], and the mixture is given.

    Examples:

        arstudio inspect digits-gated IMAGE.png --at 4,3
        arstudio inspect digits-gated IMAGE.png --at 4,3 --class 7 --json
        arstudio inspect emoji-run IMAGE.png --at 16,16,2 --json
    """
    row, column, channel = _site(at)
    from arstudio.analysis.conditionals import conditional
    from arstudio.image import load_levels

    network, card = open_model(model)
    x = load_levels(image, network.spec, fit=fit)
    y = class_index(card, class_)
    found = conditional(network.double(), x, (channel, row, column), y)
    if not json:
        site = f"{row}, {column}" + (f", {channel}" if network.spec.channels > 1 else "")
        given = "what comes before" if y is None else f"what comes before, class {card.class_name(y)}"
        _print(found, f"p( x[{site}] | {given} )")
        return
    show(
        {
            "model": card.name,
            "image": image,
            "spec": network.spec,
            "row": row,
            "column": column,
            "channel": channel,
            "step": found.step,
            "class": None if y is None else card.class_name(y),
            "value": found.value,
            "log_prob_nats": found.log_prob,
            "surprise_bits": found.surprise,
            "entropy_bits": found.entropy,
            "rank": found.rank,
            "mean": found.mean,
            "sd": found.sd,
            "top": [{"value": value, "p": p} for value, p in found.top(5)],
            "pmf": found.pmf,
        }
        | ({"mixture": found.mixture} if found.continuous else {})
    )


def _site(text: str) -> tuple[int, int, int]:
    """ "4,3" or "4,3,2" -> (row, column, channel). Raises UsageSentence."""
    try:
        row, column, *rest = (int(part) for part in text.split(","))
        (channel,) = rest or [0]
    except ValueError:
        raise UsageSentence(
            f"--at takes ROW,COL or ROW,COL,CHANNEL as whole numbers from 0, such as --at 4,3, not {text!r}."
            if text
            else "Say which pixel: --at ROW,COL, such as --at 4,3."
        ) from None
    return row, column, channel


def _print(found: Conditional, title: str) -> None:
    from rich.table import Table

    console = tables()
    if found.continuous:
        _print_curve(found, title)
        return
    shown = sorted(k for k, _ in found.top(len(found.pmf) if len(found.pmf) <= 32 else 12))
    highest = max(found.pmf.max(), 1e-12)
    table = Table(
        "value", "p", "", title=title, box=None, title_justify="left", header_style="dim", padding=(0, 1)
    )
    for k in shown:
        p = float(found.pmf[k])
        eighths = round(p / highest * 28 * 8)
        bar = "█" * (eighths // 8) + (PIECES[eighths % 8] if eighths % 8 else "")
        mark = "  ◀ here" if k == found.value else ""
        table.add_row(str(k), f"{p:.4f}", f"{bar}{mark}", style="bold" if mark else None)
    console.print(table)
    if len(shown) < len(found.pmf):
        bins = [float(part.sum()) for part in _split(found, 64)]
        line = "".join(BARS[round(8 * p / max(max(bins), 1e-12))] for p in bins)
        console.print(f" all {len(found.pmf)} values   {line}")
    console.print(
        f" value {found.value} · p {found.pmf[found.value]:.4g} · log p {found.log_prob:.3f} nats · "
        f"surprise {found.surprise:.2f} bits · entropy {found.entropy:.2f} bits · "
        f"rank {found.rank} of {len(found.pmf)} · mean {found.mean:.2f} ± {found.sd:.2f}"
    )


def _print_curve(found: Conditional, title: str) -> None:
    """The density of a real: its mean over 64 pieces of [0, 1] as eight rows of blocks, then the figures."""
    console = tables()
    heights = [float(part.mean()) * len(found.pmf) for part in _split(found, 64)]
    highest = max(*heights, 1e-12)
    console.print(f" {title}   density, {highest:.3g} at its highest")
    for row in reversed(range(8)):
        console.print(" " + "".join(BARS[min(max(round(64 * h / highest) - 8 * row, 0), 8)] for h in heights))
    console.print(" 0" + " " * 62 + "1")
    if found.place is not None:
        console.print(" " * (1 + found.place * 64 // len(found.pmf)) + "▲ here")
    known = "value hidden" if found.value is None else (
        f"value {found.value:.4f} · density {math.exp(min(found.log_prob, 700)):.4g} · log density {found.log_prob:.3f} nats · "
        f"rank {found.rank} of {len(found.pmf)} bins"
    )
    console.print(f" {known} · entropy {found.entropy:.2f} bits of 256 bins · mean {found.mean:.3f} ± {found.sd:.3f}")


def _split(found: Conditional, bins: int) -> list:
    import numpy as np

    return np.array_split(found.pmf, min(bins, len(found.pmf)))
