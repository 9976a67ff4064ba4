"""What an image is here: a grid of integers, and its way to and from pictures people can see.

`ImageSpec(channels, height, width, levels)` describes the grid. Values are *levels* 0 … levels-1; `levels=0`
means real numbers in [0, 1]. One rule joins levels and brightness, so that nothing changes silently:

    quantise   v in [0, 1]  ->  min(floor(v · levels), levels - 1)      equal-width bins
    display    level x      ->  ceil(255 · x / (levels - 1))            black to white

An exported picture read back gives the same levels exactly, for every number of levels from 2 to 256 (with
`round` in place of `ceil` 28 levels would not).

A site nobody knows yet is *hidden*: -1 among levels, NaN among reals (a real may lie below 0). `is_hidden` asks.

NumPy and Pillow are imported by the functions that use them: the window is painted before either is loaded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


CROPS = {    # share of what is cut away that lies to the left, and above; a wide picture loses its sides, a tall one its ends
    "middle": (0.5, 0.5), "left": (0.0, 0.5), "right": (1.0, 0.5), "top": (0.5, 0.0), "bottom": (0.5, 1.0),
}
SHOWN_BINS = 256    # equal bins of [0, 1] in which distributions of reals are shown


class ImageError(ValueError):
    """An image that cannot be used as it is; the message says why and what to do."""


class SpecMismatch(ImageError):
    """An image or batch whose size, channels or levels differ from what a model expects."""


@dataclass(frozen=True)
class ImageSpec:
    """Shape and range of an image: (channels, height, width), values 0 … levels-1.
    levels=0 means reals in [0, 1]."""

    channels: int
    height: int
    width: int
    levels: int

    def __post_init__(self) -> None:
        for name in ("channels", "height", "width", "levels"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ImageError(f"ImageSpec.{name} must be a whole number, not {value!r}.")
        if self.channels not in (1, 3):
            raise ImageError(f"Images have 1 channel (grey) or 3 (RGB), not {self.channels}.")
        if self.height < 1 or self.width < 1:
            raise ImageError(f"An image needs at least one pixel, not {self.height}×{self.width}.")
        if self.levels != 0 and not 2 <= self.levels <= 256:
            raise ImageError(f"levels must be 2 to 256, or 0 for continuous values, not {self.levels}.")

    @property
    def pixels(self) -> int:
        """Number of pixels, height × width."""
        return self.height * self.width

    @property
    def sites(self) -> int:
        """Number of scalar variables, channels × height × width."""
        return self.channels * self.pixels

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def bins(self) -> int:
        """Length of a site's distribution: the levels, or SHOWN_BINS bins of [0, 1] for reals."""
        return self.levels or SHOWN_BINS

    @property
    def top(self) -> float:
        """The brightest value: levels - 1, or 1.0 among reals."""
        return self.levels - 1 if self.levels else 1.0

    @property
    def dtype(self) -> str:
        """NumPy type of images that may have hidden sites."""
        return "int16" if self.levels else "float64"

    @property
    def hidden(self) -> float:
        """What stands at a hidden site: -1 among levels, NaN among reals."""
        return -1 if self.levels else math.nan

    def bin_of(self, value: float) -> int:
        """Place of a value in a site's distribution: the level itself, or the bin of a real (the outer two have no end)."""
        return int(value) if self.levels else min(max(math.floor(value * self.bins), 0), self.bins - 1)

    def value_of(self, index: int) -> float:
        """Value at a place of a site's distribution: the level itself, or the middle of a bin."""
        return index if self.levels else (index + 0.5) / self.bins

    def __str__(self) -> str:
        colour = " RGB" if self.channels == 3 else ""
        levels = "continuous" if self.levels == 0 else f"{self.levels} levels"
        return f"{self.height}×{self.width}{colour} · {levels}"

    def to_dict(self) -> dict[str, int]:
        """The four numbers by name, for JSON headers."""
        return {"channels": self.channels, "height": self.height, "width": self.width, "levels": self.levels}

    def bits_per_dim(self, nats: float, native: int = 0) -> float:
        """Negative log-likelihood of a whole image in nats -> bits per site: nats / (sites · ln 2).

        Of reals dequantised from `native` levels, −log density becomes the bound on the bits per site of those levels,
        (nats + sites · ln native) / (sites · ln 2) (Theis et al. 2016); without `native` the figure is
        that of the density itself, and may be negative.
        """
        return self.comparable_nats(nats, native) / (self.sites * math.log(2.0))

    def comparable_nats(self, nats: float, native: int = 0) -> float:
        """Nats of a whole image as they compare with models of levels: those of a density plus sites · ln native."""
        return nats + self.sites * math.log(native) if native and not self.levels else nats

    def check(self, x: Any) -> None:
        """Raise SpecMismatch unless x is a (B, C, H, W) or (C, H, W) array or tensor of this shape."""
        shape = tuple(int(n) for n in x.shape)
        if shape[-3:] != self.shape or len(shape) not in (3, 4):
            raise SpecMismatch(
                f"This needs images of shape (batch, {self.channels}, {self.height}, {self.width}), "
                f"but was given {shape}."
            )


def is_hidden(x: np.ndarray) -> np.ndarray:
    """Where an image is hidden, bool of its shape: NaN among reals, below 0 among levels."""
    return x != x if x.dtype.kind == "f" else x < 0


def filled(x: np.ndarray) -> np.ndarray:
    """The image with 0 at hidden sites, as models take it: they do not look at what they are not to know."""
    import numpy as np

    return np.where(is_hidden(x), np.zeros((), dtype=x.dtype), x)


def quantise(values: np.ndarray, levels: int) -> np.ndarray:
    """Brightness in [0, 1] -> levels 0 … levels-1 in equal-width bins (uint8), or float32 when levels=0."""
    import numpy as np

    values = np.clip(np.asarray(values, dtype=np.float64), 0.0, 1.0)
    if levels == 0:
        return values.astype(np.float32)
    return np.minimum(np.floor(values * levels), levels - 1).astype(np.uint8)


def requantise(x: np.ndarray, old: int, new: int) -> np.ndarray:
    """Levels 0 … old-1 -> levels 0 … new-1 by equal-width bins, x · new // old. Identity when new == old.

    Reducing only: raises ImageError when new > old, because finer levels cannot be invented.
    """
    if new == old:
        return x
    if new > old:
        raise ImageError(f"These images have {old} levels; they can be viewed at fewer, not at {new}.")
    return (x.astype("int64") * new // old).astype("uint8")


def dequantise(x: np.ndarray, levels: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Levels -> reals in [0, 1] as float32: bin centres (x + ½) / levels, or (x + u) / levels with uniform u.

    With `rng` this is the uniform dequantisation of Uria et al. 2013:
    log densities then bound log probabilities.
    """
    offset = 0.5 if rng is None else rng.random(x.shape)
    return ((x.astype("float64") + offset) / levels).astype("float32")


def binarise(x: np.ndarray, levels: int, how: str = "static", seed: int | np.random.Generator = 0) -> np.ndarray:
    """Levels -> 0/1. `static`: Bernoulli(x / (levels-1)) drawn once from `seed`;
    `threshold`: x ≥ levels / 2. Raises ImageError for another way."""
    import numpy as np

    if how == "threshold":
        return (x.astype(np.int64) * 2 >= levels).astype(np.uint8)
    if how == "static":
        rng = np.random.default_rng(seed)
        return (rng.random(x.shape) < x / (levels - 1)).astype(np.uint8)
    raise ImageError(f"Binarisation is 'static' or 'threshold', not {how!r}.")


def to_display(x: np.ndarray, levels: int) -> np.ndarray:
    """Levels (…, any shape) -> uint8 brightness 0 … 255; negative entries (hidden sites) become 0."""
    import numpy as np

    x = np.asarray(x)
    if levels == 0:
        return np.round(np.clip(np.nan_to_num(x), 0.0, 1.0) * 255).astype(np.uint8)
    x = np.clip(x, 0, levels - 1).astype(np.int64)
    return (-(-x * 255 // (levels - 1))).astype(np.uint8)


_VIRIDIS = (    # eleven stops of viridis (van der Walt & Smith 2015, CC0), dark to bright
    (68, 1, 84), (72, 36, 117), (65, 68, 135), (53, 95, 141), (42, 120, 142), (33, 145, 140), (34, 168, 132),
    (68, 191, 112), (122, 209, 81), (189, 223, 38), (253, 231, 37),
)


def colour_map(values: np.ndarray) -> np.ndarray:
    """Values (…) in [0, 1] -> (…, 3) uint8 colours, perceptually uniform and safe for the colour-blind; NaN is dark."""
    import numpy as np

    place = np.clip(np.nan_to_num(values), 0, 1) * (len(_VIRIDIS) - 1)
    stops = np.arange(len(_VIRIDIS))
    return np.stack([np.interp(place, stops, channel) for channel in zip(*_VIRIDIS, strict=True)], -1).round().astype(np.uint8)


def to_pil(x: np.ndarray, spec: ImageSpec, scale: int = 1) -> Any:
    """One image of levels (C, H, W) -> Pillow image in mode L or RGB, enlarged `scale` times,
    nearest-neighbour."""
    import numpy as np
    from PIL import Image

    grey = to_display(np.asarray(x), spec.levels)
    plane = grey[0] if spec.channels == 1 else np.ascontiguousarray(grey.transpose(1, 2, 0))
    picture = Image.fromarray(plane)
    if scale > 1:
        picture = picture.resize((spec.width * scale, spec.height * scale), Image.Resampling.NEAREST)
    return picture


def grid(x: np.ndarray, spec: ImageSpec, columns: int | None = None, scale: int = 1, gap: int = 1) -> Any:
    """Images of levels (B, C, H, W) -> one Pillow image with `gap` display pixels between them."""
    from PIL import Image

    count = len(x)
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cell_h, cell_w = spec.height * scale + gap, spec.width * scale + gap
    mode, ground = ("L", 96) if spec.channels == 1 else ("RGB", (96, 96, 96))
    sheet = Image.new(mode, (columns * cell_w + gap, rows * cell_h + gap), ground)
    for i in range(count):
        sheet.paste(to_pil(x[i], spec, scale), (gap + i % columns * cell_w, gap + i // columns * cell_h))
    return sheet


def flattened(picture: Any) -> Any:
    """Pillow picture of any mode -> mode L or RGB, 8 bits: transparency is laid on black, 16-bit greys keep their
    relative brightness."""
    import numpy as np
    from PIL import Image

    if picture.mode in ("I;16", "I;16B", "I;16L", "I"):
        wide = np.asarray(picture, dtype=np.float64)
        top = 65535.0 if picture.mode != "I" or wide.max(initial=0) > 255 else 255.0
        picture = Image.fromarray(np.round(np.clip(wide / top, 0, 1) * 255).astype(np.uint8))
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.mode in ("P", "PA", "LA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(ground, picture).convert("RGB")
    if picture.mode in ("1", "F"):
        picture = picture.convert("L")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def from_pil(picture: Any, spec: ImageSpec, *, fit: bool = False, crop: str = "middle") -> np.ndarray:
    """Pillow image -> levels (C, H, W) for `spec`, read as `flattened` says.

    Without `fit` the size and the colour must already be right: a picture of another size, or a coloured one for a
    grey model, raises SpecMismatch. With `fit` it is cropped to one of CROPS, resized with a box filter and made grey
    as needed.
    """
    import numpy as np
    from PIL import Image

    picture = flattened(picture)
    width, height = picture.size
    if (height, width) != (spec.height, spec.width):
        if not fit:
            raise SpecMismatch(
                f"The picture is {width}×{height} pixels but the model draws {spec.width}×{spec.height}; "
                "resize it, or ask for fitting (--fit on the command line)."
            )
        box = cropped_box(width, height, spec, crop)
        picture = picture.resize((spec.width, spec.height), Image.Resampling.BOX, box=box)
    array = np.asarray(picture)
    if array.ndim == 2:
        array = array[None] if spec.channels == 1 else np.repeat(array[None], 3, axis=0)
    elif spec.channels == 1:
        if not fit and np.ptp(array.astype(np.int16), axis=-1).max(initial=0) > 0:
            raise SpecMismatch(
                "The picture has colours but the model draws grey; convert it to grey, "
                "or ask for fitting (--fit on the command line)."
            )
        array = np.asarray(picture.convert("L"))[None]
    else:
        array = array.transpose(2, 0, 1)
    if spec.levels == 0:
        return (array / 255.0).astype(np.float32)
    return requantise(array.astype(np.uint8), 256, spec.levels)


def cropped_box(width: int, height: int, spec: ImageSpec, crop: str = "middle") -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of the largest part of a picture that has the proportions of `spec`, where CROPS says."""
    across, down = width * spec.height, height * spec.width    # one side is taken whole, without a rounding error
    crop_w = width if across <= down else min(width, down / spec.height)
    crop_h = height if down <= across else min(height, across / spec.width)
    across_share, down_share = CROPS[crop]
    left, top = (width - crop_w) * across_share, (height - crop_h) * down_share
    return left, top, min(width, left + crop_w), min(height, top + crop_h)


def open_picture(path: str | Path) -> Any:
    """Open a picture file with Pillow, decoded and upright; of an animation the first frame, with the number of frames
    in `info["frames"]`. Raises ImageError saying what is wrong."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    try:
        with Image.open(path) as picture:
            if picture.size[0] * picture.size[1] > 64_000_000:
                raise ImageError(
                    f"{path.name} has {picture.size[0]}×{picture.size[1]} pixels; "
                    "use one under 64 megapixels."
                )
            frames = getattr(picture, "n_frames", 1)
            picture.seek(0)
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            upright.info["frames"] = frames
            return upright
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder, not a picture.") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"{path.name} is not a picture that can be read; use a PNG, JPEG, GIF or BMP file."
        ) from None
    except Image.DecompressionBombError:    # by the header alone
        raise ImageError(f"{path.name} has far too many pixels; use one under 64 megapixels.") from None
    except Exception as error:  # decoders of damaged files raise anything
        raise ImageError(f"{path.name} cannot be read as a picture ({error}).") from None


def load_levels(path: str | Path, spec: ImageSpec, *, fit: bool = False) -> np.ndarray:
    """Picture file -> levels (C, H, W) for `spec`; see `from_pil` and `open_picture` for what is refused."""
    return from_pil(open_picture(path), spec, fit=fit)
