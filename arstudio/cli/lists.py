"""`arstudio models` and `arstudio datasets`: what there is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arstudio.cli.console import UsageSentence, show, tables
from arstudio.cli.options import Json

if TYPE_CHECKING:
    from arstudio.models.modelfile import ModelCard
    from arstudio.models.registry import ModelEntry


def models(
    architecture: Annotated[
        str, typer.Argument(metavar="[ARCHITECTURE]", help="Explain one architecture: idea, settings, sizes.")
    ] = "",
    dataset: Annotated[str, typer.Option(help="With ARCHITECTURE: the images its sizes are counted for.")] = "digits",
    levels: Annotated[int, typer.Option(help="View them at this many levels; -1 keeps their own.")] = -1,
    json: Json = False,
) -> None:
    """List the bundled models, and the architectures that `train` knows.

    Figures are mean negative log-likelihoods, measured as `arstudio evaluate`
    does; the JSON holds their protocol, the command and machine of the training
    and every setting of each architecture.

    Examples:

        arstudio models
        arstudio models --json
        arstudio models gated_pixelcnn --dataset mnist --levels 2
        arstudio sample digits-gated --out grid.png
    """
    from arstudio.models import MODELS
    from arstudio.models.modelfile import bundled_models

    if architecture:
        _explain(architecture, dataset, levels, json)
        return
    if (dataset, levels) != ("digits", -1):
        raise UsageSentence("--dataset and --levels go with an architecture, such as arstudio models made --levels 2.")
    cards = bundled_models()
    if json:
        show({"bundled": [_bundled(card) for card in cards], "architectures": [_architecture(e) for e in MODELS.values()]})
        return
    from rich.table import Table

    table = Table("Bundled", "Model", "Images", "Classes", "Nats", "Bits/dim", "Split", box=None, header_style="bold")
    for c in cards:
        facts = c.facts
        nats = "" if facts.nats is None else f"{facts.nats:.2f}"
        bits = "" if facts.bits_per_dim is None else f"{facts.bits_per_dim:.3f}"
        table.add_row(c.name, c.title, f"{facts.dataset} {c.spec}", str(c.num_classes or ""), nats, bits, facts.split)
    known = Table("For train --model", "Title", "Source", "What", box=None, header_style="bold")
    for entry in MODELS.values():
        known.add_row(entry.name, entry.title, entry.paper, entry.summary)
    console = tables()
    console.print(table if cards else "No models are bundled with this installation.")
    console.print()
    console.print(known)


def _bundled(card: ModelCard) -> dict[str, Any]:
    return {
        "name": card.name,
        "architecture": card.model,
        "title": card.title,
        "kind": card.kind,
        "spec": card.spec,
        "config": card.config,
        "num_classes": card.num_classes,
        "class_names": card.class_names,
        "facts": card.facts,
        "path": card.path,
        "bytes": card.path.stat().st_size,
    }


def _architecture(entry: ModelEntry) -> dict[str, Any]:
    settings = {f.name: f.default for f in dataclasses.fields(entry.config)}
    return {"name": entry.name, "title": entry.title, "paper": entry.paper, "summary": entry.summary, "settings": settings}


def _explain(name: str, dataset: str, levels: int, json: bool) -> None:
    from arstudio.data import bundled
    from arstudio.data.views import check_levels
    from arstudio.models import MODELS, make_config, preset_settings
    from arstudio.models.base import ConfigError

    info = next((info for info in bundled() if info.name == dataset), None)
    if info is None:
        raise UsageSentence(f"There is no bundled dataset {dataset!r}; see `arstudio datasets`.")
    spec = dataclasses.replace(info.spec, levels=check_levels(info, None if levels == -1 else levels))
    make_config(name, {})    # says which models there are
    entry, sizes = MODELS[name], []
    for preset, changes in entry.config.presets.items():
        config = make_config(name, preset_settings(name, preset))
        try:
            cost, facts, refused = config.cost(spec), config.facts(spec), ""
        except ConfigError as error:
            cost, facts, refused = None, {}, str(error)
        sizes.append({"preset": preset, "changes": changes, "cost": cost, "facts": facts, "refused": refused})
    settings = {f.name: f.default for f in dataclasses.fields(entry.config)}
    if json:
        show({"name": name, "title": entry.title, "paper": entry.paper, "spec": spec, "settings": settings, "sizes": sizes})
        return
    from rich.table import Table

    console = tables()
    print(entry.explanation)
    table = Table("Preset", f"Parameters on {dataset} {spec}", "Training, 32 images", "", box=None, header_style="bold")
    for size in sizes:
        cost = size["cost"]
        figures = (f"{cost.parameters:,}", f"{cost.training_bytes(32) / 1e6:,.0f} MB") if cost else ("–", "–")
        more = size["refused"] or "; ".join(f"{key} {value}" for key, value in size["facts"].items())
        table.add_row(size["preset"], *figures, more)
    known = Table("Setting (--set)", "Default", *entry.config.presets, box=None, header_style="bold")
    for key, default in settings.items():
        changed = [_shown(changes[key]) if key in changes else "" for changes in entry.config.presets.values()]
        known.add_row(key, _shown(default), *changed)
    console.print()
    console.print(table)
    console.print()
    console.print(known)


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def datasets(json: Json = False) -> None:
    """List the bundled datasets and those that are fetched once, with their sizes
    and licences.

    Each can be viewed at fewer levels and smaller size: see --levels, --size and
    --binarise of `arstudio train`. A folder of pictures or an .npz file of one's
    own is a dataset too.

    Examples:

        arstudio datasets
        arstudio datasets --json
        arstudio train --dataset emoji --size 16 --levels 16 --minutes 30
    """
    from arstudio.data import SOURCES, bundled

    known = [(info, 0) for info in bundled()] + [(source.info, source.bytes) for source in SOURCES.values()]
    if json:
        show([{**dataclasses.asdict(info), "bundled": not size, "fetched_bytes": size} for info, size in known])
        return
    from rich.table import Column, Table

    counted = Column("Train / valid. / test", no_wrap=True)
    table = Table(
        Column("Name", no_wrap=True), "Images", counted, "Classes", "Licence", Column("Fetched", no_wrap=True),
        box=None, header_style="bold", pad_edge=False,
    )
    for info, size in known:
        counts = " / ".join(f"{info.splits[name]:,}" for name in ("train", "validation", "test"))
        fetched = f"{size / 1e6:.0f} MB" if size else "bundled"
        table.add_row(info.name, str(info.spec), counts, str(len(info.classes) or ""), info.licence, fetched)
    tables().print(table)
