"""`arstudio evaluate MODEL`: the likelihood of a dataset, and how a model sees it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from arstudio.cli.console import UsageSentence, leave_stopped, measured, open_model, say, show
from arstudio.cli.options import Device, Json, Model

if TYPE_CHECKING:
    from arstudio.data import ImageDataset
    from arstudio.models.base import AutoregressiveModel
    from arstudio.models.modelfile import ModelCard
    from arstudio.models.orders import Order
    from arstudio.training.setup import DataView


def likelihood(
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

    network, card = open_model(model, device)
    ways = _orders(network, orders) if orders > 1 else ()
    origin = origin_of(card)
    view = replace(origin, dataset=dataset or origin.dataset, binarise=binarise or origin.binarise)
    data = view_for(card, view, split, classes)
    chosen = data.splits[split]
    x = chosen.x[:limit or len(chosen)]
    given = classes and network.num_classes > 0
    started = time.perf_counter()
    y = chosen.y[:len(x)] if given else None
    figure, stopped = measured(
        lambda bar: measure(network, x, y, batch=batch, progress=bar, native=data.info.spec.levels, orders=ways)
    )
    seconds = time.perf_counter() - started
    of = "p(x | class)" if given else "p(x), class left out" if network.num_classes else "p(x)"
    protocol = _protocol(data, split, figure.images, of, orders if ways else 0)
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
        density, at_most = ("", "") if network.spec.levels else (" of density", "at most ")
        print(
            f"{figure.nats:.3f} ± {figure.stderr:.3f} nats{density} an image, {at_most}{figure.bits_per_dim:.4f} bits/dim"
        )
        print(f"Protocol: {protocol}.")
    for note in data.notes:
        say(note)
    if stopped:
        leave_stopped(f"images measured until then: {figure.images} of {len(x)}")


def _protocol(data: ImageDataset, split: str, count: int, of: str, orders: int) -> str:
    """What belongs beside a figure: which images were seen, how, and what was averaged."""
    from arstudio.training.evaluation import units

    which = f"all {count} images" if count == len(data.splits[split]) else f"the first {count} images"
    averaged = f"; p averaged over {orders} orders" if orders else ""
    return (
        f"{data.info.name} {split}, {which} once, {data.spec}, {data.protocol}; mean of exact −log {of}, "
        f"± standard error of the mean{averaged}{units(data.spec, data.info.spec.levels)}"
    )


def origin_of(card: ModelCard) -> DataView:
    """The view of the data a model learned from: as its run recorded it, else as far as its card tells. Raises RunError."""
    from arstudio.training.runs import Run, RunError
    from arstudio.training.setup import DataView

    if card.path is not None and (card.path.parent / "run.json").exists():
        run = Run.open(card.path.parent)
        if recorded := run.record.get("view"):
            try:
                return DataView(**recorded)
            except TypeError as error:
                raise RunError(f"{run.path} has a damaged run.json ({error}); bring back a copy of it.") from None
    how = "threshold" if "half brightness" in card.facts.protocol else "static"
    return DataView(dataset=card.facts.dataset, binarise=how, grey=card.facts.protocol.endswith(", grey"))


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
    data = load(
        view.dataset, levels=spec.levels, size=size, binarise=view.binarise, seed=view.seed, cell=view.cell, grey=view.grey,
        crop=view.crop,
    )
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
