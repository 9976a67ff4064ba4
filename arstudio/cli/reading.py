"""`arstudio inspect` and `arstudio evaluate`: what a model says of one pixel, and of a dataset."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from arstudio.cli.console import Bar, UsageSentence, class_index, open_model, say, show, tables
from arstudio.cli.options import Class, Device, Fit, Json, Model, Picture

if TYPE_CHECKING:
    from arstudio.analysis.conditionals import Conditional
    from arstudio.data import ImageDataset
    from arstudio.models.base import AutoregressiveModel
    from arstudio.models.modelfile import ModelCard
    from arstudio.models.orders import Order
    from arstudio.training.setup import DataView

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


def evaluate(
    model: Model,
    dataset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A bundled dataset, folder or file; the one the model learned from by default.",
        ),
    ] = "",
    split: Annotated[str, typer.Option(metavar="train|validation|test", help="Which images.")] = "test",
    classes: Annotated[
        bool, typer.Option(help="p(x | class) with the true classes, or p(x) with the class left out.")
    ] = True,
    binarise: Annotated[
        str,
        typer.Option(
            metavar="static|threshold", help="How 2 levels are made; as in the training by default."
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=0, help="The first so many images only; 0 for all.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 64,
    orders: Annotated[
        int,
        typer.Option(min=1, help="For any-order models: average the probabilities of an image over so many orders."),
    ] = 1,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure the likelihood of a dataset under a model: nats an image, bits per
    dimension.

    The dataset is viewed at the model's own size and levels. The protocol that
    is printed belongs beside the figures. Writes nothing.

    Examples:

        arstudio evaluate digits-gated
        arstudio evaluate digits-gated --dataset digits --split test --json
        arstudio evaluate fashion-gated --split validation --limit 500
        arstudio evaluate digits-gated --no-classes
        arstudio evaluate runs/digits-eonade-1 --orders 8
    """
    from arstudio.training.evaluation import evaluate as measure
    from arstudio.training.evaluation import units

    network, card = open_model(model, device)
    ways = _orders(network, orders) if orders > 1 else ()
    origin = origin_of(card)
    view = replace(origin, dataset=dataset or origin.dataset, binarise=binarise or origin.binarise)
    data = view_for(card, view, split, classes)
    chosen = data.splits[split]
    count = limit or len(chosen)
    x = chosen.x[:count]
    given = classes and network.num_classes > 0
    y = chosen.y[:count] if given else None
    started = time.perf_counter()
    with Bar() as bar:
        figure = measure(network, x, y, batch=batch, progress=bar, native=data.info.spec.levels, orders=ways)
    seconds = time.perf_counter() - started
    of = "p(x | class)" if given else "p(x), class left out" if network.num_classes else "p(x)"
    averaged = f"; p averaged over {orders} orders" if ways else ""
    which = f"the first {len(x)} images" if len(x) < len(chosen) else f"all {len(x)} images"
    protocol = (
        f"{data.info.name} {split}, {which} once, {data.spec}, {data.protocol}; mean of exact −log {of}, "
        f"± standard error of the mean{averaged}{units(network.spec, data.info.spec.levels)}"
    )
    if json:
        show(
            {
                "model": card.name,
                "architecture": card.model,
                "dataset": data.info.name,
                "split": split,
                "images": figure.images,
                "nats": figure.nats,
                "stderr_nats": figure.stderr,
                "bits_per_dim": figure.bits_per_dim,
                "stderr_bits_per_dim": network.spec.bits_per_dim(figure.stderr),
                "conditional_on_class": given,
                "quantity": of,
                "spec": data.spec,
                "protocol": protocol,
                "seed": view.seed,
                "seconds": seconds,
                "device": str(network.device),
            }
        )
    else:
        of, at_most = ("", "") if network.spec.levels else (" of density", "at most ")
        print(
            f"{figure.nats:.3f} ± {figure.stderr:.3f} nats{of} an image, {at_most}{figure.bits_per_dim:.4f} bits/dim"
        )
        print(f"Protocol: {protocol}.")
    for note in data.notes:
        say(note)


def origin_of(card: ModelCard) -> DataView:
    """The view of the data a model learned from: as its run recorded it, else as far as its card tells."""
    from arstudio.training.runs import Run
    from arstudio.training.setup import DataView

    if card.path is not None and (card.path.parent / "run.json").exists():
        recorded = Run.open(card.path.parent).record.get("view")
        if recorded:
            return DataView(**recorded)
    how = "threshold" if "half brightness" in card.facts.protocol else "static"
    return DataView(dataset=card.facts.dataset, binarise=how)


def view_for(card: ModelCard, view: DataView, split: str, classes: bool) -> ImageDataset:
    """The dataset as the model sees it. Raises UsageSentence or DatasetError where they do not fit."""
    from arstudio.data import SPLITS, load

    if not view.dataset:
        raise UsageSentence(
            f"{card.name} does not say what it learned from; name a dataset, such as --dataset digits."
        )
    if split not in SPLITS:
        raise UsageSentence(f"There is no split {split!r}; choose {', '.join(SPLITS)}.")
    spec = card.spec
    size = (spec.height, spec.width)
    data = load(view.dataset, levels=spec.levels, size=size, binarise=view.binarise, seed=view.seed, cell=view.cell)
    if data.spec != spec:
        raise UsageSentence(
            f"{card.name} draws {spec}, but {data.info.title} seen so is {data.spec}; choose another dataset."
        )
    same = data.train.y is not None and tuple(data.classes) == tuple(card.class_names)
    if classes and card.num_classes and not same:
        raise UsageSentence(
            f"The classes of {data.info.title} are not those {card.name} knows; "
            "evaluate p(x) with --no-classes."
        )
    return data


def _orders(model: AutoregressiveModel, count: int) -> list[Order]:
    """The orders a model was trained in, or its own, then random ones. Raises UsageSentence for a model with one order."""
    from arstudio.models.orders import Order

    if not model.any_order:
        raise UsageSentence(f"{model.title} has one order; --orders is for models of any order, such as eonade or made.")
    spec, known = model.spec, list(getattr(model, "trained_orders", [model.order]))[:count]
    return known + [Order("random", spec.height, spec.width, seed) for seed in range(1, count - len(known) + 1)]
