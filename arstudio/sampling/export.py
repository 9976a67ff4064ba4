"""Pictures that leave the program: sheets of images, GIFs of images unfolding, and PNGs that know how they
were drawn.

A PNG carries the text chunk "arstudio", a JSON object made by `drawing_info`: model, seed, settings, method
and classes, enough to draw it again. What is hidden shows as a quiet checkerboard. Pillow and NumPy only.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from arstudio import __version__
from arstudio.image import ImageError, ImageSpec, colour_map, is_hidden, to_display
from arstudio.sampling.draw import SettingsError
from arstudio.sampling.recipe import Recipe
from arstudio.sampling.sampler import Sampler
from arstudio.sampling.trace import KNOWN, Trace

KEY = "arstudio"
GROUND = 48  # grey between the images of a sheet
CHECKER = (106, 124)  # greys of the checkerboard

def drawing_info(model: str, sampler: Sampler) -> dict[str, Any]:
    """What a picture drawn by `sampler` from the model called `model` should remember. JSON types only."""
    network = sampler.model
    classes = sampler.classes.tolist()
    return {
        "program": f"AR Studio {__version__}",
        "kind": "sample",
        "model": model,
        "architecture": network.name,
        "spec": network.spec.to_dict(),
        "count": sampler.trace.count,
        "method": sampler.method,
        "settings": dataclasses.asdict(sampler.settings),
        "classes": [None if c == network.num_classes else c for c in classes]
        if network.num_classes
        else None,
    }


def recipe_of(info: dict[str, Any]) -> Recipe:
    """The recipe in what a picture remembers. Raises SettingsError, one sentence, if there is none."""
    if isinstance(info.get("recipe"), dict):
        return Recipe.from_dict(info["recipe"])
    classes = set(info.get("classes") or [None])
    if "settings" not in info or info.get("kind", "sample") != "sample":
        raise SettingsError("This picture does not say how to draw it again.")
    if len(classes) > 1:
        raise SettingsError("This picture shows images of several classes; the window draws one class at a time.")
    return Recipe.from_dict({"settings": info["settings"], "count": info.get("count", 1), "y": classes.pop(),
                             "method": info["method"] if info.get("method") in ("naive", "jacobi") else "auto"})


def png_bytes(picture: Any, info: dict[str, Any] | None = None) -> bytes:
    """A Pillow image as PNG with `info` in its text chunk. Raises TypeError if info is not JSON."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=_chunks(info))
    return buffer.getvalue()


def _chunks(info: dict[str, Any] | None) -> Any:
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    if info is not None:
        chunks.add_text(KEY, json.dumps(info))
    return chunks


def read_info(path: str | Path) -> dict[str, Any] | None:
    """What an exported PNG remembers, or None for any other picture. Raises ImageError if it cannot be
    read."""
    from PIL import Image

    path = Path(path)
    try:
        with Image.open(path) as picture:
            picture.load()
            text = getattr(picture, "text", {}).get(KEY)
    except FileNotFoundError:
        raise ImageError(f"There is no file {path}.") from None
    except Exception:  # decoders of damaged files raise anything
        raise ImageError(f"{path.name} cannot be read as a picture.") from None
    try:
        info = json.loads(text) if text else None
    except ValueError:
        return None
    return info if isinstance(info, dict) else None


def fit_scale(spec: ImageSpec, count: int, side: int = 512) -> int:
    """Screen pixels per pixel at which a square sheet of `count` images is about `side` wide: 1 to 24."""
    columns = math.ceil(math.sqrt(max(count, 1)))
    return min(24, max(1, side // (columns * max(spec.width, spec.height))))


def sheet(
    images: np.ndarray, spec: ImageSpec, *, columns: int | None = None, scale: int = 1, gap: int | None = None
) -> Any:
    """Images of levels (N, C, H, W), negative where hidden, or reals, NaN where hidden -> one Pillow image in mode L or RGB.

    A pixel with a hidden channel shows the checkerboard. `gap` is in screen pixels: by default a quarter of
    `scale`, at least 1, and none around a single image.
    """
    from PIL import Image

    count = len(images)
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    if gap is None:
        gap = 0 if count == 1 else max(1, scale // 4)
    hidden = is_hidden(images).any(1)[:, None].repeat(scale, 2).repeat(scale, 3)  # (N, 1, H', W')
    cells = to_display(images, spec.levels).repeat(scale, 2).repeat(scale, 3)  # (N, C, H', W')
    height, width = cells.shape[2:]
    square = max(1, scale // 2)
    parity = (np.arange(height)[:, None] // square + np.arange(width) // square) % 2
    cells = np.where(hidden, np.array(CHECKER, dtype=np.uint8)[parity], cells)
    rows = math.ceil(count / columns)
    size = (spec.channels, rows * (height + gap) + gap, columns * (width + gap) + gap)
    page = np.full(size, GROUND, dtype=np.uint8)
    for i in range(count):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        page[:, top : top + height, left : left + width] = cells[i]
    return Image.fromarray(page[0] if spec.channels == 1 else np.ascontiguousarray(page.transpose(1, 2, 0)))


def unfolding(trace: Trace, index: int | None = None, *, frames: int = 90, scale: int = 0) -> list[Any]:
    """Pillow images of image `index`, or of all images, unfolding from nothing to `trace.cursor`: `frames` moments
    evenly spread over the steps, after an empty one. Known sites are there from the start. `scale` 0 chooses.

    Raises SettingsError for less than one frame.
    """
    if frames < 1:
        raise SettingsError("An animation needs at least one frame.")
    rows = slice(None) if index is None else slice(index, index + 1)
    values, end = trace.values[rows], trace.cursor
    steps = np.arange(trace.spec.sites)
    known = (trace.origin[rows] == KNOWN) & (steps < end)
    scale = scale or fit_scale(trace.spec, len(values))
    pages = []
    for moment in np.unique(np.linspace(0, end, frames + 1).round()):
        flat = np.empty_like(values)
        flat[:, trace.sites] = np.where((steps < moment) | known, values, trace.spec.hidden).astype(values.dtype)
        pages.append(sheet(flat.reshape(-1, *trace.spec.shape), trace.spec, scale=scale))
    return pages


def gif_bytes(
    trace: Trace, index: int | None = None, *, frames: int = 90, fps: float = 20.0, scale: int = 0, hold: float = 2.0,
    loop: bool = True,
) -> bytes:
    """A GIF of `unfolding`, `fps` frames a second, the last one held for `hold` seconds; once, or again and again.

    Raises SettingsError for less than one frame or a frame rate that is none.
    """
    pages = [page if page.mode == "L" else page.quantize(256) for page in unfolding(trace, index, frames=frames, scale=scale)]
    again = {"loop": 0} if loop else {}
    return _animation(pages, "GIF", fps, hold, optimize=False, **again)


def apng_bytes(
    trace: Trace, index: int | None = None, *, frames: int = 90, fps: float = 20.0, scale: int = 0, hold: float = 2.0,
    loop: bool = True, info: dict[str, Any] | None = None,
) -> bytes:
    """The same as an animated PNG, in all its colours, with `info` in its text chunk."""
    pages = unfolding(trace, index, frames=frames, scale=scale)
    return _animation(pages, "PNG", fps, hold, loop=0 if loop else 1, pnginfo=_chunks(info))


def _animation(pages: list[Any], kind: str, fps: float, hold: float, **options: Any) -> bytes:
    if fps <= 0:
        raise SettingsError("An animation needs a positive number of frames a second.")
    durations = [round(1000 / fps)] * (len(pages) - 1) + [round(1000 * hold)]
    buffer = io.BytesIO()
    pages[0].save(buffer, kind, save_all=True, append_images=pages[1:], duration=durations, **options)
    return buffer.getvalue()


def csv_bytes(trace: Trace, index: int | None = None) -> bytes:
    """An image as CSV, the columns of `Trace.write_csv`; or all, behind a column `image`, counted from 0."""
    if index is not None:
        text = io.StringIO()
        trace.write_csv(text, index)
        return text.getvalue().encode()
    lines = []
    for i in range(trace.count):
        text = io.StringIO(newline="")
        trace.write_csv(text, i)
        header, *rows = text.getvalue().splitlines()
        lines += [f"image,{header}"] * (i == 0) + [f"{i},{row}" for row in rows]
    return ("\r\n".join(lines) + "\r\n").encode()


def agreement_picture(bits: np.ndarray, outcomes: int, scale: int = 1) -> tuple[Any, float]:
    """(H, W) entropy in bits -> Pillow image, dark where all agree, and the bits that the brightest colour
    means: log2 of `outcomes`, how many different values a pixel could have taken."""
    from PIL import Image

    most = math.log2(max(outcomes, 2))
    colours = colour_map(bits / most).repeat(scale, 0).repeat(scale, 1)
    return Image.fromarray(colours), most
