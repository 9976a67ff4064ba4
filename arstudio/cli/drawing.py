"""`arstudio sample`: draw images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arstudio.cli.console import Bar, UsageSentence, class_index, destination, open_model, show
from arstudio.cli.options import Class, Device, Guidance, Json, Method, Model, Seed, Temperature, TopK, TopP

if TYPE_CHECKING:
    from torch import Tensor

    from arstudio.models.base import AutoregressiveModel
    from arstudio.models.modelfile import ModelCard
    from arstudio.sampling import Sampler, Trace


def sample(
    model: Model,
    count: Annotated[int, typer.Option(help="How many images.")] = 16,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(metavar="PNG", help="Where the sheet of images goes.")] = None,
    gif: Annotated[
        Path | None, typer.Option(metavar="GIF", help="Also write how the images unfold, pixel by pixel.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Also write every site in order: value, log p, entropy."),
    ] = None,
    method: Method = "auto",
    class_: Class = None,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    guidance: Guidance = 0.0,
    scale: Annotated[int, typer.Option(min=0, max=64, help="Screen pixels per pixel; 0 chooses.")] = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Draw images from a model.

    A class-conditional model draws its classes in turn; --class picks one, and
    --class none leaves it open. The PNG remembers model, seed and settings. With
    --count 1 --scale 1 it can be given to `inspect` and `complete`.

    Examples:

        arstudio sample digits-gated --count 16 --seed 1 --out grid.png
        arstudio sample digits-gated --class 3 --out threes.png --gif draw.gif
        arstudio sample fashion-gated --class Bag --temperature 0.9 --out bags.png
        arstudio sample digits-gated --class 3 --guidance 2 --out threes.png
        arstudio sample mnist-gated --count 1 --scale 1 --out one.png
        arstudio sample digits-gated --method naive --csv same.csv --json
    """
    files = {path: suffix for path, suffix in ((out, ".png"), (gif, ".gif"), (csv, ".csv")) if path is not None}
    if not files and not json:
        raise UsageSentence("Say where the picture goes, such as --out grid.png.")
    for path, suffix in files.items():
        destination(path, suffix)
    from arstudio.models.modelfile import write_atomically
    from arstudio.sampling import Sampler, SampleSettings
    from arstudio.sampling.export import csv_bytes, drawing_info, fit_scale, gif_bytes, png_bytes, sheet

    settings = SampleSettings(seed=seed, temperature=temperature, top_k=top_k, top_p=top_p, guidance=guidance)
    network, card = open_model(model, device)
    sampler = Sampler(network, settings, count, _classes(network, card, class_, count), method=method)
    started = time.perf_counter()
    with Bar() as bar:
        trace = sampler.run(bar)
    seconds = time.perf_counter() - started
    info = drawing_info(card.name, sampler)
    scale = scale or fit_scale(network.spec, count)
    kinds = {
        ".png": lambda: png_bytes(sheet(trace.images(), network.spec, scale=scale), info),
        ".gif": lambda: gif_bytes(trace, scale=scale),
        ".csv": lambda: csv_bytes(trace),
    }
    encoded = {path: kinds[suffix]() for path, suffix in files.items()}
    for path, data in encoded.items():
        write_atomically(path, data)
    if json:
        show(info | _figures(sampler, trace, seconds) | {"files": list(encoded)})
    else:
        images = "1 image" if count == 1 else f"{count} images"
        print(f"Drew {images} of {network.spec} in {seconds:.2f} s: {', '.join(map(str, encoded))}")
        print(f"Drawn by {sampler.method}. {sampler.choice.why}" if method == "auto" else f"Drawn by {sampler.method}.")
        if sampler.notice:
            print(sampler.notice)


def _classes(network: AutoregressiveModel, card: ModelCard, wanted: str | None, count: int) -> Tensor | int | None:
    """--class of `sample`: all classes in turn without it."""
    from arstudio.sampling.sampler import balanced_classes, check_count

    check_count(network.spec, count)
    return balanced_classes(network.num_classes, count) if wanted is None else class_index(card, wanted)


def _figures(sampler: Sampler, trace: Trace, seconds: float) -> dict[str, Any]:
    """What is reported of a drawing."""
    spec, nats = trace.spec, [trace.nats(i) for i in range(trace.count)]
    mean = sum(nats) / len(nats)
    return {
        "why": sampler.choice.why,
        "notice": sampler.notice or None,
        "seconds": seconds,
        "sites_per_second": trace.count * spec.sites / seconds,
        "referred_sites": sampler.referee.referred,
        "nats": nats,
        "mean_nats": mean,
        "mean_bits_per_dim": spec.bits_per_dim(mean) if spec.levels else None,
    }
