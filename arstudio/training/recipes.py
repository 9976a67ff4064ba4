"""What a person is offered before any setting: how long, how large, which view of the data. No torch is loaded here
before a model's settings are asked for.

A recipe is everything `arstudio train` takes, for one model on one dataset:

    quick    about a minute, the `small` network: what the architecture is good for
    good     what a processor can do: the rules by which the bundled models were trained (packaging/build_models.py)
    paper    the published size, in epochs and with early stopping: for a GPU

The rules were found on the bundled models and by `arstudio bench models`: 1,257 `digits` and 1,146 `emoji` overfit without
dropout; a batch of 16 uses a processor's time best; fully connected networks overfit less with half the learning rate;
28×28 images want a slower average of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arstudio.data import DatasetInfo
from arstudio.training.runs import RunError

RECIPE_NAMES = ("quick", "good", "paper")

SIZES = ("small", "medium", "paper")                        # presets of every model's config

_LEVELS = {"digits": (17, 2, 0), "mnist": (2, 8, 256, 0), "fashion": (8, 2, 256, 0), "emoji": (8, 256, 0)}
_SIDES = {"emoji": 16}    # of images that are large for a processor

_FULLY_CONNECTED = ("fvsbn", "nade", "eonade", "rnade", "made")
_DROPS = ("gated_pixelcnn", "pixelcnn", "pixelcnn_pp", "pixelsnail", "imagegpt")     # models with a setting `dropout`
_SLOW = ("row_lstm", "diagonal_bilstm", "multiscale", "pixelcnn_pp", "pixelsnail")   # on a processor they stay small
_SMALL_DATA = {"digits": 0.3, "emoji": 0.3, "mnist": 0.1}                            # dropout that they need
_GOOD_MINUTES = {"digits": 3.0, "mnist": 20.0, "fashion": 60.0, "emoji": 45.0}
_PAPER_EPOCHS = {"digits": 400.0, "mnist": 200.0, "fashion": 100.0, "emoji": 400.0}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train one model on one dataset. `preset` is a size of SIZES and `changes` what differs from it; `levels` and
    `size` (pixels a side) are the view, None as the images are; exactly one of `minutes` and `epochs` is not 0."""

    name: str
    model: str
    preset: str
    changes: dict[str, Any]
    levels: int | None
    size: int | None
    minutes: float
    epochs: float
    batch: int
    learning_rate: float
    ema: float
    patience: int

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the model. Loads torch; raises ConfigError for a model there is not."""
        return size_settings(self.model, self.preset) | self.changes


def recipe(name: str, model: str, dataset: str) -> Recipe:
    """The recipe of this name for a model on a bundled dataset; other images get those of medium size. Raises RunError for
    a name there is not."""
    if name not in RECIPE_NAMES:
        raise RunError(f"There is no recipe {name!r}; choose one of {', '.join(RECIPE_NAMES)}.")
    dense, tiny = model in _FULLY_CONNECTED, dataset == "digits"
    size = {"quick": "small", "good": "small" if tiny or model in _SLOW else "medium", "paper": "paper"}[name]
    settings: dict[str, Any] = {}
    if model in _DROPS and (dropout := _SMALL_DATA.get(dataset)) and name == "good":
        settings["dropout"] = dropout
    if model == "imagegpt" and not tiny and name != "paper":
        settings["tokens"] = "patches"    # a quarter of the tokens: a network pass takes a fifth of the time
    if model == "lmconv" and name == "good":
        settings["completion"] = 0.5
    levels, side = _LEVELS.get(dataset, (None,))[0], _SIDES.get(dataset)
    if name == "paper" and not dense:
        levels, side = {"fashion": 256, "emoji": 256}.get(dataset, levels), None
    minutes = {"quick": 1.0, "good": _GOOD_MINUTES.get(dataset, 10.0), "paper": 0.0}[name]
    return Recipe(
        name=name, model=model, preset=size, changes=settings, levels=levels, size=side,
        minutes=minutes / 2 if dense and tiny and name == "good" else minutes,
        epochs=_PAPER_EPOCHS.get(dataset, 200.0) if name == "paper" else 0.0,
        batch={"quick": 32, "good": 16, "paper": 32}[name],
        learning_rate=1e-3 if dense or name == "paper" else 2e-3 if name == "quick" or tiny else 1.5e-3,
        ema=0.998 if name == "quick" or tiny else 0.999,
        patience=30 if name == "paper" else 0,
    )


def size_settings(model: str, size: str) -> dict[str, Any]:
    """Settings of a model at a size; loads torch."""
    from arstudio.models import preset_settings

    return preset_settings(model, size)


def views_offered(info: DatasetInfo) -> tuple[tuple[int, int | None], ...]:
    """(levels, pixels a side or None as the images are) worth training on, that of the recipes first; 0 levels are continuous,
    the levels dequantised."""
    views = tuple((levels, None) for levels in _LEVELS.get(info.name, (info.spec.levels,)))
    side = _SIDES.get(info.name)
    return ((views[0][0], side), *views) if side else views
