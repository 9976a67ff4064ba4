"""The list of models: each model file adds itself with one decorator; `create` builds by name.

    MODELS["gated_pixelcnn"].config       the frozen config dataclass
    create("gated_pixelcnn", spec, num_classes=10, channels=32)
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from arstudio.image import ImageSpec
from arstudio.models.base import AutoregressiveModel, ConfigError, ModelConfig

T = TypeVar("T", bound=type[AutoregressiveModel])


@dataclass(frozen=True)
class ModelEntry:
    """One architecture: registry name, title for people, paper, config dataclass and class."""

    name: str
    title: str
    paper: str
    config: type[ModelConfig]
    model: type[AutoregressiveModel]

    @property
    def explanation(self) -> str:
        """The model file's docstring: idea, formula, source, deviations, shapes."""
        return (sys.modules[self.model.__module__].__doc__ or self.title).strip()

    @property
    def summary(self) -> str:
        """First line of the explanation."""
        return self.explanation.splitlines()[0]


MODELS: dict[str, ModelEntry] = {}


def register(name: str, title: str, paper: str, config: type[ModelConfig]) -> Callable[[T], T]:
    """Class decorator: enter a model into MODELS."""

    def enter(model: T) -> T:
        model.name, model.title, model.paper = name, title, paper
        MODELS[name] = ModelEntry(name, title, paper, config, model)
        return model

    return enter


def create(name: str, spec: ImageSpec, num_classes: int = 0, **config: Any) -> AutoregressiveModel:
    """Build a model with fresh weights from the global torch generator.

    Raises ConfigError naming the known models or fields when `name` or a field of `config` is unknown, when a
    value has the wrong type, or when the model cannot exist for `spec`.
    """
    return _entry(name).model(spec, make_config(name, config), num_classes)


def _entry(name: str) -> ModelEntry:
    if name not in MODELS:
        raise ConfigError(f"There is no model {name!r}; the models are {', '.join(sorted(MODELS))}.")
    return MODELS[name]


def preset_settings(name: str, preset: str) -> dict[str, Any]:
    """What `small`, `medium` or `paper` changes in the settings of model `name`. Raises ConfigError."""
    presets = _entry(name).config.presets
    if preset not in presets:
        raise ConfigError(f"There is no preset {preset!r}; choose {', '.join(presets)}.")
    return dict(presets[preset])


def make_config(name: str, values: dict[str, Any]) -> ModelConfig:
    """Config of model `name` from plain values (from a JSON header or `--set key=value` strings).
    Raises ConfigError."""
    cls = _entry(name).config
    fields = {f.name: f for f in dataclasses.fields(cls)}
    clean = {}
    for key, value in values.items():
        if key not in fields:
            known = ", ".join(sorted(fields))
            raise ConfigError(f"{MODELS[name].title} has no setting {key!r}; it has {known}.")
        clean[key] = _convert(key, value, fields[key].default)
    return cls(**clean)


def _convert(key: str, value: Any, default: Any) -> Any:
    """Bring a value to the type of the field's default."""
    try:
        if isinstance(default, bool):
            if isinstance(value, str):
                return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                    value.lower()
                ]
            return bool(value)
        if isinstance(default, int):
            if float(value) != int(float(value)):
                raise ValueError
            return int(float(value))
        if isinstance(default, float):
            return float(value)
        if isinstance(default, tuple):
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(int(part) for part in parts)
        return str(value)
    except (ValueError, TypeError, KeyError, OverflowError):
        kinds = {bool: "true or false", int: "a whole number", float: "a number"}
        kind = "whole numbers with commas" if isinstance(default, tuple) else kinds.get(type(default), "text")
        raise ConfigError(f"The setting {key} must be {kind}, not {value!r}.") from None
