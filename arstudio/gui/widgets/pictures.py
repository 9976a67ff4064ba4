"""Pictures between Qt, Pillow and levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtGui import QImage

from arstudio.image import ImageSpec, is_hidden, to_display

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


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
