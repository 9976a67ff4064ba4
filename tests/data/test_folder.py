"""One's own pictures become a dataset, or a sentence says why not."""

import numpy as np
import pytest
from PIL import Image

from arstudio.data import DatasetError, DataView, load, load_arrays, load_folder
from arstudio.data import folder as room
from arstudio.image import ImageSpec
from arstudio.progress import Cancelled, Progress


def picture(path, size=(8, 8), colour=None, seed=0):
    """Save a random grey picture of (width, height), or a flat one of `colour`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if colour is None:
        shade = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
        Image.fromarray(shade).save(path)
    else:
        Image.new("RGB", size, colour).save(path)


@pytest.fixture
def greys(tmp_path):
    for i in range(20):
        picture(tmp_path / f"{i:02}.png", seed=i)
    return tmp_path


def test_a_folder_of_grey_pictures(greys):
    data = load(str(greys))
    assert data.spec == ImageSpec(1, 8, 8, 256)
    assert data.info.splits == {"train": 16, "validation": 2, "test": 2}
    assert data.classes == ()
    assert data.train.y is None
    assert data.notes == ()
    stored = {np.asarray(Image.open(p))[None].tobytes() for p in greys.iterdir()}
    assert {x.tobytes() for split in data.splits.values() for x in split.x} == stored


def test_the_split_comes_from_the_seed(greys):
    assert np.array_equal(load(greys).train.x, load(greys).train.x)
    assert not np.array_equal(load(greys).train.x, load(greys, seed=1).train.x)


def test_views_apply_to_folders(greys):
    assert set(np.unique(load(greys, levels=2).train.x)) == {0, 1}
    small = load(greys, levels=4, size=4)
    assert small.spec == ImageSpec(1, 4, 4, 4)
    assert small.protocol == "256 levels reduced to 4 equal-width bins"


def test_one_coloured_picture_makes_the_dataset_rgb(greys):
    picture(greys / "red.png", colour=(200, 0, 0))
    assert load(greys).spec.channels == 3


def test_grey_pictures_saved_as_rgb_are_grey(tmp_path):
    for i in range(3):
        picture(tmp_path / f"{i}.png", colour=(i, i, i))
    assert load(tmp_path).spec.channels == 1


def test_subfolders_are_classes(tmp_path):
    for label, name in enumerate(("zebra", "ant", "bee")):
        for i in range(10):
            picture(tmp_path / name / f"{i}.png", seed=100 * label + i)
    (tmp_path / "empty").mkdir()
    data = load(tmp_path)
    assert data.classes == ("ant", "bee", "zebra")
    assert data.info.splits == {"train": 24, "validation": 3, "test": 3}
    for split in data.splits.values():
        assert np.bincount(split.y, minlength=3).tolist() == [len(split) / 3] * 3
    assert data.notes == ("Left out, as no picture in them could be read: empty.",)
    ant = {np.asarray(Image.open(p))[None].tobytes() for p in (tmp_path / "ant").iterdir()}
    assert all(x.tobytes() in ant for x, y in zip(data.train.x, data.train.y, strict=True) if y == 0)


def test_subfolders_beside_pictures_are_left_out_and_noted(greys):
    picture(greys / "more" / "x.png")
    data = load(greys)
    assert sum(data.info.splits.values()) == 20
    assert data.notes == ("The subfolders beside the pictures were left out.",)


def test_unreadable_files_are_skipped_and_counted(greys):
    (greys / "readme.txt").write_text("no picture")
    (greys / "broken.png").write_bytes((greys / "00.png").read_bytes()[:40])
    (greys / ".hidden").write_text("")
    data = load(greys)
    assert sum(data.info.splits.values()) == 20
    assert data.skipped == ("broken.png", "readme.txt")
    assert data.notes == ("2 of 22 files could not be read as pictures and were left out: broken.png, readme.txt.",)


def test_a_giant_picture_is_left_out_and_named(greys):
    Image.new("1", (9000, 8000)).save(greys / "giant.png")
    data = load(greys, size=8)
    assert data.skipped == ("giant.png",)
    assert sum(data.info.splits.values()) == 20


def test_a_giant_picture_alone_is_why_there_is_none(tmp_path):
    Image.new("1", (9000, 8000)).save(tmp_path / "giant.png")
    words = r"holds no pictures that can be read: giant\.png has 9000×8000 pixels; use one under 64 megapixels\.$"
    with pytest.raises(DatasetError, match=words):
        load(tmp_path, size=8)


def test_mixed_sizes_ask_for_a_size_and_then_fit(greys):
    picture(greys / "wide.png", (12, 10), seed=50)
    with pytest.raises(DatasetError, match=r"sizes, 8×8 \(20\), 10×12 \(1\): give a size to fit them to\.$"):
        load(greys)
    data = load(greys, size=8)
    assert sum(data.info.splits.values()) == 21
    assert data.spec.shape == (1, 8, 8)
    enlarged = load(greys, size=10)
    assert enlarged.notes == ("20 of 21 pictures were smaller than 10×10 and were enlarged.",)


def test_fitting_crops_to_the_middle(tmp_path):
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 255
    for i in range(3):
        Image.fromarray(wide).save(tmp_path / f"{i}.png")
    assert (load(tmp_path, size=4).train.x == 255).all()


@pytest.mark.parametrize(("crop", "wide", "tall"), [
    ("middle", 1, 1), ("left", 0, 1), ("right", 2, 1), ("top", 1, 0), ("bottom", 1, 2),
])
def test_the_part_that_is_kept_can_be_chosen(tmp_path, crop, wide, tall):
    brightness = np.repeat(np.array([0, 100, 200], np.uint8), 4)
    for i in range(4):
        Image.fromarray(np.tile(brightness, (4, 1))).save(tmp_path / f"wide{i}.png")
        Image.fromarray(np.tile(brightness[:, None], (1, 4))).save(tmp_path / f"tall{i}.png")
    view = DataView(dataset=str(tmp_path), size=4, levels=16, crop=crop)
    data = view.load()
    values = [int(x[0, 0, 0]) for split in data.splits.values() for x in split.x]
    assert sorted(values) == sorted(4 * [(0, 6, 12)[wide]] + 4 * [(0, 6, 12)[tall]])
    assert all((x == x[0, 0, 0]).all() for split in data.splits.values() for x in split.x)
    assert data.protocol.endswith(f", pictures cropped to the {crop}") == (crop != "middle")


def test_a_part_nobody_knows_is_refused(greys):
    with pytest.raises(DatasetError, match=r"crop is middle, left, right, top or bottom, not 'centre'"):
        load(greys, size=4, crop="centre")


@pytest.mark.parametrize("files", [0, 1, 2])
def test_too_few_pictures(tmp_path, files):
    for i in range(files):
        picture(tmp_path / f"{i}.png")
    sentence = (
        "holds no pictures that can be read" if files == 0 else f"holds {files} readable images; at least 3"
    )
    with pytest.raises(DatasetError, match=sentence):
        load(tmp_path)


def test_three_pictures_give_one_to_each_split(tmp_path):
    for i in range(3):
        picture(tmp_path / f"{i}.png", seed=i)
    assert load(tmp_path).info.splits == {"train": 1, "validation": 1, "test": 1}


def test_a_folder_too_large_for_the_disk_is_refused_early(greys, monkeypatch, tmp_path):
    monkeypatch.setenv("ARSTUDIO_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr("arstudio.data.mapped.LARGE", 100)
    monkeypatch.setattr(room, "MOST_BYTES", 1000)
    with pytest.raises(DatasetError, match=r"would take .* GB at 8×8, and there is room for 0\.0 GB; give a smaller size\.$"):
        load(greys)


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        load_folder(tmp_path / "gone")


def test_reading_a_folder_reports_and_can_be_cancelled(greys):
    class Stop(Progress):
        seen: list[float] = []

        def report(self, fraction, text=""):
            self.seen.append(fraction)

        def cancelled(self):
            return len(self.seen) == 5

    with pytest.raises(Cancelled):
        load(greys, progress=Stop())
    assert Stop.seen == [0.0, 0.05, 0.1, 0.15, 0.2]


@pytest.mark.parametrize("shape", [(20, 6, 5), (20, 1, 6, 5), (20, 6, 5, 1), (20, 3, 6, 5), (20, 6, 5, 3)])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_array_files_of_every_layout(tmp_path, shape, suffix):
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / f"mine.{suffix}"
    np.save(path, x) if suffix == "npy" else np.savez(path, images=x)
    data = load(path)
    assert data.spec == ImageSpec(3 if 3 in shape else 1, 6, 5, 256)
    assert data.info.splits == {"train": 16, "validation": 2, "test": 2}
    expected = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2) if shape[3] in (1, 3) else x
    stored = {image.tobytes() for image in np.ascontiguousarray(expected)}
    assert {image.tobytes() for split in data.splits.values() for image in split.x} == stored


def test_array_files_keep_labels_class_names_and_splits(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (30, 4, 4), dtype=np.uint8), np.arange(30) % 3
    np.savez(tmp_path / "a.npz", x=x, y=y, classes=np.array(["ant", "bee", "cow"]))
    data = load(tmp_path / "a.npz")
    assert data.classes == ("ant", "bee", "cow")
    label = {image.tobytes(): int(k) for image, k in zip(x, y, strict=True)}
    assert all(label[image.tobytes()] == k for image, k in zip(data.train.x, data.train.y, strict=True))

    np.savez(tmp_path / "b.npz", train_x=x[:20], train_y=y[:20], validation_x=x[20:25], validation_y=y[20:25],
             test_x=x[25:], test_y=y[25:])  # fmt: skip
    data = load(tmp_path / "b.npz")
    assert np.array_equal(data.validation.x[:, 0], x[20:25])
    assert data.classes == ("0", "1", "2")


def test_arrays_of_zeros_and_ones_have_two_levels(tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (10, 4, 4))
    for dtype in (bool, np.uint8):
        np.save(tmp_path / "bits.npy", x.astype(dtype))
        assert load(tmp_path / "bits.npy").spec.levels == 2
        assert load(tmp_path / "bits.npy").protocol == "native 2 levels"


NINE = np.zeros((9, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": np.zeros((9, 4, 4))}, "are float64; store whole numbers 0 to 255 as uint8"),
        ({"x": np.zeros((9, 4), np.uint8)}, r"has shape \(9, 4\)"),
        ({"x": np.zeros((9, 2, 4, 4), np.uint8)}, r"has shape \(9, 2, 4, 4\)"),
        ({"x": np.zeros((2, 4, 4), np.uint8)}, "holds 2 readable images"),
        ({"x": np.zeros((0, 4, 4), np.uint8)}, "has shape"),
        ({"a": np.zeros(3), "b": np.zeros(3)}, "holds a, b; name the images x and the labels y"),
        ({}, "holds nothing"),
        ({"x": NINE, "y": np.zeros(8, int)}, "must be 9 whole numbers"),
        ({"x": NINE, "y": np.zeros(9)}, "must be 9 whole numbers"),
        ({"x": NINE, "y": np.full(9, -1)}, "must be 9 whole numbers from 0"),
        ({"x": NINE, "y": np.arange(9) * 10**9}, "go up to 8,000,000,000; number the classes from 0, below 65,536"),
        ({"x": NINE, "y": np.full(9, 2**64 - 1, np.uint64)}, "go up to 18,446,744,073,709,551,615; number the classes"),
        ({"x": NINE, "y": np.arange(9), "classes": np.array(["a"])}, "names 1 classes"),
        ({"x": np.array([{}], dtype=object)}, "is damaged, or not a NumPy file of plain numbers"),
    ],
)
def test_unusable_array_files_are_refused_in_a_sentence(tmp_path, arrays, sentence):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DatasetError, match=sentence):
        load(tmp_path / "bad.npz")


def test_damaged_array_files_are_refused_in_a_sentence(tmp_path):
    rng = np.random.default_rng(0)
    np.savez_compressed(tmp_path / "x.npz", x=rng.integers(0, 256, (20, 4, 4), dtype=np.uint8))
    whole = (tmp_path / "x.npz").read_bytes()
    header = b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8'}"
    for suffix in ("npz", "npy"):
        for raw in [b"", header[:6], header, whole[:-30], rng.bytes(300)]:
            (tmp_path / f"bad.{suffix}").write_bytes(raw)
            with pytest.raises(DatasetError, match="is damaged, or not a NumPy file"):
                load_arrays(tmp_path / f"bad.{suffix}")


def test_grey_is_the_brightness_pillow_gives_at_any_levels(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(10):
        Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    colours, grey = load(tmp_path), load(tmp_path, grey=True)
    assert str(grey.spec) == "6×5 · 256 levels"
    assert grey.protocol == "native 256 levels, grey"
    for x, seen in zip(colours.train.x, grey.train.x, strict=True):
        np.testing.assert_array_equal(seen[0], np.asarray(Image.fromarray(x.transpose(1, 2, 0)).convert("L")))
    few = load(tmp_path, grey=True, levels=4)
    np.testing.assert_array_equal(few.train.x, grey.train.x // 64)
    small = load(tmp_path, grey=True, size=3)
    assert small.spec.shape == (1, 3, 3)


def test_grey_changes_nothing_of_grey_pictures(greys):
    assert load(greys, grey=True).protocol == load(greys).protocol
    np.testing.assert_array_equal(load(greys, grey=True).train.x, load(greys).train.x)
