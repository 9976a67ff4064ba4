"""Measure what a training may be expected to reach: resources/curves.json, which `training/expectations.py` reads.

    python packaging/build_curves.py RUNS           # gather, from the root of a checkout
    python packaging/build_curves.py RUNS --train   # first train what has no curve yet: up to 2 hours on one core

Rows are the validation figures of bundled models where RUNS holds their run, else the figure of the card; the rows of
tests/benchmarks/models.json; and models by their quick recipe, where neither gives a curve of several points for these images:

    arstudio train --dataset DATASET --model MODEL --recipe quick --minutes MINUTES --seed 1 --out RUNS/reference/DATASET-MODEL

A row whose run is gone stays as it was measured, unless a bundled model's weights are others by now.
"""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

from build_models import BUNDLE

from arstudio.data import bundled
from arstudio.image import ImageSpec
from arstudio.models import MODELS
from arstudio.models.modelfile import bundled_models
from arstudio.training.runs import Point, Run

ROOT = Path(__file__).resolve().parent.parent
CURVES = ROOT / "resources" / "curves.json"
MINUTES = {"digits": 0.5, "mnist": 1.0, "fashion": 2.5, "emoji": 1.5}
KNOTS = 24        # points of a curve
ROUNDED = 0.06    # a card's epochs have one digit

Row = dict[str, Any]


def train(runs: Path, kept: list[Row]) -> None:
    """Train every pair that has no curve and no finished run; a run that was begun goes on."""
    curves = {(row["model"], row["dataset"]) for row in kept if len(row["points"]) > 1}
    for model in MODELS:
        for dataset, minutes in MINUTES.items():
            path = runs / "reference" / f"{dataset}-{model}"
            if (model, dataset) in curves or _finished(path):
                continue
            new = f"--dataset {dataset} --model {model} --recipe quick --minutes {minutes} --seed 1 --out".split()
            options = ["--resume"] if (path / "latest.safetensors").exists() else new
            subprocess.run([sys.executable, "-m", "arstudio", "train", *options, str(path)], check=True)


def gather(runs: Path, kept: list[Row]) -> list[Row]:
    """All rows: those measured by what is there now, then those of `kept` that are measured nowhere else."""
    before = {row["how"]: row for row in kept if row["how"].startswith("bundled as ")}
    rows = [*_bundled(runs, before), *_benchmark(), *_reference(runs)]
    known, there = {_subject(row) for row in rows}, {f"bundled as {card.name}" for card in bundled_models()}
    rows += [r for r in kept if _subject(r) not in known and (r["how"] in there or not r["how"].startswith("bundled as "))]
    return sorted(rows, key=lambda r: (r["dataset"], r["model"], r["levels"], r["height"], r["how"]))


def _bundled(runs: Path, before: dict[str, Row]) -> list[Row]:
    rows = []
    for card in bundled_models():
        path, facts, how = runs / card.name, card.facts, f"bundled as {card.name}"
        parameters = MODELS[card.model].config(**card.config).parameters(card.spec, card.num_classes)
        row = _row(card.model, facts.dataset, card.spec, parameters, how)
        if (path / "metrics.csv").exists() and not BUNDLE[card.name].resumed:
            points = [p for p in Run.open(path).points if p.epoch <= facts.epochs + ROUNDED]    # it may have gone on since
            row |= {"split": "validation", "points": _knots(points)}
        elif how in before and math.isclose(before[how]["points"][-1][0], facts.epochs, abs_tol=ROUNDED):
            row = before[how]
        else:
            row |= {"split": "test", "points": [[facts.epochs, facts.seconds, round(facts.nats, 3)]]}
        rows.append(row)
    return rows


def _benchmark() -> list[Row]:
    rows, specs = [], {info.name: info.spec for info in bundled()}
    for row in json.loads((ROOT / "tests" / "benchmarks" / "models.json").read_text())["rows"]:
        job, seconds = row["job"], row["training_seconds"]
        spec = dataclasses.replace(specs[job["dataset"]], levels=job["levels"])
        how = f"arstudio bench models, {seconds:.0f} s of one thread, without classes"
        point = [round(row["epochs"], 3), round(seconds, 1), round(row["nats"], 3)]
        rows.append(_row(job["model"], job["dataset"], spec, row["parameters"], how) | {"split": "test", "points": [point]})
    return rows


def _reference(runs: Path) -> list[Row]:
    rows = []
    for path in sorted((runs / "reference").glob("*-*")):
        if not _finished(path):
            continue
        run = Run.open(path)
        record = run.record
        how = f"arstudio train --recipe quick --minutes {record['training']['minutes']:g}"
        row = _row(record["model"], record["dataset"], ImageSpec(**record["spec"]), record["parameters"], how)
        rows.append(row | {"split": "validation", "points": _knots(run.points)})
    return rows


def _finished(path: Path) -> bool:
    return (path / "run.json").exists() and Run.open(path).record["status"] == "finished"


def _row(model: str, dataset: str, spec: ImageSpec, parameters: int, how: str) -> Row:
    """A row without what was measured."""
    size = {"levels": spec.levels, "height": spec.height, "width": spec.width}
    return {"model": model, "dataset": dataset, **size, "parameters": parameters, "how": how}


def _subject(row: Row) -> tuple[str, str, str]:
    return row["model"], row["dataset"], row["how"]


def _knots(points: list[Point]) -> list[list[float]]:
    """(passes, seconds, best nats so far) at no more than KNOTS validations, the last among them."""
    best, found = float("inf"), []
    for p in points:
        best = min(best, p.validation_nats)
        if p.epoch > 0:
            found.append([round(p.epoch, 3), round(p.seconds, 1), round(best, 3)])
    step = -(-len(found) // KNOTS)
    return found[::-1][::step][::-1]


def main() -> None:
    """Train if asked to, and write the curves."""
    runs = Path(sys.argv[1])
    kept = json.loads(CURVES.read_text(encoding="utf-8"))["runs"] if CURVES.exists() else []
    if "--train" in sys.argv[2:]:
        train(runs, kept)
    rows = gather(runs, kept)
    CURVES.write_text(json.dumps({"runs": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} runs, {len({(r['model'], r['dataset']) for r in rows})} pairs of model and dataset")


if __name__ == "__main__":
    main()
