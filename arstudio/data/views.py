"""What a dataset is, and the views one can take of it: smaller pictures, fewer levels, binary, continuous.

A dataset is stored once, at its native size and levels. A *view* is computed on loading, in this order:

    area average to a smaller size, rounded to native levels  ->  fewer levels | binary | continuous

A number such as bits per dimension only means something beside its view, so every `ImageDataset` carries
`protocol`, a phrase that names it. Random views (static binarisation, dequantisation) are drawn once per
split from (seed, split name): the same every time, whichever split is used first.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from arstudio.data.mapped import changed, empty
from arstudio.image import ImageSpec, binarise, dequantise, requantise

SPLITS = ("train", "validation", "test")


class DatasetError(ValueError):
    """A dataset that cannot be found, read or viewed as asked; its message is one sentence to act on."""


@dataclass(frozen=True)
class DatasetInfo:
    """The card of a dataset. `spec` is native; `splits` counts images; without labels `classes` is ()."""

    name: str
    title: str
    spec: ImageSpec
    splits: dict[str, int]
    classes: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    citation: str = ""
    note: str = ""


@dataclass(frozen=True)
class Split:
    """Images x (N, C, H, W), uint8 levels, float32 in [0, 1] when levels=0; labels y (N,) int64 or None."""

    x: np.ndarray
    y: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class ImageDataset:
    """A dataset in one view: `info` is the native card, `spec` the view's; `notes` say what was left out, and `skipped`
    names the files that could not be read."""

    info: DatasetInfo
    spec: ImageSpec
    splits: dict[str, Split]
    protocol: str
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def train(self) -> Split:
        """The images to learn from."""
        return self.splits["train"]

    @property
    def validation(self) -> Split:
        """The images to choose settings and checkpoints by."""
        return self.splits["validation"]

    @property
    def test(self) -> Split:
        """The images to report figures on."""
        return self.splits["test"]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by label, () without labels."""
        return self.info.classes


def view(
    info: DatasetInfo,
    splits: dict[str, Split],
    *,
    levels: int | None = None,
    size: tuple[int, int] | int | None = None,
    binarise_how: str = "static",
    seed: int = 0,
    notes: tuple[str, ...] = (),
) -> ImageDataset:
    """Native splits (uint8 levels of `info.spec`) -> the dataset at `levels` and `size` (height, width).

    levels: None native, 0 continuous (uniform dequantisation, Uria et al. 2013), 2 binary (`binarise_how` is
    "static" or "threshold"), else equal-width bins. Raises DatasetError for a view finer or larger.
    """
    native, levels = info.spec, check_levels(info, levels)
    if binarise_how not in ("static", "threshold"):
        raise DatasetError(f"Binarisation is 'static' or 'threshold', not {binarise_how!r}.")
    if not isinstance(seed, int) or seed < 0:
        raise DatasetError(f"The seed is a whole number from 0, not {seed!r}.")
    height, width = check_size(size) or (native.height, native.width)
    if height > native.height or width > native.width:
        raise DatasetError(
            f"{info.title} is {native.height}×{native.width}; it can be made smaller, not {height}×{width}."
        )

    seen: dict[str, Split] = {}
    for name, split in splits.items():
        x = shrink(split.x, height, width)
        rng = np.random.default_rng(zlib.crc32(f"{seed}/{name}".encode()))
        if levels == 0:
            x = changed(x, partial(dequantise, levels=native.levels, rng=rng))
        elif levels == 2 < native.levels:
            x = changed(x, partial(binarise, levels=native.levels, how=binarise_how, seed=rng))
        elif levels != native.levels:
            x = changed(x, partial(requantise, old=native.levels, new=levels))
        seen[name] = Split(x, split.y)

    if levels == 0:
        protocol = f"continuous, {native.levels} levels dequantised uniformly, seed {seed}"
    elif levels == native.levels:
        protocol = f"native {levels} levels"
    elif levels == 2:
        protocol = (
            f"static binarisation, seed {seed}"
            if binarise_how == "static"
            else "binarised at half brightness"
        )
    else:
        protocol = f"{native.levels} levels reduced to {levels} equal-width bins"
    if (height, width) != (native.height, native.width):
        protocol += f", area average of {native.height}×{native.width} to {height}×{width}"
    spec = replace(native, height=height, width=width, levels=levels)
    return ImageDataset(info, spec, seen, protocol, notes)


def check_levels(info: DatasetInfo, levels: int | None) -> int:
    """The number of levels that images can be viewed at, None for their own. Raises DatasetError."""
    native = info.spec.levels
    if levels is None:
        return native
    if not isinstance(levels, int) or isinstance(levels, bool) or levels < 0 or levels == 1:
        raise DatasetError(f"The number of levels is 0 (continuous) or 2 to {native}, not {levels!r}.")
    if levels > native:
        raise DatasetError(f"{info.title} has {native} levels; it can be viewed at fewer, not at {levels}.")
    return levels


def check_size(size: tuple[int, int] | int | None) -> tuple[int, int] | None:
    """One side or (height, width) -> (height, width) in pixels; None stays None. Raises DatasetError."""
    if size is None:
        return None
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise DatasetError(f"A size is one side or (height, width) in whole pixels, not {size!r}.")
    return sides[0], sides[1]


def shrink(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """(N, C, H, W) uint8 -> (N, C, height, width) uint8: exact area averages, rounded, halves up."""
    if x.shape[-2:] == (height, width):
        return x
    rows, columns = _overlaps(x.shape[-2], height), _overlaps(x.shape[-1], width)
    area = x.shape[-2] * x.shape[-1]
    small = empty((*x.shape[:2], height, width), np.uint8)
    for start in range(0, len(x), 1024):  # integers in float64: BLAS speed, and every sum is exact
        total = rows @ x[start : start + 1024].astype(np.float64) @ columns.T
        small[start : start + 1024] = (2 * total.astype(np.int64) + area) // (2 * area)
    return small


def _overlaps(old: int, new: int) -> np.ndarray:
    """(new, old) lengths that new cells share with old ones, in 1/new of an old cell; rows sum to old."""
    i, j = np.arange(old), np.arange(new)[:, None]
    shared = np.minimum((i + 1) * new, (j + 1) * old) - np.maximum(i * new, j * old)
    return np.maximum(shared, 0).astype(np.float64)


def split_indices(y: np.ndarray | None, counts: tuple[int, ...], seed: int, size: int) -> list[np.ndarray]:
    """Disjoint random index arrays of the given lengths out of `size` images, stratified by label y (size,).

    Every class is spread evenly over one shuffled line, which is then cut; class counts are proportional to
    within about one.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(size)
    labels = np.zeros(size, dtype=np.int64) if y is None else np.asarray(y)[order]
    place = np.empty(size)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
    line = order[np.argsort(place, kind="stable")]
    cuts = np.cumsum((0, *counts))
    return [rng.permutation(line[a:b]) for a, b in pairwise(cuts)]
