"""A folder of IDX files, the format of MNIST and its relatives: train-images-idx3-ubyte.gz and three more.

An IDX file is 0, 0, the type of its numbers (8: unsigned bytes), the number of dimensions, each dimension as four bytes,
most significant first, and the numbers. Files may be gzipped. Source: the description on LeCun's MNIST page.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np

from arstudio.data.mapped import taken
from arstudio.data.views import DatasetError, Split, split_indices

UNSIGNED_BYTES = 8


def idx_files(folder: Path) -> list[Path]:
    """The IDX files of images in a folder, by their names."""
    return sorted(p for p in folder.glob("*idx3-ubyte*") if p.is_file())


def is_idx(path: Path) -> bool:
    """Whether a file says by its name that it holds IDX images."""
    return "idx3-ubyte" in path.name


def read_idx_images(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """One IDX file of images and the labels beside it -> (N, 1, H, W) uint8 and (N,) int64, None without a file of labels.
    Raises DatasetError where they are damaged or do not fit each other."""
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    x = read_idx(path)
    y = read_idx(labels).astype(np.int64) if labels.exists() and labels != path else None
    if x.ndim != 3:
        raise DatasetError(f"{path.name} holds no images: its numbers have {x.ndim} dimensions, not 3.")
    if y is not None and y.shape != (len(x),):
        raise DatasetError(f"{labels.name} does not hold one label for each of the {len(x):,} images of {path.name}.")
    return x[:, None], y


def read_idx(path: Path) -> np.ndarray:
    """An IDX file of unsigned bytes -> uint8 array. Raises DatasetError for a damaged, cut or other file."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, ValueError) as error:
        raise DatasetError(f"{path.name} cannot be read ({error}).") from None
    except Exception:    # zlib.error, which gzip does not translate
        raise DatasetError(f"{path.name} is damaged: it does not unpack. Fetch it again.") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != UNSIGNED_BYTES or not 1 <= data[3] <= 4:
        raise DatasetError(f"{path.name} is not an IDX file of unsigned bytes.")
    start = 4 + 4 * data[3]
    shape = tuple(int.from_bytes(data[i:i + 4], "big") for i in range(4, start, 4))
    if len(data) - start != math.prod(shape):
        raise DatasetError(
            f"{path.name} is cut short or too long: it says {shape} but holds {len(data) - start:,} numbers. Fetch it again."
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_idx_folder(folder: Path, *, validation: int | None = None, seed: int = 0) -> dict[str, Split]:
    """train, validation and test of a folder of IDX files, (N, 1, H, W) uint8 with labels if there are any; the
    validation images, a tenth if not told, are taken from the training images, by class.

    Raises DatasetError where files are missing, damaged or do not fit each other.
    """
    parts = {}
    for path in idx_files(folder):
        key = "test" if any(word in path.name for word in ("t10k", "test")) else "train"
        parts[key] = Split(*read_idx_images(path))
    if "train" not in parts or "test" not in parts:
        raise DatasetError(f"{folder.name} needs IDX files of training and of test images, such as train-images-idx3-ubyte.")
    return {**held_out(parts["train"], validation, seed), "test": parts["test"]}


def held_out(train: Split, validation: int | None, seed: int) -> dict[str, Split]:
    """Training images -> train and validation, `validation` images or a tenth, by class, from the seed. Raises
    DatasetError where no image would be left to learn from."""
    held = max(1, len(train) // 10) if validation is None else validation
    if len(train) - held < 1:
        raise DatasetError(f"{len(train)} training images are too few; at least 2 are needed.")
    keep, out = split_indices(train.y, (len(train) - held, held), seed, len(train))
    parts = (("train", keep), ("validation", out))
    return {name: Split(taken(train.x, i), None if train.y is None else train.y[i]) for name, i in parts}
