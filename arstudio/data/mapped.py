"""Images that are too many for the memory: they lie in a file and are mapped, so that only what is read takes memory.

An array above LARGE bytes is made as a nameless file in the cache directory, which the system removes with its last user;
folders of pictures are decoded once into a file that stays (`Decoded`). Everything here works through an array in parts of
PART bytes, and small arrays never touch the disk.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

LARGE = 2**25
PART = 2**20


def cache_root() -> Path:
    """Where fetched and decoded files are kept: ARSTUDIO_DATA if set, else the user's cache directory."""
    chosen = os.environ.get("ARSTUDIO_DATA")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("arstudio") / "data"


def free_bytes() -> int:
    """What the disk of the cache directory has left; makes the directory. Raises OSError."""
    cache_root().mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(cache_root()).free


def fits(size: int) -> bool:
    """Whether so many bytes may simply lie in memory."""
    return size <= LARGE


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array to be filled, in memory or, above LARGE bytes, in a nameless file. Raises OSError for a full disk."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if fits(size):
        return np.empty(shape, dtype)
    if free_bytes() < size:
        raise OSError(28, f"{size / 1e9:.1f} GB do not fit the disk of {cache_root()}")
    with tempfile.TemporaryFile(dir=cache_root()) as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def parts(x: np.ndarray) -> Iterator[slice]:
    """Slices of the images x (N, …) of about PART bytes."""
    rows = max(1, PART // max(1, x[:1].nbytes))
    for start in range(0, len(x), rows):
        yield slice(start, min(start + rows, len(x)))


def changed(x: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`change` of images x (N, …), which must treat every image alike, part after part in their order."""
    if x.nbytes <= PART:
        return change(x)
    whole = None
    for rows in parts(x):
        part = change(x[rows])
        whole = empty((len(x), *part.shape[1:]), part.dtype) if whole is None else whole
        whole[rows] = part
    return whole


def taken(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    """x[index] (M, …)."""
    whole = empty((len(index), *x.shape[1:]), x.dtype)
    for rows in parts(whole):
        whole[rows] = x[index[rows]]
    return whole


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, never a pickle. Raises a dozen kinds of errors for a damaged one."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                if fits(member.file_size):
                    array = np.lib.format.read_array(file, allow_pickle=False)
                else:
                    version = np.lib.format.read_magic(file)
                    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                    shape, fortran, dtype = header(file)
                    if dtype.hasobject or fortran:
                        raise ValueError("a large array is stored by columns, or as a pickle")
                    array = empty(shape, dtype)
                    left = memoryview(array.reshape(-1).view(np.uint8))
                    while len(left):
                        count = file.readinto(left[:PART])
                        if not count:
                            raise EOFError("the array is cut short")
                        left = left[count:]
                arrays[member.filename.removesuffix(".npy")] = array
    return arrays


class Decoded:
    """Decoded pictures (N, 3, H, W) of a folder, `how` as words say, kept in the cache: made once, and again when a file of the
    folder changed.

    `fill` gives a writable array; `keep` makes it last, with words (JSON) of what was found.
    """

    def __init__(self, folder: Path, files: list[Path], how: object) -> None:
        name = hashlib.sha256(f"{folder.resolve()}|{how}".encode()).hexdigest()[:24]
        self.path = cache_root() / "decoded" / f"{name}.npy"
        seen = hashlib.sha256()
        for file in files:
            with suppress(OSError):
                found = file.stat()
                seen.update(f"{file.name}|{found.st_size}|{found.st_mtime_ns}\n".encode())
        self.listing = seen.hexdigest()
        self._part = self.path.with_suffix(f".{os.getpid()}.part")

    def read(self) -> tuple[np.ndarray, dict[str, Any]] | None:
        """What was kept of the same files, None if there is nothing of use."""
        try:
            words = json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
            if words.pop("listing") != self.listing:
                return None
            return np.load(self.path, mmap_mode="r", allow_pickle=False), words
        except (OSError, ValueError, KeyError, AttributeError):
            return None

    def fill(self, shape: tuple[int, ...]) -> np.ndarray:
        """A uint8 array to write the pictures to. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return np.lib.format.open_memmap(self._part, "w+", np.uint8, shape)

    def keep(self, x: np.memmap, words: dict[str, Any]) -> None:
        """Put it in the place of what was there."""
        x.flush()
        with suppress(OSError):    # another process may have it open; then it is decoded again next time
            self.path.with_suffix(".json").unlink(missing_ok=True)
            os.replace(self._part, self.path)
            self.path.with_suffix(".json").write_text(json.dumps({"listing": self.listing, **words}), encoding="utf-8")

    def discard(self) -> None:
        """Leave nothing half-made behind."""
        with suppress(OSError):
            self._part.unlink(missing_ok=True)
