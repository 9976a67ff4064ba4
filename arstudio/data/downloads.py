"""Well-known datasets that are fetched once and kept: MNIST, Fashion-MNIST, KMNIST, CIFAR-10 and CIFAR-100, whole.

Files come over HTTPS or HTTP from the first mirror that answers, are checked against their published MD5 sums and kept in
the user's cache directory (ARSTUDIO_DATA, if set). A download that was cut short goes on where it stopped. Training,
validation and test images are the published training images less a fixed tenth, that tenth, and the published test images.
Lengths of files are those that TensorFlow Datasets records (tensorflow_datasets/url_checksums).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arstudio.data.cifar import read_cifar
from arstudio.data.idx import read_idx_folder
from arstudio.data.mapped import cache_root
from arstudio.data.views import DatasetError, DatasetInfo, Split
from arstudio.image import ImageSpec
from arstudio.progress import Progress

DIGITS = tuple(str(i) for i in range(10))
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
AIRPLANES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IDX = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
TIMEOUT = 30.0    # seconds without an answer
PIECE = 2**16     # bytes between two looks at whether to stop


@dataclass(frozen=True)
class Published:
    """One file as it is published: its MD5 sum, and its length in bytes, packed as it is fetched."""

    md5: str
    bytes: int


@dataclass(frozen=True)
class Source:
    """Where a dataset lies: `mirrors` end in a slash, `files` are its files by name; `info` is its card."""

    info: DatasetInfo
    mirrors: tuple[str, ...]
    files: dict[str, Published]

    @property
    def bytes(self) -> int:
        """All that is fetched, in bytes."""
        return sum(file.bytes for file in self.files.values())


def _source(
    name: str, title: str, shape: tuple[int, int, int], counts: tuple[int, int], classes: tuple[str, ...], licence: str,
    source: str, citation: str, mirrors: tuple[str, ...], files: dict[str, Published],
) -> Source:
    train, held = counts[0] - counts[0] // 10, counts[0] // 10
    splits = {"train": train, "validation": held, "test": counts[1]}
    note = f"Validation is a tenth of the {counts[0]:,} training images, by class, seed 0."
    return Source(
        DatasetInfo(name, title, ImageSpec(*shape, 256), splits, classes, licence, source, citation, note),
        mirrors, files,
    )


def _idx(*sums_and_lengths: tuple[str, int]) -> dict[str, Published]:
    """Four files of MNIST's names, in the order of `IDX`."""
    return {name: Published(*published) for name, published in zip(IDX, sums_and_lengths, strict=True)}


_SIXTY = (60_000, 10_000)
SOURCES = {s.info.name: s for s in (
    _source(
        "mnist-70k", "MNIST, all 70,000", (1, 28, 28), _SIXTY, DIGITS, "CC BY-SA 3.0", "yann.lecun.com/exdb/mnist",
        "LeCun, Cortes & Burges",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        _idx(
            ("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
            ("d53e105ee54ea40749a09fcbcd1e9432", 28_881),
            ("9fb629c4189551a2d022fa330f9573f3", 1_648_877),
            ("ec29112dd5afa0611ce80d1b7f02629c", 4_542),
        ),
    ),
    _source(
        "fashion-70k", "Fashion-MNIST, all 70,000", (1, 28, 28), _SIXTY, CLOTHES, "MIT",
        "github.com/zalandoresearch/fashion-mnist", "Xiao, Rasul & Vollgraf 2017",
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        _idx(
            ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
            ("25c81989df183df01b3e8a0aad5dffbe", 29_515),
            ("bef4ecab320f06d8554ea6380940ec79", 4_422_102),
            ("bb300cfdad3c16e7a12a480ee83cd310", 5_148),
        ),
    ),
    _source(
        "kmnist", "Kuzushiji-MNIST", (1, 28, 28), _SIXTY, KANA, "CC BY-SA 4.0", "codh.rois.ac.jp/kmnist",
        "Clanuwat et al. 2018",
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
        _idx(
            ("bdb82020997e1d708af4cf47b453dcf7", 18_165_135),
            ("e144d726b3acfaa3e44228e80efcd344", 29_497),
            ("5c965bf0a639b31b8f53240b1b52f4d7", 3_041_136),
            ("7320c461ea6c1c855c0b718fb2a4b134", 5_120),
        ),
    ),
    _source(
        "cifar-10", "CIFAR-10", (3, 32, 32), (50_000, 10_000), AIRPLANES, "no licence stated",
        "www.cs.toronto.edu/~kriz/cifar.html", "Krizhevsky 2009", ("https://www.cs.toronto.edu/~kriz/",),
        {"cifar-10-binary.tar.gz": Published("c32a1d4ab5d03f1284b67883e8d87530", 170_052_171)},
    ),
    _source(
        "cifar-100", "CIFAR-100", (3, 32, 32), (50_000, 10_000), (), "no licence stated",
        "www.cs.toronto.edu/~kriz/cifar.html", "Krizhevsky 2009", ("https://www.cs.toronto.edu/~kriz/",),
        {"cifar-100-binary.tar.gz": Published("03b5dce01913d631647c71ecec9e9cb8", 168_513_733)},
    ),
)}


def missing(name: str) -> int:
    """How many files of a dataset of `SOURCES` are still to be fetched."""
    return sum(not (cache_root() / name / file).exists() for file in SOURCES[name].files)


def begun(name: str) -> int:
    """Bytes of its files that are here already, whole files and parts."""
    folder = cache_root() / name
    paths = [folder / f"{file}{ending}" for file in SOURCES[name].files for ending in ("", ".part")]
    return sum(path.stat().st_size for path in paths if path.exists())


def read_download(name: str, progress: Progress | None = None) -> tuple[DatasetInfo, dict[str, Split]]:
    """A dataset of `SOURCES` at its native size, fetched first if need be -> its card and splits.

    Raises DatasetError where no mirror answers or a file is not what was published, Cancelled if stopped; what was
    fetched by then is kept.
    """
    source = SOURCES[name]
    folder = cache_root() / name
    for number, (file, published) in enumerate(source.files.items()):
        _fetch(source, file, published.md5, folder, progress or Progress(), number / len(source.files), 1 / len(source.files))
    if len(source.files) == 1:
        splits, classes = read_cifar(folder / next(iter(source.files)))
    else:
        splits, classes = read_idx_folder(folder), source.info.classes
    from dataclasses import replace

    counts = {split: len(part) for split, part in splits.items()}
    return replace(source.info, classes=classes, splits=counts), splits


def _fetch(source: Source, file: str, md5: str, folder: Path, progress: Progress, done: float, share: float) -> None:
    """One file into the cache, unless it is there and right."""
    import pooch
    import requests

    def fetch(url: str, target: str, _pooch: Any) -> None:
        _download(url, Path(target), folder / f"{file}.part", progress, done, share)

    pooch.get_logger().setLevel("WARNING")    # progress is told elsewhere
    failures, unreachable = [], 0
    for mirror in source.mirrors:
        try:
            pooch.retrieve(mirror + file, f"md5:{md5}", fname=file, path=folder, downloader=fetch)
            return
        except ValueError:    # what arrived has another sum
            failures.append(f"{mirror} sent another file than the published one")
        except (requests.ConnectionError, requests.Timeout):
            unreachable += 1
            failures.append(f"{mirror} does not answer")
        except OSError as error:
            failures.append(f"{mirror}: {error}")
    if unreachable == len(source.mirrors):
        hosts = " and ".join(mirror.split("/")[2] for mirror in source.mirrors)
        raise DatasetError(
            f"{source.info.title} could not be fetched: {hosts} cannot be reached. Is this computer connected? What has "
            f"arrived is kept, and fetching goes on from there; or put the files into {folder} yourself."
        )
    raise DatasetError(
        f"{file} of {source.info.title} could not be fetched ({'; '.join(failures)}). "
        f"Try again later, or put the file into {folder} yourself."
    )


def _download(url: str, target: Path, part: Path, progress: Progress, done: float, share: float) -> None:
    """Fetch a file into `part`, going on behind what is there already, then move it to `target`."""
    import requests

    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if have and answer.status_code == requests.codes.range_not_satisfiable:    # all of it is there, or too much
            part.replace(target)
            return
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        have = have if resumed else 0
        size = have + int(answer.headers.get("Content-Length") or 0)
        with part.open("ab" if resumed else "wb") as out:
            for piece in answer.iter_content(PIECE):
                progress.check()
                out.write(piece)
                have += len(piece)
                if size:
                    progress.report(done + share * min(have / size, 1.0), f"Fetching {part.stem}: {have / 1e6:.1f} MB")
    if size and have < size:
        raise OSError(f"the connection ended after {have:,} of {size:,} bytes")
    part.replace(target)
