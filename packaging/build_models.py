"""Bundle trained runs: test figure, picture and model file for resources/models.

The bundled models were trained by these commands, on 2 cores shared with other work (one torch thread each):

{commands}
    arstudio train --resume RUNS/mnist-gated --minutes 18

Then, from the root of a checkout:

    python packaging/build_models.py RUNS          # RUNS holds the run directories

For each run it measures the test figure exactly as `arstudio evaluate` does, draws one image for the Library, and
writes resources/models/<name>.safetensors (float32) and <name>.png. Figures stand in the header of each file.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch

from arstudio.data import load
from arstudio.image import to_pil
from arstudio.models import load_model, save_model
from arstudio.sampling import SampleSettings, sample
from arstudio.sampling.sampler import balanced_classes
from arstudio.training.evaluation import evaluate
from arstudio.training.runs import Run

ROOT = Path(__file__).resolve().parent.parent
COMMON = "--batch 16 --seed 1"
BUNDLE = {
    "fashion-gated": ("fashion-gated", "--dataset fashion --levels 8 --model gated_pixelcnn --minutes 62 --lr 0.0015 "
                      "--ema 0.999 --set channels=48", 4),
    "mnist-gated": ("mnist-gated", "--dataset mnist --levels 2 --model gated_pixelcnn --minutes 50 --lr 0.0015 --ema 0.999 "
                    "--set channels=48 --set dropout=0.1", 5),
    "mnist-lmconv": ("mnist-lmconv", "--dataset mnist --levels 2 --model lmconv --minutes 65 --lr 0.002 --ema 0.999 "
                     "--set channels=40 --set completion=0.5", 5),
    "emoji-gated": ("emoji-gated", "--dataset emoji --size 16 --levels 8 --model gated_pixelcnn --minutes 45 --lr 0.002 "
                    "--ema 0.999 --set channels=48 --set dropout=0.3", 3),
    "digits-gated": ("digits-gated", "--dataset digits --model gated_pixelcnn --minutes 7 --set channels=40 "
                     "--set dropout=0.3", 3),
    "digits-pixelcnn": ("digits-pixelcnn", "--dataset digits --model pixelcnn --minutes 5 --set dropout=0.2", 0),
    "mnist-pixelcnn": ("mnist-pixelcnn", "--dataset mnist --levels 2 --model pixelcnn --minutes 25 --lr 0.0015 --ema 0.999 "
                       "--set dropout=0.1", 8),
    "digits-row-lstm": ("digits-row-lstm", "--dataset digits --model row_lstm --minutes 6 --set layers=1 "
                        "--set hidden=48 --set first_kernel=3", 6),
    "digits-nade": ("digits-nade", "--dataset digits --model nade --minutes 1.5 --lr 0.001 --set hidden=100", 8),
    "digits-fvsbn": ("digits-fvsbn", "--dataset digits --model fvsbn --minutes 1.5 --lr 0.002", 0),
}
__doc__ = (__doc__ or "").format(commands="\n".join(
    f"    arstudio train {options} {COMMON} --out RUNS/{run}" for run, options, _ in BUNDLE.values()
))


def bundle(runs: Path, name: str, run_name: str, pictured: int) -> None:
    """Write one model file and its picture: of eight drawings, one a class from 0, number `pictured`."""
    run = Run.open(runs / run_name)
    model, card = load_model(runs / run_name)
    view = run.record["view"]
    data = load(view["dataset"], levels=view["levels"], size=view["size"], binarise=view["binarise"], seed=view["seed"])
    y = data.test.y if model.num_classes else None
    figure = evaluate(model, data.test.x, y)
    facts = dataclasses.replace(
        card.facts, split="test", nats=figure.nats, bits_per_dim=figure.bits_per_dim, images=figure.images,
        epochs=round(run.record["epochs_done"], 1), seconds=round(run.record["seconds"]),
        machine="x86_64 CPU, 1 thread of 2 shared cores", command=card.facts.command.replace(str(runs.resolve()), "RUNS"),
    )
    target = ROOT / "resources" / "models"
    target.mkdir(parents=True, exist_ok=True)
    save_model(target / f"{name}.safetensors", model, card.class_names, facts)
    trace = sample(model, 10, SampleSettings(seed=7), balanced_classes(model.num_classes, 10))
    to_pil(trace.image(pictured), model.spec, scale=64 // model.spec.width or 1).save(target / f"{name}.png", optimize=True)
    size = (target / f"{name}.safetensors").stat().st_size / 1e6
    print(f"{name}: test {figure.nats:.2f} ± {figure.stderr:.2f} nats, {figure.bits_per_dim:.3f} bits/dim, {size:.2f} MB")


def main() -> None:
    """Bundle the runs below the directory given, or those named after it."""
    torch.set_num_threads(1)
    runs, *only = sys.argv[1:]
    for name, (run, _, pictured) in BUNDLE.items():
        if not only or name in only:
            bundle(Path(runs), name, run, pictured)


if __name__ == "__main__":
    main()
