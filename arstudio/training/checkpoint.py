"""What a trainer leaves on disk so that training goes on as if it had never ended, and how it is read back.

latest.safetensors holds weights.*, ema.*, adam.<i>.*, rng.torch, rng.noise and the last losses; its header, under
"training", the place: step, epoch, position in the epoch, seconds, best figure, budget.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from arstudio.models.checkpoint import encode_model, named, unnamed
from arstudio.models.modelfile import WriteError, read_metadata
from arstudio.training.lock import WriterLock
from arstudio.training.runs import Run, RunError

if TYPE_CHECKING:
    from arstudio.training.loop import Trainer

LIVE = ("step", "epoch", "seconds", "fraction", "best_nats")
BATCHES = ("position", "epochs_done")
OWN = ("best_epoch", "film_index", "rate_scale", "recoveries")


class Store:
    """The files of a run as training goes on, written by one program only. What the disk refuses stays in memory and is
    tried again at the next save, so that a full disk or a drive that is gone ends no training; what was there stays whole."""

    def __init__(self, run: Run | None) -> None:
        self.run = run
        self.refused: WriteError | None = None    # the last refusal, until a save goes through
        self._waiting: dict[str, bytes] = {}
        self._lock: WriterLock | None = None
        self._seen = self._signature()

    def claim(self) -> None:
        """Become the one who writes. Raises RunBusy if another program does, RunError if one has written since this run was
        opened."""
        self._lock = WriterLock(self.run.path)
        if self._signature() != self._seen:
            self.release()
            raise RunError(f"Another program has gone on with {self.run.path} meanwhile; resume it anew.")

    def release(self) -> None:
        """Let others write."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def beat(self) -> None:
        """Between steps: say that the writer lives."""
        if self._lock is not None:
            self._lock.beat()

    def put(self, record: dict[str, Any] | None = None, **files: bytes) -> bool:
        """Write tensors by name, the figures before them and the record's changes after them -> whether all is on disk.
        Raises RunBusy if another program has taken the run over."""
        if self._lock is not None:
            self._lock.check()
        self._waiting |= files
        self.run.record |= record or {}
        try:
            self.run.save_points()
            for name in list(self._waiting):
                self.run.save_tensors(name, self._waiting[name])
                del self._waiting[name]
            if record is not None:
                self.run.save_record()
        except WriteError as error:
            self.refused = error
        else:
            self.refused = None
        self._seen = self._signature()
        return self.refused is None

    def beside(self, write: Callable[[], object]) -> None:
        """Write something that training does without: where the disk refuses, the next `put` says why. Raises RunBusy."""
        if self._lock is not None:
            self._lock.check()
        with suppress(WriteError):
            write()

    def _signature(self) -> tuple[int, int] | None:
        """What tells one latest.safetensors from another."""
        try:
            found = (self.run.path / "latest.safetensors").stat() if self.run is not None else None
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_size)


def pack(trainer: Trainer) -> bytes:
    """A trainer's state as the bytes of latest.safetensors."""
    tensors = named("weights", trainer.model) | named("ema", trainer.average)
    for i, p in enumerate(trainer.model.parameters()):
        for key, value in trainer.optimiser.state.get(p, {}).items():
            tensors[f"adam.{i}.{key}"] = torch.as_tensor(value)
    tensors["rng.torch"] = torch.get_rng_state()
    tensors["rng.noise"] = trainer.batches.noise.get_state()
    tensors["recent"] = torch.tensor(trainer.recent, dtype=torch.float64)
    parts = (trainer.live, LIVE), (trainer.batches, BATCHES), (trainer, OWN)
    place = {name: getattr(part, name) for part, names in parts for name in names} | {"budget": trainer.budget.total}
    return encode_model(trainer.card(), tensors, {"training": json.dumps(place)})


def unpack(trainer: Trainer, path: Path) -> None:
    """Bring a trainer to the state in a file. Raises RunError or ModelFileError where it is none, or of another model."""
    try:
        place = json.loads(read_metadata(path)["training"])
        tensors = load_file(path)
        trainer.model.load_state_dict(unnamed("weights", tensors))
        trainer.average.load_state_dict(unnamed("ema", tensors))
        for i, p in enumerate(trainer.model.parameters()):
            state = {n.rpartition(".")[2]: t for n, t in tensors.items() if n.startswith(f"adam.{i}.")}
            if state:
                count = state.pop("step")    # which Adam keeps on the CPU, unless it is fused
                count = count.to(p.device) if trainer.optimiser.defaults["fused"] else count
                trainer.optimiser.state[p] = {"step": count} | {k: t.to(p.device) for k, t in state.items()}
        torch.set_rng_state(tensors["rng.torch"])
        trainer.batches.noise.set_state(tensors["rng.noise"])
        trainer.recent = tensors["recent"].tolist()
        place = {"rate_scale": 1.0, "recoveries": 0} | place    # older runs never went back
        for part, names in ((trainer.live, LIVE), (trainer.batches, BATCHES), (trainer, OWN)):
            for name in names:
                setattr(part, name, place[name])
        trainer.budget.total = place["budget"]
    except (KeyError, TypeError, json.JSONDecodeError, SafetensorError):
        raise RunError(f"{path} is not a training checkpoint, so it cannot be resumed from; start a new run.") from None
    except RuntimeError:
        raise RunError(f"The weights in {path} do not fit the run, so it cannot be resumed; start a new one.") from None
