"""What a person is offered before any setting: how long, how large, which view of the data. No torch here."""

from __future__ import annotations

from typing import Any

from arstudio.data import DatasetInfo

RECIPES = {"quick": 1.0, "good": 10.0, "long": 60.0}       # minutes

# what small and large change; medium is the model's own default
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "nade": {"small": {"hidden": 100}, "large": {"hidden": 500}},
    "pixelcnn": {
        "small": {"channels": 32, "blocks": 3, "head": 32},
        "large": {"channels": 128, "blocks": 8, "head": 128},
    },
    "gated_pixelcnn": {
        "small": {"channels": 16, "dilations": (1, 2, 1, 4), "head": 32},
        "large": {"channels": 64, "dilations": (1, 2, 1, 4, 1, 2, 1, 4, 1), "head": 128},
    },
}

_LEVELS = {"digits": (17, 2), "mnist": (2, 8, 256), "fashion": (8, 2, 256), "emoji": (8, 256)}


def sizes(model: str) -> tuple[str, ...]:
    """The sizes a model comes in: small, medium and large, or medium alone."""
    return ("small", "medium", "large") if model in SIZES else ("medium",)


def size_settings(model: str, size: str) -> dict[str, Any]:
    """Settings of a model at a size."""
    return dict(SIZES.get(model, {}).get(size, {}))


def levels_offered(info: DatasetInfo) -> tuple[int, ...]:
    """Numbers of levels worth training on, the best known first."""
    return _LEVELS.get(info.name, (info.spec.levels,))
