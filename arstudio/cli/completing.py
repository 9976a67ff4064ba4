"""`arstudio complete`: draw what is hidden of an image."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arstudio.cli.console import Bar, UsageSentence, class_index, destination_folder, folder_made, open_model, show, to_json
from arstudio.cli.options import Class, Device, Fit, Guidance, Json, Model, Picture, Seed, Temperature, TopK, TopP

if TYPE_CHECKING:
    import numpy as np

    from arstudio.image import ImageSpec
    from arstudio.sampling.completion import Completion


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
        float, typer.Option(min=0, max=1, help="How certain --about is: 0 says nothing, 0.9 nearly this level.")
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
    destination_folder(out)
    from arstudio.image import load_levels
    from arstudio.models.modelfile import write_atomically
    from arstudio.sampling import SampleSettings
    from arstudio.sampling.completion import Evidence, ParticleSettings, completion_sampler
    from arstudio.sampling.export import drawing_info

    settings = SampleSettings(seed=seed, temperature=temperature, top_k=top_k, top_p=top_p, guidance=guidance)
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
    started = time.perf_counter()
    with Bar() as bar:
        sampler.run(bar)
    result = sampler.finish()
    taken = time.perf_counter() - started
    info = drawing_info(card.name, sampler) | {"kind": "completion", "image": str(image), "mask": mask} | _found(result, hidden)
    with folder_made(out):
        summary = info | _write(out, info, x, hidden, result, spec) | {"seconds": taken}
        write_atomically(out / "summary.json", to_json(summary).encode())
    if json:
        show(summary)
    else:
        why = f" {result.reason}" if result.reason else ""
        print(f"Drew {count} completions into {out}. {result.sentence}{why} {result.trust.words}")


def _found(result: Completion, hidden: np.ndarray) -> dict[str, Any]:
    """How a completion with `hidden` (H, W) came about, which its pictures remember."""
    found = {
        "hidden_pixels": int(hidden.sum()),
        "known_pixels": int((~hidden).sum()),
        "ignored_pixels": result.ignored,
        "method": result.method,
        "reason": result.reason,
        "sentence": result.sentence,
        "trust": {"level": result.trust.level, "words": result.trust.words},
    }
    population = result.population
    if population is not None:
        found |= {
            "particles": population.particles,
            "repeats": population.repeats,
            "log_evidence_nats": population.log_evidence,
            "log_evidence_spread_nats": population.spread if population.repeats > 1 else None,
            "effective_particles": population.effective,
            "ancestors": population.ancestors,
        }
    return found


def _write(
    out: Path, info: dict[str, Any], x: np.ndarray, hidden: np.ndarray, result: Completion, spec: ImageSpec
) -> dict[str, Any]:
    """Write the pictures of a completion of x (C, H, W), each remembering `info` -> figures and the names of the files."""
    import numpy as np

    from arstudio.image import to_pil
    from arstudio.models.modelfile import write_atomically
    from arstudio.sampling.export import agreement_picture, fit_scale, png_bytes, sheet

    ranked, count = result.images[result.ranking], len(result.images)
    nats = -result.log_prob[result.ranking]
    masked = x.astype("int64" if spec.levels else "float64")
    masked[:, hidden] = spec.hidden
    gallery = sheet(np.concatenate([masked[None], ranked]), spec, scale=fit_scale(spec, count + 1))
    heat, most = agreement_picture(result.agreement, min(spec.bins, count), fit_scale(spec, 1))
    files = {
        f"completion-{i + 1}.png": png_bytes(to_pil(one, spec), info | {"rank": i + 1}) for i, one in enumerate(ranked)
    }
    files["gallery.png"] = png_bytes(gallery, info)
    files["agreement.png"] = png_bytes(heat, info | {"bits_at_most": most})
    for name, data in files.items():
        write_atomically(out / name, data)
    return {
        "hidden_nats": nats,
        "hidden_bits_per_site": nats / (int(hidden.sum()) * spec.channels * np.log(2)),
        "agreement_bits": result.agreement.mean(),
        "agreement_bits_at_most": most,
        "files": [str(out / name) for name in files],
    }


def _hidden(mask: str, spec: ImageSpec, seed: int) -> np.ndarray:
    """--mask -> (H, W) bool, True where hidden. A preset's name wins over a file of that name."""
    from arstudio.sampling.completion import MASKS, picture_mask, preset_mask

    if mask not in MASKS and Path(mask).is_file():
        return picture_mask(mask, spec.height, spec.width)
    return preset_mask(mask, spec.height, spec.width, seed)
