"""A picture from outside on its way to the canvas: which part of it is taken, how it becomes levels, and in one
sentence exactly what is done to it. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from arstudio.image import ImageSpec, cropped_box, flattened, from_pil, to_pil

LARGEST = 2000    # longer sides are reduced by a whole factor when the picture arrives
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Fit:
    """What a person chose: a `box` (left, top, right, bottom) of the picture, None for the middle, or the `whole` of it
    with margins; `invert` exchanges light and dark, `stretch` makes the darkest black and the brightest white, `hide`
    hides what is transparent."""

    box: Box | None = None
    whole: bool = False
    invert: bool = False
    stretch: bool = False
    hide: bool = True


@dataclass(frozen=True, eq=False)
class Incoming:
    """`picture` in mode L or RGB and `alpha` in mode L or None, both reduced to at most LARGEST pixels a side; `was`
    says what the file held."""

    name: str
    picture: Any
    alpha: Any
    was: str
    original: Any = None     # as read, while it is small enough to be one of our own pictures

    @classmethod
    def of(cls, picture: Any, name: str) -> Incoming:
        """Take a Pillow picture of any mode and size. Thread-safe; imports no Qt."""
        width, height = picture.size
        was = [f"{width}×{height}"]
        alpha = _alpha(picture)
        flat = flattened(picture)
        factor = -(-max(width, height) // LARGEST)
        if factor > 1:
            flat, alpha = flat.reduce(factor), alpha.reduce(factor) if alpha is not None else None
        if flat.mode == "RGB" and _ptp(flat) > 0:
            was.append("in CMYK colours" if picture.mode == "CMYK" else "in colour")
        if picture.mode.startswith("I"):
            was.append("in 16 bits")
        if alpha is not None:
            was.append("with transparency")
        if picture.info.get("frames", 1) > 1:
            was.append(f"of {picture.info['frames']} frames")
        return cls(name, flat, alpha, " ".join(was), None if factor > 1 else flat)

    @cached_property
    def in_colour(self) -> bool:
        """True if any pixel has a hue."""
        return self.picture.mode == "RGB" and _ptp(self.picture) > 0

    @cached_property
    def brightness_of_edge(self) -> float:
        """0, black, to 1, white: the median of the outermost pixels."""
        red, green, blue = (*self._ground(),) if self.picture.mode == "RGB" else (self._ground(),) * 3
        return (0.299 * red + 0.587 * green + 0.114 * blue) / 255

    def box(self, spec: ImageSpec, fit: Fit) -> Box:
        """The part of `picture` that is taken; for the whole of it, the box that holds it and its margins."""
        width, height = self.picture.size
        if not fit.whole:
            return fit.box or cropped_box(width, height, spec)
        factor = max(width / spec.width, height / spec.height)
        wide, high = spec.width * factor, spec.height * factor
        return (width - wide) / 2, (height - high) / 2, (width + wide) / 2, (height + high) / 2

    def levels(self, spec: ImageSpec, fit: Fit) -> np.ndarray:
        """(C, H, W) int16 levels or float64 reals, as the model will get them."""
        from PIL import Image

        small = self._resized(self.picture, spec, fit, self._ground())
        if spec.channels == 1:
            small = small.convert("L")
        values = np.asarray(small).astype(np.float64)
        if fit.stretch and values.max() > values.min():
            values = (values - values.min()) * 255 / (values.max() - values.min())
        if fit.invert:
            values = 255 - values
        return from_pil(Image.fromarray(values.round().astype(np.uint8)), spec, fit=True).astype(spec.dtype)

    def hidden(self, spec: ImageSpec, fit: Fit) -> np.ndarray:
        """(H, W) bool: pixels of which more than half is transparent or outside the picture, where `fit.hide` asks."""
        if self.alpha is None or not fit.hide:
            return np.zeros((spec.height, spec.width), bool)
        return np.asarray(self._resized(self.alpha, spec, fit, 0)) < 128

    def is_ours(self, spec: ImageSpec) -> bool:
        """True for a picture this program wrote for such images, enlarged or not: nothing is lost by reading it."""
        if self.original is None or (self.alpha is not None and not self._alpha_is_sharp()):
            return False
        width, height = self.original.size
        scale = width // spec.width
        if scale < 1 or (width, height) != (spec.width * scale, spec.height * scale):
            return False
        ours = np.asarray(to_pil(self.levels(spec, Fit()), spec, scale).convert("RGB"))
        return bool(np.array_equal(np.asarray(self.original.convert("RGB")), ours))

    def sentence(self, spec: ImageSpec, fit: Fit) -> str:
        """What happens to it: "photo.png was 640×480 in colour: cropped, made grey, reduced to 28×28, brought to 2
        levels." """
        width, height = self.picture.size
        left, top, right, bottom = self.box(spec, fit)
        done = []
        if self.was.endswith("frames"):
            done.append("the first frame taken")
        if self.in_colour and spec.channels == 1:
            done.append("made grey")
        if self.alpha is not None:
            done.append("what is transparent hidden" if fit.hide else "laid on black")
        if fit.whole and (right - left > width or bottom - top > height):
            done.append("given margins")
        elif right - left < width - 1e-6 or bottom - top < height - 1e-6:
            done.append("cropped" if fit.box else "cropped to the middle")
        if (width, height) != (spec.width, spec.height):
            done.append(f"{'reduced' if right - left >= spec.width else 'enlarged'} to {spec.width}×{spec.height}")
        if fit.stretch:
            done.append("stretched from black to white")
        if fit.invert:
            done.append("light and dark exchanged")
        if 0 < spec.levels < 256:
            done.append(f"brought to {spec.levels} levels")
        return f"{self.name} was {self.was}: {', '.join(done) or 'taken as it is'}."

    def _resized(self, picture: Any, spec: ImageSpec, fit: Fit, ground: Any) -> Any:
        from PIL import Image

        size, (left, top, right, bottom) = (spec.width, spec.height), self.box(spec, fit)
        if not fit.whole:
            return picture.resize(size, Image.Resampling.BOX, box=(left, top, right, bottom))
        scale = spec.width / (right - left)
        inner = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        sheet = Image.new(picture.mode, size, ground)
        sheet.paste(picture.resize(inner, Image.Resampling.BOX), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
        return sheet

    def _ground(self) -> Any:
        """Colour of the margins: the median of the picture's outermost pixels."""
        edge = np.asarray(self.picture)
        edge = np.concatenate([edge[0], edge[-1], edge[:, 0], edge[:, -1]]).reshape(-1, len(self.picture.getbands()))
        found = tuple(int(v) for v in np.median(edge, axis=0))
        return found if len(found) > 1 else found[0]

    def _alpha_is_sharp(self) -> bool:
        return set(np.unique(np.asarray(self.alpha)).tolist()) <= {0, 255}


def _alpha(picture: Any) -> Any:
    if picture.mode.startswith("I"):
        return None
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    if "A" not in picture.mode and "transparency" not in picture.info:
        return None
    alpha = picture.convert("RGBA").getchannel("A")
    return alpha if alpha.getextrema()[0] < 255 else None


def _ptp(picture: Any) -> int:
    """Largest difference between the channels of a pixel."""
    rgb = np.asarray(picture).astype(np.int16)
    return int(np.ptp(rgb, axis=2).max(initial=0))
