"""What a person is offered before any setting: how long, how large, which view of the data. No torch here."""

from __future__ import annotations

from typing import Any

from arstudio.data import DatasetInfo

RECIPES = {"quick": 1.0, "good": 10.0, "long": 60.0}       # minutes

SIZES = ("small", "medium", "paper")                        # presets of every model's config

_LEVELS = {"digits": (17, 2, 0), "mnist": (2, 8, 256, 0), "fashion": (8, 2, 256, 0), "emoji": (8, 256, 0)}


def size_settings(model: str, size: str) -> dict[str, Any]:
    """Settings of a model at a size; loads torch."""
    from arstudio.models import preset_settings

    return preset_settings(model, size)


def levels_offered(info: DatasetInfo) -> tuple[int, ...]:
    """Numbers of levels worth training on, the best known first; 0 is continuous, the levels dequantised."""
    return _LEVELS.get(info.name, (info.spec.levels,))
