"""The catalogue the three laws run on:
every registered model, at sizes and colours chosen to catch off-by-one errors.

A model that is registered tomorrow is tested tomorrow: it gets its default configuration and is expected to
see the full past, unless its file in `catalogue/` says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from catalogue import FILES

from arstudio.image import ImageSpec
from arstudio.models import MODELS, ConfigError
from arstudio.models.orders import ORDERS, Order
from arstudio.models.registry import make_config

SMALL: dict[str, dict[str, Any]] = {name: dict(getattr(FILES.get(name), "SMALL", {})) for name in MODELS}
VARIANTS = [(name, config) for name in MODELS for config in getattr(FILES.get(name), "VARIANTS", [])]
SPECS = [
    ImageSpec(1, 5, 7, 2), ImageSpec(1, 10, 3, 5), ImageSpec(1, 1, 16, 17), ImageSpec(1, 6, 1, 4),
    ImageSpec(1, 1, 1, 3), ImageSpec(3, 3, 5, 2), ImageSpec(3, 4, 3, 4), ImageSpec(3, 1, 4, 256),
    ImageSpec(1, 4, 5, 0), ImageSpec(3, 2, 3, 0),    # reals, for models that take them
]


@dataclass(frozen=True)
class Case:
    """One model to be held to the laws."""

    name: str
    spec: ImageSpec
    num_classes: int = 0
    config: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        c, h, w = self.spec.shape
        settings = "".join(f"-{v}" for k, v in self.config.items() if SMALL[self.name].get(k) != v)
        return f"{self.name}-{c}x{h}x{w}x{self.spec.levels}-{self.num_classes or 'no'}-classes{settings}"

    @property
    def order(self) -> Order:
        """The order the model draws in."""
        return make_config(self.name, self.config).make_order(self.spec)


def accepts(name: str, spec: ImageSpec, config: dict[str, Any]) -> bool:
    """Whether a model can be built so; a model without orders says no to all but raster."""
    try:
        make_config(name, config).check(spec)
    except ConfigError:
        return False
    return True


def all_cases() -> list[Case]:
    """Every model on every spec in its first order, classes by turns, and every order it accepts but raster."""
    cases = []
    for name in MODELS:
        small = SMALL[name]
        cases += [Case(name, spec, 3 * (i % 2), small) for i, spec in enumerate(SPECS)]
        for i, kind in enumerate(ORDERS[1:]):
            config = {**small, "order": kind, "order_seed": 5}
            cases += [Case(name, SPECS[j], 3 * (i % 2), config) for j in (1, 6)]
    for name, config in VARIANTS:
        cases += [Case(name, spec, 0, SMALL[name] | config) for spec in (SPECS[0], SPECS[6])]
    return [case for case in cases if accepts(case.name, case.spec, case.config)]


CASES = all_cases()
PLAIN = [case for case in CASES if "order" not in case.config]    # each model in its first order


def random_images(spec: ImageSpec, batch: int, generator: torch.Generator) -> torch.Tensor:
    """(B, C, H, W) random levels; of reals some just outside [0, 1], where samples may fall too."""
    if spec.levels:
        return torch.randint(0, spec.levels, (batch, *spec.shape), generator=generator)
    return torch.rand((batch, *spec.shape), generator=generator, dtype=torch.float64) * 1.1 - 0.05


def past(case: Case) -> np.ndarray:
    """(D, D) bool: may the conditional of site i look at site j? Sites in (C, H, W) reading order."""
    place = np.empty(case.spec.sites, dtype=int)
    place[case.order.sites(case.spec.channels)] = np.arange(case.spec.sites)
    return place[None] < place[:, None]


def expected_sight(case: Case) -> np.ndarray:
    """(D, D) bool: must the conditional of site i look at site j?"""
    return getattr(FILES.get(case.name), "sight", past)(case)
