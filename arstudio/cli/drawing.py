"""`arstudio sample` and `arstudio complete`: draw images, and what is hidden of an image."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arstudio.cli.console import Bar, UsageSentence, class_index, destination, open_model, show, to_json
from arstudio.cli.options import Class, Device, Fit, Guidance, Json, Method, Model, Picture, Seed, Temperature, TopK, TopP

if TYPE_CHECKING:
    import numpy as np

    from arstudio.image import ImageSpec


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
    files = {
        path: suffix for path, suffix in ((out, ".png"), (gif, ".gif"), (csv, ".csv")) if path is not None
    }
    if not files and not json:
        raise UsageSentence("Say where the picture goes, such as --out grid.png.")
    for path, suffix in files.items():
        destination(path, suffix)
    from arstudio.models.modelfile import write_atomically
    from arstudio.sampling import Sampler, SampleSettings
    from arstudio.sampling.export import csv_bytes, drawing_info, fit_scale, gif_bytes, png_bytes, sheet
    from arstudio.sampling.sampler import balanced_classes

    settings = SampleSettings(
        seed=seed, temperature=temperature, top_k=top_k, top_p=top_p, guidance=guidance
    )
    network, card = open_model(model, device)
    if class_ is None:
        y = balanced_classes(network.num_classes, max(count, 1))
    else:
        y = (
            None
            if class_.casefold() == "none" and "none" not in card.class_names
            else class_index(card, class_)
        )
    sampler = Sampler(network, settings, count, y, method=method)
    started = time.perf_counter()
    with Bar() as bar:
        trace = sampler.run(bar)
    seconds = time.perf_counter() - started
    info = drawing_info(card.name, sampler)
    scale = scale or fit_scale(network.spec, count)
    encoded = {}
    if out is not None:
        encoded[out] = png_bytes(sheet(trace.images(), network.spec, scale=scale), info)
    if gif is not None:
        encoded[gif] = gif_bytes(trace, scale=scale)
    if csv is not None:
        encoded[csv] = csv_bytes(trace)
    for path, data in encoded.items():
        write_atomically(path, data)
    nats = [trace.nats(i) for i in range(count)]
    mean = sum(nats) / count
    if json:
        show(
            {
                **info,
                "why": sampler.choice.why,
                "notice": sampler.notice or None,
                "seconds": seconds,
                "sites_per_second": count * network.spec.sites / seconds,
                "referred_sites": sampler.referee.referred,
                "nats": nats,
                "mean_nats": mean,
                "mean_bits_per_dim": network.spec.bits_per_dim(mean) if network.spec.levels else None,
                "files": list(encoded),
            }
        )
    else:
        images = "1 image" if count == 1 else f"{count} images"
        print(f"Drew {images} of {network.spec} in {seconds:.2f} s: {', '.join(map(str, encoded))}")
        print(f"Drawn by {sampler.method}. {sampler.choice.why}" if method == "auto" else f"Drawn by {sampler.method}.")
        if sampler.notice:
            print(sampler.notice)


def complete(
    model: Model,
    image: Picture,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder for the completions; made if it is not there."),
    ] = None,
    mask: Annotated[
        str,
        typer.Option(
            metavar="MASK",
            help="What is hidden: top, bottom, left, right, centre, blob, random:0.5, or a picture of "
            "the same size with the hidden part white.",
        ),
    ] = "bottom",
    method: Annotated[
        str, typer.Option(metavar="auto|clamp|particles|exact", help="How; auto says which it took and why.")
    ] = "auto",
    particles: Annotated[
        int, typer.Option(metavar="N", help="Particles: more of them come closer to the exact completion.")
    ] = 128,
    repeats: Annotated[int, typer.Option(help="Independent populations of N particles; their spread tells trust.")] = 1,
    moves: Annotated[
        int, typer.Option(help="Metropolis moves after each resampling: better and slower, 0 for none.")
    ] = 0,
    seconds: Annotated[float, typer.Option(help="Time for particles under auto; 0 for no limit.")] = 0.0,
    about: Annotated[
        Path | None,
        typer.Option(metavar="PICTURE", help="How bright the hidden part is about; needs particles."),
    ] = None,
    certainty: Annotated[
        float, typer.Option(help="How certain --about is: 0 says nothing, 0.9 nearly this level.")
    ] = 0.5,
    count: Annotated[int, typer.Option(help="How many completions.")] = 8,
    seed: Seed = 0,
    class_: Class = None,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    guidance: Guidance = 0.0,
    fit: Fit = False,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Draw what is hidden of an image, several times, given all that is not.

    `exact` is for models of any order and for masks that come last in the order;
    `particles` make everything known count for every other model; `clamp` ignores
    what comes after a hidden pixel. `auto` takes the best there is.

    The folder gets completion-1.png, completion-2.png, … from the most to the
    least probable, gallery.png, agreement.png (dark where all completions agree,
    bright where they differ) and summary.json.

    Examples:

        arstudio complete digits-gated IMAGE.png --mask bottom --out DIR
        arstudio complete digits-gated IMAGE.png --mask random:0.5 --out DIR
        arstudio complete mnist-gated ONE.png --mask top --particles 512 --out DIR
        arstudio complete mnist-gated ONE.png --mask top --method clamp --out DIR
        arstudio complete mnist-gated photo.jpg --fit --class 3 --out DIR
        arstudio complete fashion-gated IMAGE.png --mask MASK.png --out DIR
    """
    if out is None:
        raise UsageSentence("Say which folder the completions go to, such as --out completions.")
    from arstudio.image import load_levels, to_pil
    from arstudio.models.modelfile import write_atomically
    from arstudio.sampling import SampleSettings
    from arstudio.sampling.completion import Evidence, ParticleSettings, completion_sampler
    from arstudio.sampling.export import agreement_picture, drawing_info, fit_scale, png_bytes, sheet

    settings = SampleSettings(
        seed=seed, temperature=temperature, top_k=top_k, top_p=top_p, guidance=guidance
    )
    population = ParticleSettings(particles=particles, repeats=repeats, moves=moves)
    network, card = open_model(model, device)
    spec = network.spec
    x = load_levels(image, spec, fit=fit)
    hidden = _hidden(mask, spec, seed)
    told = None
    if about is not None:
        told = Evidence(load_levels(about, spec, fit=fit).astype("float64"), hidden * certainty)
    sampler = completion_sampler(
        network, x, ~hidden, count, settings, class_index(card, class_), method=method, particles=population,
        evidence=told, seconds=seconds,
    )
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with Bar() as bar:
        sampler.run(bar)
    result = sampler.finish()
    taken = time.perf_counter() - started

    ranked = result.images[result.ranking]
    nats = -result.log_prob[result.ranking]
    sites = int(hidden.sum()) * spec.channels
    info = drawing_info(card.name, sampler) | {
        "kind": "completion",
        "image": str(image),
        "mask": mask,
        "hidden_pixels": int(hidden.sum()),
        "known_pixels": int((~hidden).sum()),
        "ignored_pixels": result.ignored,
        "method": result.method,
        "reason": result.reason,
        "sentence": result.sentence,
        "trust": {"level": result.trust.level, "words": result.trust.words},
    }
    if result.population is not None:
        info |= {
            "particles": result.population.particles,
            "repeats": result.population.repeats,
            "log_evidence_nats": result.population.log_evidence,
            "log_evidence_spread_nats": result.population.spread if repeats > 1 else None,
            "effective_particles": result.population.effective,
            "ancestors": result.population.ancestors,
        }
    masked = x.astype("int64" if spec.levels else "float64")
    masked[:, hidden] = spec.hidden
    scale = fit_scale(spec, count + 1)
    import numpy as np

    gallery = sheet(np.concatenate([masked[None], ranked]), spec, scale=scale)
    heat, most = agreement_picture(result.agreement, min(spec.bins, count), fit_scale(spec, 1))
    summary: dict[str, Any] = info | {
        "seconds": taken,
        "hidden_nats": nats,
        "hidden_bits_per_site": nats / (sites * np.log(2)),
        "agreement_bits": result.agreement.mean(),
        "agreement_bits_at_most": most,
    }
    files = {
        f"completion-{i + 1}.png": png_bytes(to_pil(ranked[i], spec), info | {"rank": i + 1})
        for i in range(count)
    }
    files["gallery.png"] = png_bytes(gallery, info)
    files["agreement.png"] = png_bytes(heat, info | {"bits_at_most": most})
    summary["files"] = [str(out / name) for name in files]
    for name, data in files.items():
        write_atomically(out / name, data)
    write_atomically(out / "summary.json", to_json(summary).encode())
    if json:
        show(summary)
    else:
        why = f" {result.reason}" if result.reason else ""
        print(f"Drew {count} completions into {out}. {result.sentence}{why} {result.trust.words}")


def _hidden(mask: str, spec: ImageSpec, seed: int) -> np.ndarray:
    """--mask -> (H, W) bool, True where hidden. A preset's name wins over a file of that name."""
    from arstudio.sampling.completion import MASKS, picture_mask, preset_mask

    if mask not in MASKS and Path(mask).is_file():
        return picture_mask(mask, spec.height, spec.width)
    return preset_mask(mask, spec.height, spec.width, seed)
