"""What is hidden of an image: masks by name, and masks from picture files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from arstudio.image import ImageError, ImageSpec, from_pil, open_picture

MASKS = ("top", "bottom", "left", "right", "centre", "blob")


def preset_mask(name: str, height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W) bool, True where *hidden*: top, bottom, left, right, centre (middle half each way), blob (two fifths of the
    image in a piece or a few, as smooth noise of `seed` has it) or random:SHARE.

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
    elif name == "blob":
        score = _smooth_noise(height, width, seed).reshape(-1)
        hidden.reshape(-1)[np.argsort(score, kind="stable")[:max(1, round(0.4 * score.size))]] = True
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


def _smooth_noise(height: int, width: int, seed: int) -> np.ndarray:
    """(H, W) white noise under a Gaussian a sixth of the image wide, by its product with a circulant matrix each way."""
    def blur(size: int) -> np.ndarray:
        apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
        return np.exp(-0.5 * (np.minimum(apart, size - apart) / max(size / 6, 0.5)) ** 2)

    return blur(height) @ np.random.default_rng(seed).standard_normal((height, width)) @ blur(width)


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
