"""The catalogue the three laws run on:
every registered model, at sizes and colours chosen to catch off-by-one errors.

A model that is registered tomorrow is tested tomorrow: it gets its default configuration and is expected to
see the full past, unless `SMALL` or `SIGHT` says otherwise.

`SIGHT` derives what an architecture can see from the figures of its paper, by reachability over (row, column,
colour) nodes; it shares no code with the models.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from arstudio.image import ImageSpec
from arstudio.models import MODELS, ConfigError
from arstudio.models.orders import ORDERS, Order
from arstudio.models.registry import make_config

SMALL: dict[str, dict[str, Any]] = {
    "fvsbn": {},
    "nade": {"hidden": 12},
    "pixelcnn": {"channels": 12, "blocks": 2, "first_kernel": 5, "head": 9},
    "gated_pixelcnn": {"channels": 9, "dilations": (1, 1, 2, 4, 8), "head": 9},
}
VARIANTS = [
    ("fvsbn", {"inputs": "one_hot"}),
    ("gated_pixelcnn", {"kernel": 5, "dilations": (1, 2), "channels": 5}),
]
SPECS = [
    ImageSpec(1, 5, 7, 2), ImageSpec(1, 3, 10, 5), ImageSpec(1, 1, 16, 17), ImageSpec(1, 6, 1, 4),
    ImageSpec(1, 1, 1, 3), ImageSpec(3, 3, 5, 2), ImageSpec(3, 4, 3, 4), ImageSpec(3, 1, 4, 256),
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
        settings = "".join(f"-{v}" for k, v in self.config.items() if SMALL.get(self.name, {}).get(k) != v)
        return f"{self.name}-{c}x{h}x{w}x{self.spec.levels}-{self.num_classes or 'no'}-classes{settings}"

    @property
    def order(self) -> Order:
        config = make_config(self.name, self.config)
        return Order(config.order, self.spec.height, self.spec.width, config.order_seed)


def accepts(name: str, spec: ImageSpec, config: dict[str, Any]) -> bool:
    """Whether a model can be built so; a model without orders says no to all but raster."""
    try:
        make_config(name, config).check(spec)
    except ConfigError:
        return False
    return True


def catalogue() -> list[Case]:
    """Every model on every spec in raster order, classes by turns, and every other order it accepts."""
    cases = []
    for name in MODELS:
        small = SMALL.get(name, {})
        cases += [Case(name, spec, 3 * (i % 2), small) for i, spec in enumerate(SPECS)]
        for i, kind in enumerate(ORDERS[1:]):
            config = {**small, "order": kind, "order_seed": 5}
            cases += [Case(name, SPECS[j], 3 * (i % 2), config) for j in (1, 6)]
    for name, config in VARIANTS:
        cases += [Case(name, spec, 0, SMALL[name] | config) for spec in (SPECS[0], SPECS[6])]
    return [case for case in cases if accepts(case.name, case.spec, case.config)]


CASES = catalogue()
RASTER = [case for case in CASES if case.order.kind == "raster"]


def past(case: Case) -> np.ndarray:
    """(D, D) bool: may the conditional of site i look at site j? Sites in (C, H, W) reading order."""
    place = np.empty(case.spec.sites, dtype=int)
    place[case.order.sites(case.spec.channels)] = np.arange(case.spec.sites)
    return place[None] < place[:, None]


def expected_sight(case: Case) -> np.ndarray:
    """(D, D) bool: must the conditional of site i look at site j?"""
    return SIGHT.get(case.name, past)(case)


def pixelcnn_sight(case: Case) -> np.ndarray:
    """Mask A, then blocks of mask B with a residual path; van den Oord et al. 2016a, figures 2, 4 and 5."""
    k, first = case.config.get("kernel", 3), case.config["first_kernel"]
    same = _pixel(case.spec, strict=False)
    seen = same @ (_above(case.spec, first, 1) | _left(case.spec, first, 1) | _pixel(case.spec, strict=True))
    block = same @ (_above(case.spec, k, 1) | _left(case.spec, k, 1) | same) @ same
    for _ in range(case.config["blocks"]):
        seen = seen | block @ seen
    return same @ seen


def gated_pixelcnn_sight(case: Case) -> np.ndarray:
    """Two stacks: the vertical one sees rows above, in any colour; van den Oord et al.
    2016b, figures 1 and 2."""
    k = case.config.get("kernel", 3)
    same, strict = _pixel(case.spec, strict=False), _pixel(case.spec, strict=True)
    whole = _taps(case.spec, [(0, 0)])
    vertical = horizontal = np.eye(case.spec.sites, dtype=bool)
    for i, step in enumerate(case.config["dilations"]):
        here = strict if i == 0 else same
        rows_above = _above(case.spec, k, step)
        vertical = rows_above if i == 0 else (rows_above | _row(case.spec, k, step)) @ vertical
        gated = same @ ((_left(case.spec, k, step) | here) @ horizontal | whole @ vertical)
        horizontal = gated if i == 0 else horizontal | gated
    return same @ horizontal


SIGHT = {"pixelcnn": pixelcnn_sight, "gated_pixelcnn": gated_pixelcnn_sight}


def _taps(spec: ImageSpec, offsets: list[tuple[int, int]]) -> np.ndarray:
    """(D, D) bool: site i reads every colour of the pixels at these (row, column) offsets from its own."""
    reads = np.zeros((spec.channels, spec.height, spec.width, *spec.shape), dtype=bool)
    for row in range(spec.height):
        for column in range(spec.width):
            for down, right in offsets:
                r, c = row + down, column + right
                if 0 <= r < spec.height and 0 <= c < spec.width:
                    reads[:, row, column, :, r, c] = True
    return reads.reshape(spec.sites, spec.sites)


def _above(spec: ImageSpec, kernel: int, step: int) -> np.ndarray:
    half = kernel // 2
    rows, columns = range(-half, 0), range(-half, half + 1)
    return _taps(spec, [(step * r, step * c) for r in rows for c in columns])


def _row(spec: ImageSpec, kernel: int, step: int) -> np.ndarray:
    half = kernel // 2
    return _taps(spec, [(0, step * c) for c in range(-half, half + 1)])


def _left(spec: ImageSpec, kernel: int, step: int) -> np.ndarray:
    return _taps(spec, [(0, -step * c) for c in range(1, kernel // 2 + 1)])


def _pixel(spec: ImageSpec, strict: bool) -> np.ndarray:
    """Within a pixel a colour reads the colours before it and, unless `strict`, itself."""
    colour = np.repeat(np.arange(spec.channels), spec.pixels)
    before = colour[None] < colour[:, None] if strict else colour[None] <= colour[:, None]
    return _taps(spec, [(0, 0)]) & before
