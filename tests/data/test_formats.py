"""IDX folders, CIFAR archives and sprite sheets become datasets, or a sentence says why not."""

import gzip
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from arstudio.data import DatasetError, load
from arstudio.image import ImageSpec


def idx(x):
    """An array of bytes in the IDX format."""
    x = np.asarray(x, dtype=np.uint8)
    return bytes([0, 0, 8, x.ndim]) + b"".join(n.to_bytes(4, "big") for n in x.shape) + x.tobytes()


@pytest.fixture
def digits(tmp_path):
    """40 training and 10 test images, 6×5, with labels; the test files are gzipped."""
    rng = np.random.default_rng(0)
    for name, count, pack in (("train", 40, bytes), ("t10k", 10, gzip.compress)):
        ending = ".gz" if pack is gzip.compress else ""
        x, y = rng.integers(0, 256, (count, 6, 5)), np.arange(count) % 4
        (tmp_path / f"{name}-images-idx3-ubyte{ending}").write_bytes(pack(idx(x)))
        (tmp_path / f"{name}-labels-idx1-ubyte{ending}").write_bytes(pack(idx(y)))
    return tmp_path


def test_a_folder_of_idx_files_keeps_its_own_test_images(digits):
    data = load(str(digits))
    assert data.spec == ImageSpec(1, 6, 5, 256)
    assert data.info.splits == {"train": 36, "validation": 4, "test": 10}
    assert data.classes == ("0", "1", "2", "3")
    assert data.test.y.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert sorted(data.validation.y.tolist()) == [0, 1, 2, 3]
    assert load(digits, levels=2).spec.levels == 2
    seen = {x.tobytes() for name in ("train", "validation") for x in data.splits[name].x}
    assert len(seen) == 40


@pytest.mark.parametrize(("file", "content", "words"), [
    ("train-images-idx3-ubyte", b"\0\0\x0d\3" + bytes(12), "not an IDX file of unsigned bytes"),
    ("train-images-idx3-ubyte", idx(np.zeros((40, 6, 5)))[:-7], "is cut short or too long"),
    ("train-labels-idx1-ubyte", idx(np.zeros(39)), "does not hold one label for each of the 40 images"),
    ("t10k-images-idx3-ubyte.gz", gzip.compress(idx(np.zeros((10, 6, 5))))[:-9], "t10k-images-idx3-ubyte.gz"),
], ids=["type", "images", "labels", "packing"])
def test_damaged_idx_files_are_named(digits, file, content, words):
    (digits / file).write_bytes(content)
    with pytest.raises(DatasetError, match=words):
        load(digits)


def test_one_idx_file_alone_is_split_and_finds_the_labels_beside_it(digits):
    data = load(digits / "train-images-idx3-ubyte")
    assert data.info.splits == {"train": 32, "validation": 4, "test": 4}
    assert data.classes == ("0", "1", "2", "3")
    (digits / "t10k-labels-idx1-ubyte.gz").unlink()
    assert load(digits / "t10k-images-idx3-ubyte.gz").classes == ()
    (digits / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(7)))
    with pytest.raises(DatasetError, match=r"does not hold one label for each of the 40 images"):
        load(digits / "train-images-idx3-ubyte")


def test_test_images_must_be_there(digits):
    (digits / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DatasetError, match="needs IDX files of training and of test images"):
        load(digits)


def archive(path, files):
    """A .tar.gz of (name, bytes)."""
    with tarfile.open(path, "w:gz") as out:
        for name, data in files.items():
            info = tarfile.TarInfo(f"cifar/{name}")
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def records(x, y, labels=1):
    """(N, 3, 32, 32) images and labels as records; of two label bytes the first is wrong on purpose."""
    head = np.full((len(x), labels), 99, np.uint8)
    head[:, -1] = y
    return np.concatenate([head, x.reshape(len(x), -1)], axis=1).tobytes()


def test_a_cifar_archive_is_read_plane_by_plane(tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (30, 3, 32, 32)).astype(np.uint8)
    y = np.arange(30) % 3
    path = archive(tmp_path / "ten.tar.gz", {
        "batches.meta.txt": b"cat\ndog\nship\n\n", "data_batch_1.bin": records(x[:15], y[:15]),
        "data_batch_2.bin": records(x[15:20], y[15:20]), "test_batch.bin": records(x[20:], y[20:]),
    })
    data = load(path)
    assert data.spec == ImageSpec(3, 32, 32, 256)
    assert data.info.splits == {"train": 18, "validation": 2, "test": 10}
    assert data.classes == ("cat", "dog", "ship")
    assert np.array_equal(data.test.x, x[20:])
    assert data.test.y.tolist() == y[20:].tolist()


def test_the_fine_labels_of_cifar_100_count(tmp_path):
    x = np.random.default_rng(2).integers(0, 256, (20, 3, 32, 32)).astype(np.uint8)
    y = np.arange(20) % 5
    path = archive(tmp_path / "hundred.tar.gz", {
        "train.bin": records(x[:15], y[:15], 2), "test.bin": records(x[15:], y[15:], 2),
        "fine_label_names.txt": b"a\nb\nc\nd\ne\n", "coarse_label_names.txt": b"no\n",
    })
    data = load(path)
    assert data.classes == ("a", "b", "c", "d", "e")
    assert data.test.y.tolist() == y[15:].tolist()


@pytest.mark.parametrize(("files", "words"), [
    ({"data_batch_1": b"\x80\x04", "batches.meta": b"\x80"}, "Python pickles, which AR Studio never opens"),
    ({"readme.html": b"hello"}, "no archive of CIFAR-10 or CIFAR-100"),
    ({"data_batch_1.bin": bytes(3073 + 5), "test_batch.bin": bytes(3073)}, "is cut short"),
    ({"data_batch_1.bin": bytes(3073 * 4)}, "lacks its training or its test images"),
    ({"batches.meta.txt": b"cat\ndog\n", "data_batch_1.bin": b"\x02" + bytes(3072), "test_batch.bin": bytes(3073)},
     r"names 2 classes but its labels go up to 2; fetch it again\.$"),
], ids=["pickles", "page", "cut", "half", "labels"])
def test_other_archives_are_refused(tmp_path, files, words):
    with pytest.raises(DatasetError, match=words):
        load(archive(tmp_path / "other.tar.gz", files))


def test_a_damaged_archive_is_refused(tmp_path):
    path = tmp_path / "broken.tar.gz"
    path.write_bytes(gzip.compress(b"x" * 5000)[:40])
    with pytest.raises(DatasetError, match=r"broken.tar.gz is damaged, or no .tar.gz archive"):
        load(path)


def test_a_sprite_sheet_is_cut_into_its_cells(tmp_path):
    cells = np.random.default_rng(3).integers(0, 256, (4, 6, 5, 7, 3)).astype(np.uint8)    # rows, columns, h, w, RGB
    cells[1, 2] = 7
    Image.fromarray(cells.transpose(0, 2, 1, 3, 4).reshape(20, 42, 3)).save(tmp_path / "sheet.png")
    data = load(tmp_path / "sheet.png", cell=(5, 7))
    assert data.spec == ImageSpec(3, 5, 7, 256)
    assert sum(data.info.splits.values()) == 23
    assert data.notes == ("1 of 24 cells hold a single colour and were left out.",)
    stored = {c.transpose(2, 0, 1).tobytes() for c in cells.reshape(24, 5, 7, 3)}
    assert {x.tobytes() for part in data.splits.values() for x in part.x} < stored


def test_a_sheet_that_cells_do_not_fill_and_a_picture_without_a_cell_are_refused(tmp_path):
    Image.new("RGB", (33, 32)).save(tmp_path / "sheet.png")
    with pytest.raises(DatasetError, match=r"33×32 pixels, which cells of 16×16 do not fill"):
        load(tmp_path / "sheet.png", cell=16)
    with pytest.raises(DatasetError, match=r"one picture; give the size of a cell \(--cell 16\)"):
        load(tmp_path / "sheet.png")
