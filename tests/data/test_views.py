"""A view is deterministic, named by its protocol, and never finer or larger than what is stored."""

import numpy as np
import pytest

from arstudio.data import DatasetError, DatasetInfo, Split, load
from arstudio.data.views import shrink, view
from arstudio.image import ImageSpec


@pytest.mark.parametrize("levels", [2, 4, 8, 16, 17, 256])
@pytest.mark.parametrize("name", ["mnist", "emoji"])
def test_every_number_of_levels_fills_its_range(name, levels):
    data = load(name, levels=levels)
    assert data.spec.levels == levels
    assert data.train.x.dtype == np.uint8
    assert set(np.unique(data.train.x)) == set(range(levels))


def test_reduced_levels_are_equal_width_bins():
    native, eight = load("mnist"), load("mnist", levels=8)
    assert np.array_equal(eight.test.x, native.test.x // 32)
    assert eight.protocol == "256 levels reduced to 8 equal-width bins"
    assert np.array_equal(load("digits", levels=16).test.x, load("digits").test.x.astype(int) * 16 // 17)


def test_static_binarisation_is_the_same_every_time_and_follows_brightness():
    first, second = load("mnist", levels=2), load("mnist", levels=2)
    for name in first.splits:
        assert np.array_equal(first.splits[name].x, second.splits[name].x)
    assert first.protocol == "static binarisation, seed 0"
    native = load("mnist").train.x
    assert first.train.x[native == 0].max() == 0
    assert first.train.x[native == 255].min() == 1
    middle = (native > 100) & (native < 156)
    assert abs(first.train.x[middle].mean() - native[middle].mean() / 255) < 0.01
    other = load("mnist", levels=2, seed=1)
    assert other.protocol == "static binarisation, seed 1"
    assert not np.array_equal(other.train.x, first.train.x)


@pytest.mark.parametrize("levels", [0, 2])
def test_a_split_looks_the_same_whichever_splits_are_with_it(levels):
    x = np.full((5, 1, 4, 4), 8, dtype=np.uint8)
    info = DatasetInfo("flat", "Flat", ImageSpec(1, 4, 4, 17), {})
    names = ("train", "validation", "test")
    together = view(info, {name: Split(x) for name in names}, levels=levels)
    for name in names:
        alone = view(info, {name: Split(x)}, levels=levels)
        assert np.array_equal(alone.splits[name].x, together.splits[name].x)
    assert not np.array_equal(together.train.x, together.validation.x), "splits do not share their noise"
    assert not np.array_equal(together.train.x, together.test.x)


def test_threshold_binarisation_cuts_at_half():
    data = load("digits", levels=2, binarise="threshold")
    assert data.protocol == "binarised at half brightness"
    assert np.array_equal(data.test.x, load("digits").test.x >= 8.5)


def test_continuous_values_stay_in_the_bin_of_their_level():
    data, native = load("digits", levels=0), load("digits")
    assert data.spec.levels == 0
    assert data.train.x.dtype == np.float32
    assert data.train.x.min() >= 0
    assert data.train.x.max() <= 1
    offset = data.train.x * 17 - native.train.x
    assert offset.min() > -1e-5
    assert offset.max() < 1 + 1e-5
    assert abs(offset.mean() - 0.5) < 0.01
    assert data.protocol == "continuous, 17 levels dequantised uniformly, seed 0"
    assert np.array_equal(data.train.x, load("digits", levels=0).train.x)


def test_labels_are_kept_by_every_view():
    native = load("digits")
    for levels in (0, 2, 8):
        assert np.array_equal(load("digits", levels=levels, size=4).train.y, native.train.y)


@pytest.mark.parametrize("size", [14, (7, 28), (9, 5), 1])
def test_smaller_sizes_are_area_averages(size):
    data, native = load("mnist", size=size), load("mnist")
    h, w = size if isinstance(size, tuple) else (size, size)
    assert (data.spec.height, data.spec.width) == (h, w)
    x = native.test.x[:20].astype(float)
    fine = x.repeat(h, axis=2).repeat(w, axis=3)  # every old pixel h×w times, then whole blocks of 28×28
    mean = fine.reshape(20, 1, h, 28, w, 28).mean(axis=(3, 5))
    assert np.abs(data.test.x[:20] - mean).max() <= 0.5 + 1e-9
    assert data.protocol == f"native 256 levels, area average of 28×28 to {h}×{w}"


def test_shrinking_rounds_halves_up_and_keeps_flat_images():
    assert shrink(np.array([[[[0, 1]]]], np.uint8), 1, 1).item() == 1
    assert shrink(np.array([[[[0, 0, 1]]]], np.uint8), 1, 1).item() == 0
    for value in (0, 7, 255):
        assert (shrink(np.full((3, 3, 11, 13), value, np.uint8), 5, 4) == value).all()


def test_size_and_levels_combine_in_the_order_size_first():
    small = load("mnist", size=14)
    assert np.array_equal(load("mnist", size=14, levels=4).test.x, small.test.x // 64)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"levels": 18}, r"^Digits 8×8 has 17 levels; it can be viewed at fewer, not at 18\.$"),
        ({"levels": 1}, r"^The number of levels is 0 \(continuous\) or 2 to 17, not 1\.$"),
        ({"levels": -2}, "not -2"),
        ({"levels": 2.5}, "not 2.5"),
        ({"levels": True}, "not True"),
        ({"size": 9}, r"^Digits 8×8 is 8×8; it can be made smaller, not 9×9\.$"),
        ({"size": (4, 16)}, "not 4×16"),
        ({"size": 0}, "whole pixels, not 0"),
        ({"size": (4, 4, 4)}, "whole pixels"),
        ({"size": 3.5}, "whole pixels"),
        ({"levels": 2, "binarise": "dynamic"}, "'static' or 'threshold', not 'dynamic'"),
        ({"seed": -1}, "seed is a whole number"),
    ],
)
def test_impossible_views_are_refused_in_a_sentence(options, sentence):
    with pytest.raises(DatasetError, match=sentence):
        load("digits", **options)
