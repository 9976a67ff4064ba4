"""Levels survive the way to a picture and back, and what does not fit is refused in a sentence."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from arstudio.image import (
    CROPS,
    ImageError,
    ImageSpec,
    SpecMismatch,
    binarise,
    cropped_box,
    dequantise,
    from_pil,
    grid,
    load_levels,
    open_picture,
    quantise,
    requantise,
    to_display,
    to_pil,
)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_gives_back_the_same_levels_for_every_number_of_levels(channels):
    for levels in range(2, 257):
        spec = ImageSpec(channels, 16, 16, levels)
        x = (np.arange(spec.sites).reshape(spec.shape) % levels).astype(np.uint8)
        file = io.BytesIO()
        to_pil(x, spec).save(file, "PNG")
        assert np.array_equal(from_pil(Image.open(file), spec), x), levels


def test_display_runs_from_black_to_white():
    for levels in range(2, 257):
        shades = to_display(np.arange(levels), levels)
        assert (shades[0], shades[-1]) == (0, 255)
        assert (np.diff(shades.astype(int)) > 0).all()
    assert to_display(np.array([-1, 0, 1]), 2).tolist() == [0, 0, 255]


def test_continuous_images_survive_within_half_a_shade():
    spec = ImageSpec(1, 10, 10, 0)
    x = np.random.default_rng(0).random(spec.shape).astype(np.float32)
    assert np.abs(from_pil(to_pil(x, spec), spec) - x).max() <= 0.5 / 255 + 1e-6


def test_quantise_uses_equal_bins_and_undoes_dequantise():
    assert quantise(np.array([-1.0, 0.0, 0.249, 0.25, 0.999, 1.0, 7.0]), 4).tolist() == [0, 0, 0, 1, 3, 3, 3]
    rng = np.random.default_rng(0)
    for levels in range(2, 257):
        x = np.arange(levels)
        assert np.array_equal(quantise(dequantise(x, levels), levels), x)
        assert np.abs(quantise(dequantise(x, levels, rng), levels) - x).max() == 0
    assert quantise(np.array([0.3]), 0).dtype == np.float32


def test_requantise_only_reduces():
    x = np.arange(256, dtype=np.uint8)
    assert requantise(x, 256, 256) is x
    for levels in range(2, 257):
        low = requantise(x, 256, levels)
        assert set(low.tolist()) == set(range(levels))
        assert (np.diff(low.astype(int)) >= 0).all()
    with pytest.raises(ImageError, match="16 levels; they can be viewed at fewer, not at 17"):
        requantise(x, 16, 17)


def test_binarise_refuses_unknown_ways():
    assert binarise(np.array([0, 127, 128, 255], np.uint8), 256, "threshold").tolist() == [0, 0, 1, 1]
    assert np.array_equal(binarise(np.full(99, 99), 256, seed=4), binarise(np.full(99, 99), 256, seed=4))
    with pytest.raises(ImageError, match="'static' or 'threshold', not 'often'"):
        binarise(np.zeros(1), 2, "often")


SPEC = ImageSpec(1, 2, 2, 256)
RGB = ImageSpec(3, 2, 2, 256)


def rgb_of(picture):
    """The top left pixel, read as RGB."""
    return from_pil(picture, RGB)[:, 0, 0].tolist()


def test_transparency_is_laid_on_black():
    assert rgb_of(Image.new("RGBA", (2, 2), (200, 100, 50, 255))) == [200, 100, 50]
    assert rgb_of(Image.new("RGBA", (2, 2), (200, 100, 50, 0))) == [0, 0, 0]
    half = rgb_of(Image.new("RGBA", (2, 2), (200, 100, 50, 128)))
    assert np.abs(np.array(half) - [100, 50, 25]).max() <= 1
    assert from_pil(Image.new("LA", (2, 2), (200, 0)), SPEC).max() == 0
    assert from_pil(Image.new("LA", (2, 2), (200, 255)), SPEC).min() == 200
    assert from_pil(Image.new("La", (2, 2)), SPEC).max() == 0


@pytest.mark.parametrize(("mode", "colour"), [("L", 200), ("RGB", (200, 10, 10)), ("P", 3)])
def test_a_transparent_colour_of_a_png_is_laid_on_black(mode, colour):
    file = io.BytesIO()
    Image.new(mode, (2, 2), colour).save(file, "PNG", transparency=colour)
    assert rgb_of(Image.open(file)) == [0, 0, 0]


def test_palettes_keep_their_colours():
    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    assert rgb_of(picture) == [10, 20, 30]


def test_one_bit_pictures_are_black_and_white():
    picture = Image.fromarray(np.array([[True, False], [False, True]]))
    assert picture.mode == "1"
    assert from_pil(picture, SPEC)[0].tolist() == [[255, 0], [0, 255]]
    assert from_pil(picture, ImageSpec(1, 2, 2, 2))[0].tolist() == [[1, 0], [0, 1]]


def test_16_bit_greys_keep_their_relative_brightness():
    wide = np.array([[0, 65535], [32768, 257]], np.uint16)
    file = io.BytesIO()
    Image.fromarray(wide).save(file, "PNG")
    assert from_pil(Image.open(file), SPEC)[0].tolist() == [[0, 255], [128, 1]]
    dark = Image.fromarray(np.full((2, 2), 200, np.uint16))
    assert dark.mode.startswith("I;16")
    assert from_pil(dark, SPEC).max() == 1, "a dark 16-bit picture stays dark"


def test_cmyk_and_other_colour_modes_are_read():
    assert rgb_of(Image.new("CMYK", (2, 2), (0, 255, 255, 0))) == [255, 0, 0]
    modes = [
        "1",
        "L",
        "P",
        "RGB",
        "RGBA",
        "CMYK",
        "YCbCr",
        "HSV",
        "I",
        "F",
        "LA",
        "PA",
        "RGBX",
        "RGBa",
        "I;16B",
    ]
    for mode in modes:
        assert from_pil(Image.new(mode, (2, 2)), RGB).shape == (3, 2, 2), mode


def test_a_grey_picture_can_feed_a_colour_model():
    assert rgb_of(Image.new("L", (2, 2), 77)) == [77, 77, 77]


def test_a_wrong_size_is_refused_with_both_sizes():
    with pytest.raises(SpecMismatch, match="3×5 pixels but the model draws 2×2; resize it, or ask for fit"):
        from_pil(Image.new("L", (3, 5)), SPEC)


def test_colours_for_a_grey_model_are_refused_unless_fitted():
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    with pytest.raises(SpecMismatch, match="has colours but the model draws grey; convert it to grey"):
        from_pil(red, SPEC)
    assert from_pil(red, SPEC, fit=True).tolist() == [[[76, 76], [76, 76]]]
    assert from_pil(Image.new("RGB", (2, 2), (9, 9, 9)), SPEC).max() == 9


def test_fitting_takes_the_middle_and_averages():
    array = np.zeros((4, 8), np.uint8)
    array[:, 2:6] = 100
    array[:2, 2:4] = [[0, 200], [200, 0]]
    assert (from_pil(Image.fromarray(array), SPEC, fit=True) == 100).all()


def test_a_grid_holds_every_image():
    x = np.arange(5)[:, None, None, None] * np.ones((5, 1, 2, 3), int) * 10
    sheet = grid(x, ImageSpec(1, 2, 3, 256), columns=3, scale=2, gap=1)
    assert sheet.size == (3 * 7 + 1, 2 * 5 + 1)
    array = np.asarray(sheet)
    assert [int(array[1 + 5 * (i // 3), 1 + 7 * (i % 3)]) for i in range(5)] == [0, 10, 20, 30, 40]


def test_spec_refuses_what_cannot_be():
    for bad in [(2, 4, 4, 2), (1, 0, 4, 2), (1, 4, 4, 1), (1, 4, 4, 257), (1, 4, 4, -1), (1, 4.0, 4, 2)]:
        with pytest.raises(ImageError):
            ImageSpec(*bad)
    spec = ImageSpec(3, 4, 5, 8)
    assert (spec.pixels, spec.sites, spec.shape, str(spec)) == (20, 60, (3, 4, 5), "4×5 RGB · 8 levels")
    assert ImageSpec(**spec.to_dict()) == spec
    assert spec.bits_per_dim(60 * math.log(8)) == pytest.approx(3)
    with pytest.raises(SpecMismatch, match=r"shape \(batch, 3, 4, 5\), but was given \(2, 3, 4, 4\)"):
        spec.check(np.zeros((2, 3, 4, 4)))


def test_files_that_are_no_pictures_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(ImageError, match="There is no file"):
        open_picture(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="is a folder"):
        open_picture(tmp_path)
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ImageError, match="not a picture that can be read"):
        load_levels(tmp_path / "text.png", SPEC)


def sideways():
    """EXIF data that says: turn this picture by a quarter to see it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_photographs_are_turned_upright(tmp_path):
    wide = np.zeros((1, 2), np.uint8)
    wide[0, 0] = 255
    Image.fromarray(wide).save(tmp_path / "x.png", exif=sideways())
    assert np.asarray(open_picture(tmp_path / "x.png")).tolist() == [[255], [0]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tiff", "webp"])
def test_damaged_pictures_never_escape_as_another_error(tmp_path, suffix):
    rng = np.random.default_rng(0)
    path = tmp_path / f"x.{suffix}"
    exif = {"exif": sideways()} if suffix in ("png", "jpg", "webp", "tiff") else {}
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path, **exif)
    whole = path.read_bytes()
    for i in range(150):
        raw = bytearray(whole[: len(whole) if i % 2 else int(rng.integers(0, len(whole)))])
        for position in rng.integers(0, max(1, min(len(raw), 200)), 3 if raw else 0):
            raw[position] = rng.integers(0, 256)
        path.write_bytes(bytes(raw))
        try:
            open_picture(path)
        except ImageError:
            continue


def test_every_size_is_cropped_inside_the_picture():
    for spec in (ImageSpec(1, 28, 28, 2), ImageSpec(1, 6, 5, 2), ImageSpec(1, 11, 12, 2)):
        for k in range(1, 200):
            for width, height in ((k, k), (k, 2 * k), (3 * k, k + 1)):
                for crop in CROPS:
                    left, top, right, bottom = cropped_box(width, height, spec, crop)
                    assert 0 <= left < right <= width, (spec, width, height)
                    assert 0 <= top < bottom <= height, (spec, width, height)
                    assert (right - left) * spec.height == pytest.approx((bottom - top) * spec.width)
    assert from_pil(Image.new("L", (29, 29), 255), ImageSpec(1, 28, 28, 2), fit=True).min() == 1
