"""Saving and loading model files: safetensors with a JSON header, see `modelfile.py`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from arstudio.models.base import AutoregressiveModel, ConfigError
from arstudio.models.modelfile import (
    Facts,
    ModelCard,
    ModelFileError,
    card_from_metadata,
    find_model,
    read_metadata,
    write_atomically,
)
from arstudio.models.registry import MODELS, create


def card_of(
    model: AutoregressiveModel, class_names: tuple[str, ...] = (), facts: Facts | None = None
) -> ModelCard:
    """The card a model would be saved with."""
    config = dataclasses.asdict(model.config)
    return ModelCard(model.name, model.spec, config, model.num_classes, class_names, facts or Facts())


def named(prefix: str, model: AutoregressiveModel) -> dict[str, Tensor]:
    """A model's tensors as a file calls them, `prefix.` before each name."""
    return {f"{prefix}.{name}": t for name, t in model.state_dict().items()}


def unnamed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of a file's tensors that are called so, by their names in the model."""
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def encode_model(card: ModelCard, tensors: dict[str, Tensor], extra: dict[str, str] | None = None) -> bytes:
    """Bytes of a model file from a card and tensors already named `weights.*`, `ema.*`, …;
    `extra` is more metadata."""
    flat = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    return save(flat, metadata={"arstudio": json.dumps(card.header(), ensure_ascii=False), **(extra or {})})


def save_model(
    path: str | Path, model: AutoregressiveModel, class_names: tuple[str, ...] = (),
    facts: Facts | None = None, *, half: bool = False,
) -> None:
    """Write a model file atomically; `half` stores weights as float16 (check that the test figure stays).

    Raises WriteError with one sentence when the disk refuses; an existing file is unchanged then.
    """
    weights = {n: t.half() if half and t.is_floating_point() else t for n, t in named("weights", model).items()}
    write_atomically(path, encode_model(card_of(model, class_names, facts), weights))


def load_model(
    which: str | Path, device: str | torch.device = "cpu"
) -> tuple[AutoregressiveModel, ModelCard]:
    """Open a bundled name, model file or run directory -> (model in evaluation mode, float32, its card).

    Training checkpoints give their averaged (EMA) weights. Raises ModelFileError with one sentence if the
    file is damaged, foreign, newer, of an unknown architecture, or if its weights do not fit its header or are not finite.
    """
    path = find_model(which)
    card = card_from_metadata(read_metadata(path), path)
    if card.model not in MODELS:
        raise ModelFileError(
            f"{path.name} holds a model of kind {card.model!r}, which this AR Studio does not have; "
            f"it has {', '.join(sorted(MODELS))}."
        )
    try:
        tensors = load_file(path, device=str(device))
        with torch.random.fork_rng(devices=[]):
            model = create(card.model, card.spec, card.num_classes, **card.config).to(device)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path.name} is damaged ({error}); use another copy of it.") from None
    except ConfigError as error:
        raise ModelFileError(f"{path.name} cannot be opened: {error}") from None
    except (RuntimeError, MemoryError):    # a header may ask for more weights than any memory holds
        raise ModelFileError(
            f"The model that {path.name} describes does not fit into memory; use another copy of it."
        ) from None
    state = unnamed("ema", tensors) or unnamed("weights", tensors)
    state = {n: t.float() if t.is_floating_point() else t for n, t in state.items()}
    try:
        model.load_state_dict(state)
    except RuntimeError:
        raise ModelFileError(
            f"The weights in {path.name} do not fit its header; use another copy of it."
        ) from None
    if not all(p.isfinite().all() for p in model.parameters()):    # which would draw as if nothing were wrong
        raise ModelFileError(f"{path.name} holds weights that are not finite numbers; use another copy of it, or train anew.")
    return model.eval(), card


def load_frozen(which: str | Path, device: str | torch.device = "cpu") -> tuple[AutoregressiveModel, ModelCard]:
    """`load_model` for drawing and looking only: one copy of the weights serves all who draw, unless it would not do for
    other orders or could not be saved again. Raises as `load_model` does."""
    model, card = load_model(which, device)
    if model.whole_frozen and not model.any_order:
        model.freeze()
    return model, card
