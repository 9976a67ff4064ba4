"""A run on disk: everything one training experiment leaves,
written so that a crash at any moment loses little.

    RUN/run.json             configuration, status, figures         RUN/metrics.csv   one row per validation
    RUN/latest.safetensors   weights, EMA, optimiser and RNG        RUN/best.safetensors   the best EMA so far
    RUN/samples/0007.png     the fixed-seed samples, by step         RUN/loss_map.npy  bits of every pixel, validation
    RUN/snapshots/0007.safetensors   weights kept when asked to     RUN/remarks.json  a person's notes and tags

Every file is replaced atomically. `best.safetensors` and snapshots are ordinary model files. Only the trainer writes,
remarks excepted, which nothing else reads or writes.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arstudio.models.modelfile import ModelFileError, write_atomically

FORMAT = 1


class RunError(ValueError):
    """A run directory that cannot be used; the message says why."""


@dataclass(frozen=True)
class Point:
    """One validation: averages in nats per image, and how training was going: seconds of training so far, the learning rate
    of the next step, the norm of the last gradient (nats a site, before it is clipped), images a second."""

    step: int
    epoch: float
    seconds: float
    train_nats: float
    validation_nats: float
    validation_bits_per_dim: float
    learning_rate: float
    gradient_norm: float
    images_per_second: float
    raw_nats: float = math.nan    # of the weights without averaging, see `evaluation.raw_nats`


@dataclass(frozen=True)
class Remarks:
    """What a person wrote about a run."""

    notes: str = ""
    tags: tuple[str, ...] = ()


class Run:
    """One run directory. `Run.new` makes it, `Run.open` reads it; both raise RunError with one sentence. What writes raises
    WriteError where the disk refuses, and leaves what was there before."""

    def __init__(self, path: Path, record: dict[str, Any], points: list[Point]) -> None:
        self.path, self.record, self.points = path, record, points

    @classmethod
    def new(cls, path: str | Path, record: dict[str, Any]) -> Run:
        """Make a run directory. Raises RunError if one is there already or the place cannot be written."""
        path = Path(path)
        if (path / "run.json").exists():
            raise RunError(
                f"{path} already holds a run; resume it with --resume, or choose another directory."
            )
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not there.is_dir():
            raise RunError(f"{there} is a file; choose a new directory for the run.")
        if path.is_dir() and any(path.iterdir()):
            raise RunError(f"{path} is not empty; choose a new directory for the run.")
        try:
            path.mkdir(parents=True, exist_ok=True)
            run = cls(path, {"format": FORMAT, **record}, [])
            run.save_record()
            (path / "samples").mkdir()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "the disk refuses"
            raise RunError(f"The run directory {path} cannot be written: {reason}.") from None
        return run

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Read a run directory. Raises RunError for anything that is not one, or is from a newer version."""
        path = Path(path)
        try:
            record = json.loads((path / "run.json").read_text(encoding="utf-8"))
            if record["format"] > FORMAT:
                raise RunError(f"{path} was written by a newer AR Studio; update AR Studio to continue it.")
            points = _read_points(path / "metrics.csv")
        except (FileNotFoundError, NotADirectoryError):
            raise RunError(f"{path} is not a run directory: it has no run.json.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, RunError):
                raise
            raise RunError(
                f"{path} is a damaged run directory ({error}); bring back a copy of it, or open a model file in it."
            ) from None
        return cls(path, record, points)

    def save_record(self, **changes: Any) -> None:
        """Update and write run.json."""
        self.record.update(changes)
        text = json.dumps(self.record, indent=2, ensure_ascii=False)
        write_atomically(self.path / "run.json", text.encode())

    def save_points(self) -> None:
        """Write metrics.csv."""
        if not self.points:
            return
        names = [f.name for f in dataclasses.fields(Point)]
        rows = [",".join(names)] + [",".join(repr(getattr(p, n)) for n in names) for p in self.points]
        write_atomically(self.path / "metrics.csv", ("\n".join(rows) + "\n").encode())

    def save_tensors(self, name: str, data: bytes) -> None:
        """Write `latest` or `best`."""
        write_atomically(self.path / f"{name}.safetensors", data)

    def save_snapshot(self, step: int, data: bytes) -> Path:
        """Keep a model file, and say where."""
        path = self.path / "snapshots" / f"{step:07d}.safetensors"
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, data)
        return path

    def snapshots(self) -> list[Path]:
        """Model files that were kept, oldest first."""
        return sorted(path for path in (self.path / "snapshots").glob("*.safetensors") if path.stem.isdigit())

    def save_loss_map(self, bits: np.ndarray) -> None:
        """Write (H, W) bits per pixel."""
        buffer = io.BytesIO()
        np.save(buffer, bits, allow_pickle=False)
        write_atomically(self.path / "loss_map.npy", buffer.getvalue())

    def loss_map(self) -> np.ndarray | None:
        """(H, W) bits per pixel at the last validation, None where there is none that can be read."""
        try:
            found = np.load(self.path / "loss_map.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return found if found.ndim == 2 and found.dtype.kind == "f" else None

    def remarks(self) -> Remarks:
        """A person's notes and tags; empty where there are none that can be read."""
        try:
            found = json.loads((self.path / "remarks.json").read_text(encoding="utf-8"))
            return Remarks(str(found["notes"]), tuple(str(tag) for tag in found["tags"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Remarks()

    def save_remarks(self, remarks: Remarks) -> None:
        """Write notes and tags. Raises WriteError with one sentence."""
        text = json.dumps(dataclasses.asdict(remarks), indent=2, ensure_ascii=False)
        write_atomically(self.path / "remarks.json", text.encode())

    def save_samples(self, picture: Any, index: int) -> None:
        """Write a sample sheet (Pillow image)."""
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        write_atomically(self.path / "samples" / f"{index:04d}.png", buffer.getvalue())


def list_runs(root: str | Path) -> list[Run]:
    """Readable runs directly below a directory, newest first, to be looked at only: a run whose files are those of the last
    look comes again as it was read then."""
    before, now = _listed.get(Path(root), {}), {}
    for path in Path(root).glob("*/run.json"):
        with suppress(RunError, ModelFileError):
            stamp = _stamp(path), _stamp(path.with_name("metrics.csv"))
            known = before.get(path.parent)
            now[path.parent] = known if known is not None and known[0] == stamp else (stamp, Run.open(path.parent))
    _listed[Path(root)] = now
    return sorted((run for _, run in now.values()), key=lambda run: str(run.record.get("started", "")), reverse=True)


_Stamp = tuple[int, int, int] | None
_listed: dict[Path, dict[Path, tuple[tuple[_Stamp, _Stamp], Run]]] = {}    # by directory: what `list_runs` has read


def _stamp(path: Path) -> _Stamp:
    """What changes when a file is replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read_points(path: Path) -> list[Point]:
    if not path.exists():
        return []
    header, *rows = path.read_text().strip().splitlines()
    names = header.split(",")
    kinds = {f.name: int if f.type == "int" else float for f in dataclasses.fields(Point)}
    return [Point(**{n: kinds[n](v) for n, v in zip(names, row.split(","), strict=True)}) for row in rows]
