"""A sprite sheet: one picture cut into cells of equal size, in reading order; cells of one single colour are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from arstudio.data.views import DatasetError, check_size
from arstudio.image import ImageError, ImageSpec, from_pil, open_picture


def read_sheet(path: Path, cell: int | tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """A picture file and the side, or (height, width), of a cell in pixels -> (N, C, h, w) uint8, C 1 if all is grey, and
    what was left out, for people. Raises DatasetError if the picture cannot be read or cut."""
    height, width = check_size(cell)
    try:
        picture = open_picture(path)
        x = from_pil(picture, ImageSpec(3, picture.height, picture.width, 256))
    except ImageError as error:
        raise DatasetError(str(error)) from None
    rows, columns = divmod(x.shape[1], height), divmod(x.shape[2], width)
    if rows[1] or columns[1]:
        raise DatasetError(
            f"{path.name} is {x.shape[2]}×{x.shape[1]} pixels, which cells of {width}×{height} do not fill; "
            "crop its margins or give the cell's real size."
        )
    x = x.reshape(3, rows[0], height, columns[0], width).transpose(1, 3, 0, 2, 4).reshape(-1, 3, height, width)
    blank = (x == x[:, :, :1, :1]).all((1, 2, 3))
    notes = [f"{int(blank.sum())} of {len(x)} cells hold a single colour and were left out."] if blank.any() else []
    x = x[~blank]
    grey = bool((x == x[:, :1]).all())
    return np.ascontiguousarray(x[:, :1] if grey else x), notes
