"""Datasets of one's own: a folder of pictures, or an .npz or .npy file of images.

A folder holds pictures directly, or one subfolder of pictures per class. Pictures become 256 native levels,
grey if every one of them is grey, RGB otherwise. A file that is no picture is skipped, counted in
`ImageDataset.notes` and named in `ImageDataset.skipped`. Sources without splits of their own are split 80/10/10, by class,
from the seed.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from arstudio.data.mapped import Decoded, changed, fits, free_bytes, read_npz, taken
from arstudio.data.views import (
    SPLITS,
    DatasetError,
    DatasetInfo,
    ImageDataset,
    Split,
    check_size,
    split_indices,
    view,
)
from arstudio.image import ImageSpec, from_pil, open_picture
from arstudio.progress import Progress

MOST_BYTES = 2**36
CLASSES = 2**16    # no label is as high
NAMED = 4    # files left out whose names a note gives


def load_folder(
    path: str | Path,
    *,
    levels: int | None = None,
    size: tuple[int, int] | int | None = None,
    binarise: str = "static",
    seed: int = 0,
    crop: str = "middle",
    progress: Progress | None = None,
) -> ImageDataset:
    """A folder of pictures as a dataset; see `load` for the view.

    With `size`, (height, width) or one side, pictures are cropped to one of `image.CROPS` and resized; without it all
    must have the same size. Raises DatasetError when fewer than 3 pictures can be read, sizes differ, or the
    pictures would take more than the disk of the cache has, and Cancelled when `progress` asks to stop.
    """
    path = Path(path).expanduser()
    files, classes, notes = _list(path)
    wanted = check_size(size)
    x, found = _pictures(path, [file for file, _ in files], wanted, crop, progress or Progress())
    labels, skipped, count = [files[i][1] for i in found["kept"]], found["skipped"], len(found["kept"])
    if skipped:
        few = ", ".join(skipped[:NAMED]) + (f" and {len(skipped) - NAMED:,} more" if len(skipped) > NAMED else "")
        notes.append(f"{len(skipped):,} of {len(files):,} files could not be read as pictures and were left out: {few}.")
    if found["enlarged"]:
        h, w = x.shape[2:]
        notes.append(f"{found['enlarged']} of {count} pictures were smaller than {h}×{w} and were enlarged.")
    x = x[:count, :1 if found["grey"] else 3]
    y = np.array(labels, dtype=np.int64) if classes else None
    if classes:
        used = np.unique(y)
        if len(used) < len(classes):
            unused = ", ".join(name for i, name in enumerate(classes) if i not in used)
            notes.append(f"Left out, as no picture in them could be read: {unused}.")
        classes, y = tuple(classes[i] for i in used), np.searchsorted(used, y)
    made = own_dataset(path, x, y, classes, 256, levels, wanted, binarise, seed, notes)
    cut = "" if wanted is None or crop == "middle" else f", pictures cropped to the {crop}"
    return replace(made, skipped=tuple(skipped), protocol=made.protocol + cut)


def _pictures(
    folder: Path, files: list[Path], wanted: tuple[int, int] | None, crop: str, progress: Progress
) -> tuple[np.ndarray, dict[str, Any]]:
    """Files -> (at least as many as are `kept`, 3, H, W) uint8, and what was found: the numbers of the files `kept`, names
    `skipped`, how many were `enlarged`, whether all are `grey`. Many pictures are decoded once and mapped from then on."""
    decoded = Decoded(folder, files, (wanted, crop))
    before = decoded.read()
    if before is not None:
        return before
    kept: list[int] = []
    skipped: list[str] = []
    sizes: Counter[tuple[int, int]] = Counter()
    x, enlarged, grey, why = None, 0, True, ""
    try:
        for number, file in enumerate(files):
            progress.check()
            progress.report(number / len(files), f"Reading {file.name}")
            try:
                picture = open_picture(file)
                width, height = picture.size
                h, w = wanted or (height, width)
                if x is None:
                    x = _place(folder, (len(files), 3, h, w), decoded)
                sizes[height, width] += 1
                if len(sizes) == 1 or wanted is not None:    # else only to name the sizes below
                    one = from_pil(picture, ImageSpec(3, h, w, 256), fit=True, crop=crop)
                    x[len(kept)] = one
                    grey = grey and bool((one == one[:1]).all())
                    enlarged += height < h or width < w
                    kept.append(number)
            except DatasetError:
                raise
            except ValueError as error:  # ImageError, or a colour mode that Pillow cannot convert
                skipped.append(str(file.relative_to(folder)))
                why = why or f": {str(error).rstrip('.')}"
        if not kept:
            raise DatasetError(f"The folder {folder.name} holds no pictures that can be read{why}.")
        if wanted is None and len(sizes) > 1:
            common = ", ".join(f"{h}×{w} ({n})" for (h, w), n in sizes.most_common(4))
            more = ", …" if len(sizes) > 4 else ""
            raise DatasetError(
                f"The pictures in {folder.name} have different sizes, {common}{more}: give a size to fit them to."
            )
        found = {"kept": kept, "skipped": skipped, "enlarged": enlarged, "grey": grey}
        if isinstance(x, np.memmap):
            decoded.keep(x, found)
        return x, found
    finally:
        decoded.discard()


def _place(folder: Path, shape: tuple[int, ...], decoded: Decoded) -> np.ndarray:
    """Where pictures of this shape go, in memory or in the cache. Raises DatasetError where they fit neither."""
    size = math.prod(shape)
    if fits(size):
        return np.empty(shape, np.uint8)
    most = min(MOST_BYTES, free_bytes() // 2)    # what is decoded, and the view of it
    if size > most:
        raise DatasetError(
            f"The {shape[0]:,} pictures in {folder.name} would take {size / 1e9:.1f} GB at {shape[2]}×{shape[3]}, and there is "
            f"room for {most / 1e9:.1f} GB; give a smaller size."
        )
    return decoded.fill(shape)


def load_arrays(
    path: str | Path,
    *,
    levels: int | None = None,
    size: tuple[int, int] | int | None = None,
    binarise: str = "static",
    seed: int = 0,
) -> ImageDataset:
    """An .npy file of images, or an .npz as a dataset; see `load` for the view.

    Images are bool or uint8, (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3. An .npz holds train_x,
    validation_x and test_x, or else x (or images, or one array alone); labels train_y … or y (or labels) and
    class names `classes` are optional. Values are 0 … 255, or two levels when nothing exceeds 1. Raises
    DatasetError for anything else.
    """
    path = Path(path).expanduser()
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
        arrays = read_npz(path) if zipped else {"x": np.load(path, mmap_mode="r", allow_pickle=False)}
    except Exception:  # a damaged file raises a dozen kinds, from zlib.error to tokenize.TokenError
        raise DatasetError(f"{path.name} is damaged, or not a NumPy file of plain numbers.") from None

    if all(f"{name}_x" in arrays for name in SPLITS):
        names = {name: (f"{name}_x", f"{name}_y") for name in SPLITS}
    else:
        key = next(
            (k for k in ("x", "images") if k in arrays), next(iter(arrays)) if len(arrays) == 1 else None
        )
        if key is None:
            raise DatasetError(
                f"{path.name} holds {', '.join(arrays) or 'nothing'}; name the images x and the labels y."
            )
        names = {"": (key, "labels" if "labels" in arrays else "y")}
    xs = {name: _images(arrays[key], path.name) for name, (key, _) in names.items()}
    ys = {name: _labels(arrays.get(key), len(xs[name]), path.name) for name, (_, key) in names.items()}
    if len({x.shape[1:] for x in xs.values()}) > 1:
        raise DatasetError(f"The splits in {path.name} hold images of different shapes; store all at one size.")
    y_all = [y for y in ys.values() if y is not None]
    if y_all and len(y_all) < len(ys):
        raise DatasetError(f"Some splits in {path.name} have labels and some have none; give all of them labels, or none.")
    count = 1 + max(int(y.max()) for y in y_all) if y_all else 0
    classes = tuple(str(name) for name in arrays["classes"].ravel()) if "classes" in arrays and y_all else ()
    if classes and len(classes) < count:
        raise DatasetError(f"{path.name} names {len(classes)} classes but its labels go up to {count - 1}; name every class.")
    classes = classes or tuple(str(i) for i in range(count))
    native = 2 if max(int(x.max()) for x in xs.values()) <= 1 else 256
    if "" in xs:
        return own_dataset(path, xs[""], ys[""], classes, native, levels, size, binarise, seed, [])
    splits = {name: Split(xs[name], ys[name]) for name in SPLITS}
    info = own_card(path, splits, classes, native)
    return view(info, splits, levels=levels, size=size, binarise_how=binarise, seed=seed)


def _list(path: Path) -> tuple[list[tuple[Path, int]], tuple[str, ...], list[str]]:
    """The files of a folder with labels, its class names (() if pictures lie in it directly), and notes."""
    from PIL import Image

    def inside(folder: Path) -> list[Path]:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))

    try:
        files = [p for p in inside(path) if p.is_file()]
        folders = [p for p in inside(path) if p.is_dir()]
        known = Image.registered_extensions()
        if any(p.suffix.lower() in known for p in files) or not folders:
            notes = ["The subfolders beside the pictures were left out."] if folders else []
            return [(p, 0) for p in files], (), notes
        listed = [(p, label) for label, folder in enumerate(folders) for p in inside(folder) if p.is_file()]
        return listed, tuple(folder.name for folder in folders), []
    except OSError as error:
        raise DatasetError(f"The folder {path} cannot be read ({error.strerror or error}).") from None


def _images(x: np.ndarray, file: str) -> np.ndarray:
    """Any accepted layout -> (N, C, H, W) uint8."""
    if x.dtype not in (np.dtype(np.uint8), np.dtype(bool)):
        raise DatasetError(f"The images in {file} are {x.dtype}; store whole numbers 0 to 255 as uint8.")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape:
        raise DatasetError(
            f"The array in {file} has shape {x.shape}; images are (N, H, W), (N, H, W, C) or (N, C, H, W)."
        )
    if x.dtype == np.uint8 and x.flags.c_contiguous:
        return x
    return changed(x, partial(np.ascontiguousarray, dtype=np.uint8))


def _labels(y: np.ndarray | None, count: int, file: str) -> np.ndarray | None:
    """Labels -> (N,) int64, or None."""
    if y is None:
        return None
    if y.shape != (count,) or y.dtype.kind not in "ui" or (count and int(y.min()) < 0):
        raise DatasetError(f"The labels in {file} must be {count} whole numbers from 0, one per image.")
    if count and int(y.max()) >= CLASSES:    # every number up to it would become a class
        raise DatasetError(f"The labels in {file} go up to {int(y.max()):,}; number the classes from 0, below {CLASSES:,}.")
    return y.astype(np.int64)


def own_card(path: Path, splits: dict[str, Split], classes: tuple[str, ...], native: int) -> DatasetInfo:
    """The card of data of one's own at `path`, `native` levels."""
    channels, height, width = splits["train"].x.shape[1:]
    spec = ImageSpec(channels, height, width, native)
    counts = {name: len(split) for name, split in splits.items()}
    return DatasetInfo(path.stem, path.name, spec, counts, classes, source=str(path))


def own_dataset(
    path: Path,
    x: np.ndarray,
    y: np.ndarray | None,
    classes: tuple[str, ...],
    native: int,
    levels: int | None,
    size: tuple[int, int] | int | None,
    binarise: str,
    seed: int,
    notes: list[str],
) -> ImageDataset:
    """Images x (N, C, H, W) uint8 of `native` levels and labels y (N,), without splits -> a dataset split 80/10/10, in the
    view asked for. Raises DatasetError for fewer than 3 images, or a view that cannot be."""
    if len(x) < 3:
        raise DatasetError(
            f"{path.name} holds {len(x)} readable images; at least 3 are needed, one for each split."
        )
    held = max(1, round(len(x) / 10))
    parts = split_indices(y, (len(x) - 2 * held, held, held), seed, len(x))
    splits = {n: Split(taken(x, i), None if y is None else y[i]) for n, i in zip(SPLITS, parts, strict=True)}
    info = own_card(path, splits, classes, native)
    return view(info, splits, levels=levels, size=size, binarise_how=binarise, seed=seed, notes=tuple(notes))
