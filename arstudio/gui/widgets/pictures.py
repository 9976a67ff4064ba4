"""Pictures from outside and back: fitted to what a model draws, with one sentence that says exactly what was
done."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtGui import QImage

from arstudio.image import ImageSpec, from_pil, is_hidden, to_display, to_pil

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


def fit_picture(picture: Any, spec: ImageSpec, name: str) -> tuple[np.ndarray, str]:
    """Pillow picture -> ((C, H, W) int16 levels or float64 reals, sentence). The sentence is "" when nothing was lost.

    "photo.png was 640×480 in colour: cropped to the middle, reduced to 28×28, made grey, brought to 2
    levels."
    """
    x = from_pil(picture, spec, fit=True).astype(spec.dtype)
    if _is_copy(picture, x, spec):
        return x, ""
    width, height = picture.size
    was, done = [f"{width}×{height}"], []
    grey = picture.mode in ("1", "L", "I", "F", "LA", "La") or picture.mode.startswith("I;")
    if spec.channels == 1 and not grey:
        rgb = np.asarray(picture.convert("RGB")).astype(np.int16)
        if np.ptp(rgb, axis=2).max(initial=0) > 0:
            was.append("in colour")
            done.append("made grey")
    if "A" in picture.mode or "transparency" in picture.info:
        was.append("with transparency")
        done.append("laid on black")
    if width * spec.height != height * spec.width:
        done.append("cropped to the middle")
    if (width, height) != (spec.width, spec.height):
        verb = "reduced" if min(width / spec.width, height / spec.height) >= 1 else "enlarged"
        done.append(f"{verb} to {spec.width}×{spec.height}")
    if 0 < spec.levels < 256:
        done.append(f"brought to {spec.levels} levels")
    if not done:
        return x, ""
    return x, f"{name} was {' '.join(was)}: {', '.join(done)}."


def _is_copy(picture: Any, x: np.ndarray, spec: ImageSpec) -> bool:
    """True for one of our own pictures, enlarged or not: nothing is lost by reading it."""
    width, height = picture.size
    scale = width // spec.width
    if scale < 1 or (width, height) != (spec.width * scale, spec.height * scale):
        return False
    if picture.mode not in ("L", "RGB", "RGBA"):
        return False
    if picture.mode == "RGBA" and picture.getextrema()[3] != (255, 255):
        return False
    ours = np.asarray(to_pil(x, spec, scale).convert("RGB"))
    return bool(np.array_equal(np.asarray(picture.convert("RGB")), ours))


def pil_of(image: QImage) -> Any:
    """QImage -> Pillow picture, RGB or RGBA."""
    from PIL import Image

    wide = image.convertToFormat(QImage.Format.Format_RGBA8888)
    rows = np.frombuffer(wide.constBits(), np.uint8).reshape(wide.height(), wide.bytesPerLine())
    rgba = rows[:, : 4 * wide.width()].reshape(wide.height(), wide.width(), 4).copy()
    return Image.fromarray(rgba if image.hasAlphaChannel() else np.ascontiguousarray(rgba[..., :3]))


def qimage_of(image: np.ndarray, spec: ImageSpec, scale: int = 8) -> QImage:
    """(C, H, W) levels, −1 where hidden -> QImage enlarged nearest-neighbour, hidden pixels transparent."""
    shown = to_display(image, spec.levels).transpose(1, 2, 0)
    rgba = np.empty((spec.height, spec.width, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = shown, np.where(is_hidden(image).any(0), 0, 255)
    rgba = np.ascontiguousarray(rgba.repeat(scale, 0).repeat(scale, 1))
    height, width = rgba.shape[:2]
    return QImage(rgba.data, width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()
