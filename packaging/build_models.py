"""Bundle trained runs: test figure, card, picture and model file for resources/models.

The bundled models were trained by these commands, on 2 cores shared with other work (one torch thread each):

{commands}

Then, from the root of a checkout:

    python packaging/build_models.py RUNS [NAME …]   # RUNS holds the run directories

For each run it measures the test figure exactly as `arstudio evaluate` does, of the file that is shipped: weights are stored
as float16 where that leaves the test figure as it is printed (two digits of nats, three of bits/dim), else as float32. It
draws one image for the Library and writes resources/models/<name>.safetensors and <name>.png. The card holds protocol,
figures, command, time, known failures and the figure of a slice of the test split, which tests measure again. A name
without a run directory keeps its weights and gets a card anew. build_curves.py then takes up their validation figures.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from arstudio.data import load
from arstudio.image import to_pil
from arstudio.models import load_model, save_model
from arstudio.models.base import AutoregressiveModel
from arstudio.models.modelfile import Facts, ModelCard
from arstudio.sampling import SampleSettings, sample
from arstudio.sampling.sampler import balanced_classes
from arstudio.training.evaluation import Evaluation, evaluate
from arstudio.training.runs import Run

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "resources" / "models"
COMMON = "--batch 16 --seed 1"
SLICE, SLICE_SECONDS = 200, 0.8    # images of the slice, fewer where they would take longer


@dataclass(frozen=True)
class Entry:
    """One bundled model: options of `arstudio train`, which of eight drawings, one a class from 0, is its picture, its known
    failures, minutes by which its run was resumed, each time, and minutes after which Ctrl-C stopped it, 0 if nothing did."""

    options: str
    pictured: int
    failures: str
    resumed: tuple[int, ...] = ()
    stopped: tuple[int, ...] = ()    # the training itself, then each time it was resumed


DIGITS, MNIST = "--dataset digits --model ", "--dataset mnist --levels 2 --model "
DENSE = "Drawings are noisy: it does not know which pixels are neighbours, and 1,257 images are few to learn that from."
BUNDLE = {
    "fashion-gated": Entry("--dataset fashion --levels 8 --model gated_pixelcnn --minutes 62 --lr 0.0015 --ema 0.999 "
                           "--set channels=48", 4,
                           "Of 20 drawings looked at, about half are garments one can name; shoes and shirts fray."),
    "fashion-pixelcnn-pp": Entry("--dataset fashion --model pixelcnn_pp --minutes 85 --lr 0.0015 --ema 0.999 --preset small", 6,
                                 "Of 20 drawings looked at, about two thirds can be named; sandals and dresses fray.",
                                 resumed=(12,), stopped=(64,)),
    "mnist-gated": Entry(MNIST + "gated_pixelcnn --minutes 50 --lr 0.0015 --ema 0.999 --set channels=48 --set dropout=0.1", 5,
                         "Of 20 drawings looked at, about half can be read; strokes break off or float.", resumed=(18,)),
    "mnist-lmconv": Entry(MNIST + "lmconv --minutes 65 --lr 0.002 --ema 0.999 --set channels=40 --set completion=0.5", 5,
                          "Of 20 drawings from nothing looked at, about a third can be read; completions are what it is for."),
    "mnist-pixelcnn": Entry(MNIST + "pixelcnn --minutes 25 --lr 0.0015 --ema 0.999 --set dropout=0.1", 8,
                            "Of 20 drawings looked at, about half can be read; it does not see above and to the right."),
    "mnist-pixelcnn-pp": Entry(MNIST + "pixelcnn_pp --minutes 11 --lr 0.0015 --ema 0.999 --preset small --set dropout=0.2", 7,
                               "Of 20 drawings looked at, about half can be read; pieces of strokes float below.",
                               resumed=(25, 15), stopped=(0, 14)),
    "mnist-pixelsnail": Entry(MNIST + "pixelsnail --minutes 11 --lr 0.0015 --ema 0.999 --preset small --set dropout=0.1", 7,
                              "Of 20 drawings looked at, some five read as another digit than was asked for.", resumed=(45,)),
    "mnist-imagegpt": Entry(MNIST + "imagegpt --minutes 9 --lr 0.0015 --ema 0.999 --set tokens=patches", 8,
                            "Of 20 drawings looked at, three cannot be read; edges are ragged.", resumed=(25,)),
    "emoji-gated": Entry("--dataset emoji --size 16 --levels 8 --model gated_pixelcnn --minutes 45 --lr 0.002 --ema 0.999 "
                         "--set channels=48 --set dropout=0.3", 3,
                         "Blobs in likely colours: hardly one of 20 drawings looked at can be named."),
    "digits-gated": Entry(DIGITS + "gated_pixelcnn --minutes 7 --set channels=40 --set dropout=0.3", 3,
                          "Of 20 drawings looked at, one nine reads as a three."),
    "digits-pixelcnn": Entry(DIGITS + "pixelcnn --minutes 5 --set dropout=0.2", 0,
                             "Does not see above and to the right (the blind spot)."),
    "digits-pixelcnn-pp": Entry(DIGITS + "pixelcnn_pp --minutes 3.5 --preset small --set dropout=0.3", 3,
                                "Validation no longer fell after epoch 25 of 31."),
    "digits-pixelsnail": Entry(DIGITS + "pixelsnail --minutes 3 --preset small --set dropout=0.3", 3,
                               "Validation was still falling when its time was over."),
    "digits-wavenet": Entry(DIGITS + "wavenet --minutes 2.5 --preset small", 3,
                            "Overfits: the weights are those of epoch 19 of 78."),
    "digits-imagegpt": Entry(DIGITS + "imagegpt --minutes 3.5 --preset small --set dropout=0.2", 3,
                             "Not told which pixels are neighbours; validation was still falling when its time was over."),
    "digits-pixel-rnn": Entry(DIGITS + "pixel_rnn --minutes 2.5 --set hidden=96", 3,
                              "Overfits: the weights are those of epoch 44 of 132."),
    "digits-row-lstm": Entry(DIGITS + "row_lstm --minutes 6 --set layers=1 --set hidden=48 --set first_kernel=3", 6,
                             "Sees a triangle above, not the whole past; of 20 drawings looked at, some four are no digit."),
    "digits-diagonal-bilstm": Entry(DIGITS + "diagonal_bilstm --minutes 3.5 --preset small", 3,
                                    "Overfits: the weights are those of epoch 54 of 130."),
    "digits-multiscale": Entry(DIGITS + "multiscale --minutes 3 --preset small", 3,
                               "Of 20 drawings looked at, some five cannot be read."),
    "digits-lmconv": Entry(DIGITS + "lmconv --minutes 2.5 --preset small --set completion=0.5", 3,
                           "Of 20 drawings from nothing looked at, three are no digit."),
    "digits-order-agnostic": Entry(DIGITS + "order_agnostic --minutes 2.5 --preset small", 3,
                                   "Of 20 drawings looked at, some three cannot be read: it learns every order, not one."),
    "digits-made": Entry(DIGITS + "made --minutes 0.4 --lr 0.001 --set hidden=200 --set masks=8", 8, DENSE),
    "digits-eonade": Entry(DIGITS + "eonade --minutes 1.5 --lr 0.001 --set hidden=200", 8, DENSE),
    "digits-rnade": Entry(DIGITS + "rnade --minutes 1.5 --lr 0.001 --set hidden=100", 8, DENSE),
    "digits-nade": Entry(DIGITS + "nade --minutes 1.5 --lr 0.001 --set hidden=100", 8, DENSE),
    "digits-fvsbn": Entry(DIGITS + "fvsbn --minutes 1.5 --lr 0.002", 0, DENSE),
    "digits-histogram": Entry(DIGITS + "histogram --epochs 1", 0, "Knows nothing of neighbours; a yardstick."),
}


def commands() -> str:
    """What was typed, one command a line."""
    lines = []
    for name, entry in BUNDLE.items():
        resumed = [f"--resume RUNS/{name} --minutes {minutes}" for minutes in entry.resumed]
        trained = [f"{entry.options} {COMMON} --out RUNS/{name}", *resumed]
        for options, stopped in itertools.zip_longest(trained, entry.stopped, fillvalue=0):
            lines.append(f"    arstudio train {options}" + f"    # Ctrl-C after {stopped} minutes" * bool(stopped))
    return "\n".join(lines)


__doc__ = (__doc__ or "").format(commands=commands())


def bundle(runs: Path, name: str) -> str:
    """Write one model file and its picture -> its row of the table in the README."""
    entry, target = BUNDLE[name], MODELS / f"{name}.safetensors"
    new = (runs / name / "run.json").exists()
    if new:
        run = Run.open(runs / name)
        model, card = load_model(runs / name)
        view = run.record["view"]
        data = load(view["dataset"], levels=view["levels"], size=view["size"], binarise=view["binarise"], seed=view["seed"])
        facts = dataclasses.replace(
            card.facts, split="test", epochs=round(run.record["epochs_done"], 1), seconds=round(run.record["seconds"]),
            machine="x86_64 CPU, 1 thread of 2 shared cores", command=card.facts.command.replace(str(runs.resolve()), "RUNS"),
        )
    else:
        model, card = load_model(target)
        size = card.spec.height if card.facts.dataset == "emoji" else None
        data, facts = load(card.facts.dataset, levels=card.spec.levels, size=size), card.facts
    x, y = data.test.x, data.test.y if model.num_classes else None
    facts, figure = _stored(target, model, card, dataclasses.replace(facts, failures=entry.failures), x, y, smaller=new)
    trace = sample(model, 10, SampleSettings(seed=7), balanced_classes(model.num_classes, 10))
    picture = to_pil(trace.image(entry.pictured), model.spec, scale=64 // model.spec.width or 1)
    picture.save(MODELS / f"{name}.png", optimize=True)
    minutes = "" if facts.seconds < 1 else f"{facts.seconds / 60:.2g} min, "
    return (
        f"| `{name}` | {model.title} | {model.spec} | {model.num_parameters:,} | {minutes}{facts.epochs:g} epochs | "
        f"{figure.nats:.2f} ± {figure.stderr:.2f} ({figure.images}) | {figure.bits_per_dim:.3f} |"
    )


def _stored(
    target: Path, model: AutoregressiveModel, card: ModelCard, facts: Facts, x: Any, y: Any, smaller: bool
) -> tuple[Facts, Evaluation]:
    """Write the file, if `smaller` in half precision where that changes no printed digit, with the figures of what it
    holds."""
    whole = evaluate(model, x, y)
    for half in (True, False)[not smaller:]:
        save_model(target, model, card.class_names, facts, half=half)
        shipped, _ = load_model(target)
        started = time.process_time()
        figure = evaluate(shipped, x, y)
        if _printed(figure) == _printed(whole):
            break
    taking = (time.process_time() - started) / len(x)
    count = SLICE if taking * SLICE <= SLICE_SECONDS else max(10, int(SLICE_SECONDS / taking) // 10 * 10)
    count = min(count, len(x))
    part = evaluate(shipped, x[:count], None if y is None else y[:count])
    found = {"nats": figure.nats, "bits_per_dim": figure.bits_per_dim, "images": figure.images}
    facts = dataclasses.replace(facts, **found, slice_images=count, slice_nats=part.nats)
    save_model(target, shipped, card.class_names, facts, half=half)
    return facts, figure


def _printed(figure: Evaluation) -> tuple[str, str]:
    return f"{figure.nats:.2f}", f"{figure.bits_per_dim:.3f}"


def main() -> None:
    """Bundle the runs below the directory given, or those named after it."""
    torch.set_num_threads(1)
    runs, *only = sys.argv[1:]
    MODELS.mkdir(parents=True, exist_ok=True)
    for name in only or BUNDLE:
        print(bundle(Path(runs), name), flush=True)


if __name__ == "__main__":
    main()
