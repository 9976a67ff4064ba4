"""Completing an image: some sites are known, the rest is drawn.

*Clamp* walks the model's order, keeps known values and draws the hidden ones from p(x_t | x_<t). Each hidden
site is conditioned on what comes before it, known or drawn; known sites that come later are ignored by it.
The result says how many known pixels that concerns. With everything known lying before everything hidden
(hide the bottom half, raster order) clamping is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from arstudio.image import SHOWN_BINS, ImageError, ImageSpec, from_pil, open_picture, quantise
from arstudio.models.base import AutoregressiveModel
from arstudio.progress import Progress
from arstudio.sampling.draw import SampleSettings
from arstudio.sampling.sampler import Sampler
from arstudio.sampling.trace import Trace

MASKS = ("top", "bottom", "left", "right", "centre")


@dataclass(frozen=True)
class Completion:
    """Result: `images` (N, C, H, W) levels or reals, `log_prob` (N,) nats of the hidden sites as drawn,
    best first in `ranking`."""

    trace: Trace
    images: np.ndarray
    log_prob: np.ndarray
    known: np.ndarray
    ignored: int
    method: str = "clamp"

    @property
    def ranking(self) -> np.ndarray:
        """Indices from the most to the least probable."""
        return np.argsort(-self.log_prob, kind="stable")

    @property
    def agreement(self) -> np.ndarray:
        """(H, W) entropy over the completions in bits: 0 where all agree. Mean over channels."""
        return agreement(self.images)

    @property
    def sentence(self) -> str:
        """What this method conditioned on, for people."""
        return clamp_sentence(self.known, self.ignored)


def clamp_sentence(known: np.ndarray, ignored: int) -> str:
    """Explain clamping for a (H, W) known mask, `ignored` of whose known pixels come after a hidden one."""
    given = int(known.sum())
    if ignored == 0:
        return (
            f"Clamping: all {given} known pixels come before the first hidden one in the model's order, "
            "so every completion is an exact draw given all of them."
        )
    return (
        "Clamping: each hidden pixel follows the pixels before it in the model's order. "
        f"{ignored} of the {given} known pixels come after a hidden one and do not influence it."
    )


def ignored_pixels(model: AutoregressiveModel, known: np.ndarray) -> int:
    """How many known pixels of a (H, W) mask come after the first hidden pixel in the model's order."""
    flags = known.reshape(-1)[model.order.pixels]
    hidden = np.flatnonzero(~flags)
    return int(flags[hidden[0]:].sum()) if len(hidden) else 0


def agreement(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) levels -> (H, W) entropy in bits of the empirical distribution over the N images,
    mean over channels. Reals agree within 1/256."""
    if images.dtype.kind == "f":
        images = quantise(images, SHOWN_BINS)
    total = np.zeros(images.shape[1:])
    for level in np.unique(images):
        p = (images == level).mean(0)
        total -= np.where(p > 0, p * np.log2(np.where(p > 0, p, 1.0)), 0.0)
    return total.mean(0)


def preset_mask(name: str, height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W) bool, True where *hidden*:
    top, bottom, left, right, centre (middle half each way) or random:SHARE.

    Raises ImageError for another name.
    """
    hidden = np.zeros((height, width), dtype=bool)
    if name == "top":
        hidden[:height // 2] = True
    elif name == "bottom":
        hidden[height - height // 2:] = True
    elif name == "left":
        hidden[:, :width // 2] = True
    elif name == "right":
        hidden[:, width - width // 2:] = True
    elif name == "centre":
        hidden[height // 4:height - height // 4, width // 4:width - width // 4] = True
    elif name.startswith("random:"):
        try:
            share = float(name.removeprefix("random:"))
        except ValueError:
            share = -1.0
        if not 0 < share <= 1:
            raise ImageError(f"The mask {name!r} needs a share between 0 and 1, such as random:0.5.")
        count = max(1, round(share * hidden.size))
        hidden.reshape(-1)[np.random.default_rng(seed).permutation(hidden.size)[:count]] = True
    else:
        raise ImageError(
            f"There is no mask {name!r}; choose {', '.join(MASKS)}, random:0.5 or a picture file."
        )
    return hidden


def picture_mask(path: str | Path, height: int, width: int) -> np.ndarray:
    """(H, W) bool from a picture file, True (*hidden*) where it is brighter than half; transparent is dark.

    Raises ImageError if the file is no picture or has another size.
    """
    picture = open_picture(path)
    if picture.size != (width, height):
        raise ImageError(
            f"The mask {Path(path).name} is {picture.size[0]}×{picture.size[1]} pixels but the model draws "
            f"{width}×{height}; a mask must have the same size."
        )
    return from_pil(picture, ImageSpec(1, height, width, 2), fit=True)[0] == 1


def completion_sampler(
    model: AutoregressiveModel, x: np.ndarray, known: np.ndarray, count: int, settings: SampleSettings,
    y: Tensor | int | None = None,
) -> Sampler:
    """A sampler that keeps the known pixels of x (C, H, W); known is (H, W) bool.
    Raises ImageError for an empty task."""
    model.spec.check(x)
    known = np.asarray(known, dtype=bool)
    if known.shape != x.shape[1:]:
        raise ImageError(f"The mask is {known.shape} but the image is {x.shape[1:]} pixels.")
    if known.all():
        raise ImageError("Nothing is hidden: paint over the part of the picture to be completed.")
    return Sampler(model, settings, count, y, x=x, known=known)


def finish(sampler: Sampler, known: np.ndarray) -> Completion:
    """The Completion of a completion sampler that has run."""
    trace = sampler.trace
    hidden = ~np.broadcast_to(known, trace.spec.shape).reshape(-1)[trace.sites]
    log_prob = trace.log_probs[:, hidden].sum(1)
    kind = np.int64 if trace.spec.levels else np.float64
    images, ignored = trace.images().astype(kind), ignored_pixels(sampler.model, known)
    return Completion(trace, images, log_prob, np.asarray(known, bool), ignored)


def complete(
    model: AutoregressiveModel, x: np.ndarray, known: np.ndarray, count: int = 8,
    settings: SampleSettings | None = None, y: Tensor | int | None = None, progress: Progress | None = None,
) -> Completion:
    """Draw `count` completions of x (C, H, W) levels by clamping; known (H, W) bool, True where given.

    Known pixels come back unchanged. Raises ImageError or SpecMismatch for a bad image or mask,
    Cancelled if stopped.
    """
    sampler = completion_sampler(model, x, known, count, settings or SampleSettings(), y)
    sampler.run(progress)
    return finish(sampler, known)
