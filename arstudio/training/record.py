"""What is written down of a training for people and for later: the first record of its run, a model's card, the machine."""

from __future__ import annotations

import dataclasses
import platform
from datetime import UTC, datetime
from typing import Any

import torch

from arstudio.data import ImageDataset
from arstudio.models import threads
from arstudio.models.base import AutoregressiveModel
from arstudio.models.checkpoint import card_of
from arstudio.models.modelfile import Facts, ModelCard
from arstudio.training.baselines import baseline_nats
from arstudio.training.config import TrainConfig
from arstudio.training.evaluation import units
from arstudio.training.runs import Run


def start_run(
    path: Any, model: AutoregressiveModel, data: ImageDataset, config: TrainConfig, **more: Any
) -> Run:
    """Make the run directory of a new training; `more` is recorded as it is (command, dataset view, …)."""
    return Run.new(path, {
        "status": "new", "started": datetime.now(UTC).isoformat(timespec="seconds"), "model": model.name,
        "config": dataclasses.asdict(model.config), "spec": model.spec.to_dict(),
        "num_classes": model.num_classes,
        "dataset": data.info.name, "protocol": data.protocol, "native_levels": data.info.spec.levels,
        "training": dataclasses.asdict(config),
        "baselines": baseline_nats(data, config.validation_images),
        "parameters": model.num_parameters, "machine": machine(), **more,
    })


def card_so_far(
    model: AutoregressiveModel, data: ImageDataset, config: TrainConfig, nats: float, *,
    epochs: float, seconds: float, command: str,
) -> ModelCard:
    """The card of a model as trained so far, with a validation figure in nats."""
    native = data.info.spec.levels
    facts = Facts(
        dataset=data.info.name, protocol=data.protocol + units(model.spec, native),
        split="validation, estimated" if model.slow_exact else "validation",
        nats=nats, bits_per_dim=model.spec.bits_per_dim(nats, native),
        images=min(config.validation_images, len(data.validation.x)),
        command=command, seed=config.seed, epochs=round(epochs, 2), seconds=round(seconds, 1),
        machine=machine(), licence=data.info.licence,
    )
    return card_of(model, tuple(data.classes) if model.num_classes else (), facts)


def machine() -> str:
    """Processor or GPU and the threads that training uses, for records."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    return f"{platform.machine()} CPU, {threads.ALL} threads"
