"""The bundled datasets, and `load`, the one door to all data: a name, a folder, an array file, an archive, a sprite sheet."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from arstudio.data.cifar import read_cifar
from arstudio.data.downloads import SOURCES, read_download
from arstudio.data.folder import load_arrays, load_folder, own_card, own_dataset
from arstudio.data.idx import idx_files, is_idx, read_idx_folder, read_idx_images
from arstudio.data.mapped import cache_root, empty
from arstudio.data.sheet import read_sheet
from arstudio.data.views import SPLITS, DatasetError, DatasetInfo, ImageDataset, Split, check_size, view
from arstudio.image import CROPS, ImageSpec
from arstudio.progress import Progress
from arstudio.resources import resource

__all__ = ["DataView", "DatasetError", "DatasetInfo", "ImageDataset", "Split", "bundled", "load"]


@dataclass(frozen=True, kw_only=True)
class DataView:
    """Which images, seen how: the arguments of `load`."""

    dataset: str
    levels: int | None = None
    size: int | None = None
    binarise: str = "static"
    seed: int = 0
    cell: int | None = None
    grey: bool = False
    crop: str = "middle"

    def load(self, progress: Progress | None = None) -> ImageDataset:
        """The dataset. Raises DatasetError with one sentence, Cancelled."""
        return load(
            self.dataset, levels=self.levels, size=self.size, binarise=self.binarise, seed=self.seed, cell=self.cell,
            grey=self.grey, crop=self.crop, progress=progress,
        )


def bundled() -> list[DatasetInfo]:
    """The cards of the datasets that come with AR Studio, smallest images first. Reads no image.

    Raises DatasetError when the installation lacks them.
    """
    try:
        cards = [json.loads(path.read_text(encoding="utf-8")) for path in resource("datasets").glob("*.json")]
        infos = [
            DatasetInfo(
                name=card["name"],
                title=card["title"],
                spec=ImageSpec(card["channels"], card["height"], card["width"], card["levels"]),
                splits=dict(card["splits"]),
                classes=tuple(card["classes"] or ()),
                licence=card["licence"],
                source=card["source"],
                citation=card["citation"],
                note=card["note"],
            )
            for card in cards
        ]
    except FileNotFoundError as error:
        raise DatasetError(str(error)) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"A card of the bundled datasets is damaged ({error}); reinstall AR Studio."
        ) from None
    return sorted(infos, key=lambda info: (info.spec.sites, info.name))


def load(
    name_or_path: str | Path,
    *,
    levels: int | None = None,
    size: tuple[int, int] | int | None = None,
    binarise: str = "static",
    seed: int = 0,
    cell: tuple[int, int] | int | None = None,
    grey: bool = False,
    crop: str = "middle",
    progress: Progress | None = None,
) -> ImageDataset:
    """A dataset in the view asked for: a bundled one by name, a well-known one that is fetched (`downloads.SOURCES`), a
    folder of pictures or of IDX files, one IDX file, an .npz/.npy file of images, a CIFAR archive, or a sprite sheet, a
    picture that is cut into cells of `cell` pixels, one side or (height, width).

    levels: None native, 0 continuous in [0, 1], 2 binary (`binarise`: "static" draws each site once with its
    brightness as probability, "threshold" cuts at half), else equal-width bins. size: one side or (height,
    width), no larger than native; a folder's pictures are cropped and resized to it. seed: of random views
    and, where the source has no splits of its own, of the 80/10/10 split. grey: colours become brightness. crop: the part of
    a folder's pictures that is kept, one of `image.CROPS`. progress: told how far reading a folder or fetching is. Raises
    DatasetError with one sentence.
    """
    try:
        return _load(name_or_path, levels, size, binarise, seed, cell, grey, crop, progress)
    except OSError as error:    # of the files that large data are mapped to
        raise DatasetError(f"The images could not be kept in {cache_root()} ({error.strerror or error}).") from None


def _load(
    name_or_path: str | Path, levels: int | None, size: tuple[int, int] | int | None, binarise: str, seed: int,
    cell: tuple[int, int] | int | None, grey: bool, crop: str, progress: Progress | None,
) -> ImageDataset:
    if crop not in CROPS:
        raise DatasetError(f"crop is {', '.join(list(CROPS)[:-1])} or {list(CROPS)[-1]}, not {crop!r}.")
    check_size(cell)
    if grey:
        colours = load(name_or_path, size=size, seed=seed, cell=cell, crop=crop, progress=progress)
        return seen_as(colours, levels=levels, binarise=binarise, seed=seed, grey=True)
    path = Path(name_or_path).expanduser()
    if isinstance(name_or_path, str):
        known = {info.name: info for info in bundled()}
        if name_or_path in known:
            info = known[name_or_path]
            return view(info, _read(info), levels=levels, size=size, binarise_how=binarise, seed=seed)
        if name_or_path in SOURCES:
            return view(*read_download(name_or_path, progress), levels=levels, size=size, binarise_how=binarise, seed=seed)
        if not path.exists():
            raise DatasetError(
                f"There is no dataset, folder or file called {name_or_path!r}; bundled are {', '.join(known)}, "
                f"and {', '.join(SOURCES)} can be fetched."
            )
    if path.is_dir() and idx_files(path):
        splits = read_idx_folder(path, seed=seed)
        labels = [int(part.y.max()) for part in splits.values() if part.y is not None]
        card = own_card(path, splits, tuple(str(i) for i in range(1 + max(labels))) if labels else (), 256)
        return view(card, splits, levels=levels, size=size, binarise_how=binarise, seed=seed)
    if path.is_dir():
        return load_folder(path, levels=levels, size=size, binarise=binarise, seed=seed, crop=crop, progress=progress)
    if not path.exists():
        raise DatasetError(f"There is no folder or file {path}.")
    if is_idx(path):
        x, y = read_idx_images(path)
        classes = tuple(str(i) for i in range(1 + int(y.max()))) if y is not None else ()
        return own_dataset(path, x, y, classes, 256, levels, size, binarise, seed, [])
    if path.suffix.lower() in (".npz", ".npy"):
        return load_arrays(path, levels=levels, size=size, binarise=binarise, seed=seed)
    if path.name.lower().endswith((".tar.gz", ".tgz", ".tar")):
        splits, classes = read_cifar(path, seed=seed)
        return view(own_card(path, splits, classes, 256), splits, levels=levels, size=size, binarise_how=binarise, seed=seed)
    if cell is not None:
        x, notes = read_sheet(path, cell)
        return own_dataset(path, x, None, (), 256, levels, size, binarise, seed, notes)
    if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"):
        raise DatasetError(
            f"{path.name} is one picture; give the size of a cell (--cell 16) to cut it into images, or choose a folder."
        )
    raise DatasetError(
        f"{path.name} is not a dataset; choose a folder of pictures, an .npz, .npy or IDX file of images, or a CIFAR archive."
    )


def _read(info: DatasetInfo) -> dict[str, Split]:
    """The native splits of a bundled dataset. Raises DatasetError if they do not fit its card."""
    try:
        splits = {}
        with np.load(resource("datasets", f"{info.name}.npz"), allow_pickle=False) as arrays:
            for name in SPLITS:
                x = arrays[f"{name}_x"]
                y = arrays[f"{name}_y"].astype(np.int64) if info.classes else None
                fits = x.dtype == np.uint8 and x.shape == (info.splits[name], *info.spec.shape)
                fits = fits and int(x.max()) < info.spec.levels
                if not fits or (y is not None and (y.shape != (len(x),) or y.max() >= len(info.classes))):
                    raise ValueError(f"its {name} images do not fit its card")
                splits[name] = Split(x, y)
        return splits
    except FileNotFoundError as error:
        raise DatasetError(str(error)) from None
    except Exception as error:  # a damaged file raises a dozen kinds, zlib.error and BadZipFile among them
        raise DatasetError(
            f"The bundled file {info.name}.npz is damaged ({error}); reinstall AR Studio."
        ) from None


def seen_as(
    data: ImageDataset, *, levels: int | None = None, binarise: str = "static", seed: int = 0, grey: bool = False,
) -> ImageDataset:
    """A dataset at its native levels -> what `load` gives with these arguments and everything else alike, without reading
    anything again. Grey is brightness weighted as in Rec. ITU-R BT.601. Raises DatasetError."""
    grey = grey and data.spec.channels == 3
    splits = data.splits
    if grey:
        splits = {name: Split(_brightness(split.x), split.y) for name, split in splits.items()}
    card = replace(data.info, spec=replace(data.spec, channels=1) if grey else data.spec)
    seen = view(card, splits, levels=levels, binarise_how=binarise, seed=seed, notes=data.notes)
    protocol = seen.protocol + "".join(data.protocol.partition(", ")[1:]) + (", grey" if grey else "")
    return replace(seen, info=data.info, protocol=protocol, skipped=data.skipped)


def _brightness(x: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) uint8 -> (N, 1, H, W) uint8, in parts because of the wider numbers in between."""
    weights, grey = np.array([19_595, 38_470, 7_471], np.uint32), empty((len(x), 1, *x.shape[2:]), np.uint8)
    for start in range(0, len(x), 1024):
        part = x[start : start + 1024]
        grey[start : start + 1024, 0] = (np.einsum("nchw,c->nhw", part.astype(np.uint32), weights) + 2**15) >> 16
    return grey
