"""The binary archives of CIFAR-10 and CIFAR-100: records of one or two label bytes and 3,072 bytes, R, G and B planes.

The archives are read, never unpacked to disk, and only their plain files. The Python version holds pickles, which can run
code when opened, so it is refused. Source: Krizhevsky's page at www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath

import numpy as np

from arstudio.data.idx import held_out
from arstudio.data.views import DatasetError, Split

PIXELS = 3 * 32 * 32
MEMBERS = 64    # an archive with more files is none of these


def read_cifar(path: Path, *, validation: int | None = None, seed: int = 0) -> tuple[dict[str, Split], tuple[str, ...]]:
    """A .tar.gz archive -> splits of (N, 3, 32, 32) uint8 with labels, and class names (fine ones of CIFAR-100).

    Raises DatasetError for a damaged archive, the Python version, or another file.
    """
    files = _files(path)
    batches = {name: data for name, data in files.items() if name.endswith(".bin")}
    if not batches:
        if any(name.startswith(("data_batch", "batches.meta")) or name in ("train", "test", "meta") for name in files):
            raise DatasetError(f"{path.name} holds Python pickles, which AR Studio never opens; take the binary version.")
        raise DatasetError(f"{path.name} is no archive of CIFAR-10 or CIFAR-100 in the binary version.")
    labels = 2 if "train.bin" in batches else 1
    names = files.get("fine_label_names.txt", files.get("batches.meta.txt", b""))
    classes = tuple(line.strip() for line in names.decode("utf-8", "replace").splitlines() if line.strip())
    parts = {"train": [], "test": []}
    for name in sorted(batches):
        parts["test" if name.startswith("test") else "train"].append(_records(batches[name], labels, f"{name} in {path.name}"))
    if not all(parts.values()):
        raise DatasetError(f"{path.name} lacks its training or its test images; fetch it again.")
    train, test = (Split(*(np.concatenate(part) for part in zip(*found, strict=True))) for found in parts.values())
    top = int(max(train.y.max(), test.y.max()))
    if classes and top >= len(classes):
        raise DatasetError(f"{path.name} names {len(classes)} classes but its labels go up to {top}; fetch it again.")
    classes = classes or tuple(str(i) for i in range(top + 1))
    return {**held_out(train, validation, seed), "test": test}, classes


def _files(path: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(path) as archive:
            members = [m for m in archive.getmembers() if m.isfile()]
            if len(members) > MEMBERS or sum(m.size for m in members) > 2**30:
                raise DatasetError(f"{path.name} is no archive of CIFAR-10 or CIFAR-100.")
            return {PurePosixPath(m.name).name: archive.extractfile(m).read() for m in members}
    except DatasetError:
        raise
    except Exception:    # tarfile.TarError, EOFError, zlib.error, OSError
        raise DatasetError(f"{path.name} is damaged, or no .tar.gz archive; fetch it again.") from None


def _records(data: bytes, labels: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Records -> (N, 3, 32, 32) uint8 and (N,) int64, the last label byte of each."""
    size = labels + PIXELS
    if not data or len(data) % size:
        raise DatasetError(f"{where} is cut short: its length is no multiple of {size} bytes. Fetch it again.")
    rows = np.frombuffer(data, np.uint8).reshape(-1, size)
    return np.ascontiguousarray(rows[:, labels:]).reshape(-1, 3, 32, 32), rows[:, labels - 1].astype(np.int64)
