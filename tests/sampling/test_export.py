"""Pictures that leave: a PNG remembers how it was drawn, a sheet shows the levels, a GIF unfolds."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from arstudio.image import ImageError, ImageSpec, colour_map, to_display
from arstudio.sampling import Sampler, SampleSettings, SettingsError
from arstudio.sampling.export import (
    CHECKER,
    GROUND,
    KEY,
    agreement_picture,
    csv_bytes,
    drawing_info,
    fit_scale,
    gif_bytes,
    png_bytes,
    read_info,
    sheet,
)

GREY, RGB = ImageSpec(1, 4, 5, 7), ImageSpec(3, 4, 5, 7)


@pytest.fixture(scope="module")
def sampler(random_model):
    model = random_model("fvsbn", GREY, 3)
    sampler = Sampler(model, SampleSettings(seed=5, temperature=0.9, top_k=4), 3, np.array([0, -1, 2]))
    sampler.run()
    return sampler


def test_a_png_remembers_model_seed_and_settings(sampler, tmp_path):
    info = drawing_info("tiny", sampler)
    path = tmp_path / "drawn.png"
    path.write_bytes(png_bytes(sheet(sampler.trace.images(), GREY), info))
    assert read_info(path) == info
    assert info["model"] == "tiny"
    assert info["settings"] == {"seed": 5, "temperature": 0.9, "top_k": 4, "top_p": 1.0, "guidance": 0.0}
    assert info["classes"] == [0, None, 2]
    assert ImageSpec(**info["spec"]) == GREY
    assert json.loads(Image.open(path).text[KEY]) == info


def test_names_in_any_script_survive(tmp_path):
    path = tmp_path / "drawn.png"
    path.write_bytes(png_bytes(Image.new("L", (2, 2)), {"model": "手書き ÷ ✏️"}))
    assert read_info(path) == {"model": "手書き ÷ ✏️"}


def test_other_pictures_remember_nothing(tmp_path):
    for name, picture in (("plain.png", png_bytes(Image.new("L", (2, 2)))), ("list.png", None)):
        path = tmp_path / name
        path.write_bytes(picture or png_bytes(Image.new("L", (2, 2)), ["no", "object"]))
        assert read_info(path) is None
    Image.new("L", (2, 2)).save(tmp_path / "photo.jpg")
    assert read_info(tmp_path / "photo.jpg") is None


CUT_SHORT = png_bytes(Image.new("L", (64, 64), 7))[:60]


@pytest.mark.parametrize("content", [None, b"", b"not a picture", CUT_SHORT])
def test_what_is_no_picture_is_said_in_a_sentence(tmp_path, content):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.png"):
        read_info(path)


@pytest.mark.parametrize("spec", [GREY, RGB])
@pytest.mark.parametrize("scale", [1, 6])
def test_a_sheet_shows_every_level_and_a_checkerboard_for_what_is_hidden(spec, scale):
    x = np.random.default_rng(0).integers(0, 7, (5, *spec.shape))
    x[3, -1, 2, 1] = -1
    page = np.asarray(sheet(x, spec, columns=2, scale=scale, gap=2))
    page = page[..., None] if spec.channels == 1 else page
    assert page.shape == (3 * (4 * scale + 2) + 2, 2 * (5 * scale + 2) + 2, spec.channels)
    for i, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]):
        top, left = 2 + row * (4 * scale + 2), 2 + column * (5 * scale + 2)
        cell = page[top:top + 4 * scale, left:left + 5 * scale]
        shown = to_display(x[i], 7).transpose(1, 2, 0).repeat(scale, 0).repeat(scale, 1)
        hidden = (x[i] < 0).any(0).repeat(scale, 0).repeat(scale, 1)
        assert (cell[~hidden] == shown[~hidden]).all()
        assert set(np.unique(cell[hidden])) <= set(CHECKER)
        assert hidden.sum() == (scale * scale if i == 3 else 0)
    assert (page[-1] == GROUND).all()


def test_a_single_image_has_no_frame_and_reads_back_exactly():
    x = np.random.default_rng(1).integers(0, 7, (1, *GREY.shape))
    assert (np.asarray(sheet(x, GREY)) == to_display(x[0, 0], 7)).all()


def test_a_gif_unfolds_from_nothing_to_the_drawing(sampler):
    with Image.open(io.BytesIO(gif_bytes(sampler.trace, frames=10, scale=4))) as gif:
        assert gif.n_frames == 11
        assert gif.info["loop"] == 0
        gif.seek(0)
        first = np.asarray(gif.convert("L"))
        assert set(np.unique(first)) == {GROUND, *CHECKER}
        gif.seek(10)
        drawing = sheet(sampler.trace.images(), GREY, scale=4)
        assert (np.asarray(gif.convert("L")) == np.asarray(drawing)).all()
        assert gif.info["duration"] == 2000


def test_a_gif_of_one_rgb_image_keeps_its_colours(random_model):
    sampler = Sampler(random_model("pixelcnn", RGB, channels=6, blocks=1, head=6), SampleSettings(seed=1), 2)
    sampler.run()
    with Image.open(io.BytesIO(gif_bytes(sampler.trace, 1, frames=4, scale=3))) as gif:
        gif.seek(gif.n_frames - 1)
        last = np.asarray(gif.convert("RGB")).astype(int)
    assert np.abs(last - np.asarray(sheet(sampler.trace.images()[1:], RGB, scale=3))).max() <= 2


def test_known_pixels_are_in_a_gif_from_the_start(random_model):
    known = np.zeros((4, 5), dtype=bool)
    known[:, 3] = True
    x = np.full(GREY.shape, 6)
    sampler = Sampler(random_model("nade", GREY, hidden=4), SampleSettings(), 1, x=x, known=known)
    sampler.run()
    with Image.open(io.BytesIO(gif_bytes(sampler.trace, scale=2, frames=3))) as gif:
        first = np.asarray(gif.convert("L"))
    assert (first[:, 6:8] == 255).all()
    assert set(np.unique(first[:, :6])) == set(CHECKER)


def test_a_gif_of_a_drawing_in_progress_ends_where_it_is(random_model):
    sampler = Sampler(random_model("fvsbn", GREY), SampleSettings(), 1)
    sampler.run(until=7)
    with Image.open(io.BytesIO(gif_bytes(sampler.trace, scale=2))) as gif:
        gif.seek(gif.n_frames - 1)
        drawing = sheet(sampler.trace.images(), GREY, scale=2)
        assert (np.asarray(gif.convert("L")) == np.asarray(drawing)).all()


def test_a_gif_without_frames_is_refused(sampler):
    with pytest.raises(SettingsError):
        gif_bytes(sampler.trace, frames=0)


def test_the_csv_holds_every_site_of_every_image(sampler):
    rows = list(csv.DictReader(io.StringIO(csv_bytes(sampler.trace).decode())))
    assert len(rows) == 3 * GREY.sites
    images = sampler.trace.images()
    for row in rows:
        value = images[int(row["image"]), int(row["channel"]), int(row["row"]), int(row["column"])]
        assert int(row["value"]) == value
    nats = -sum(float(row["log_prob_nats"]) for row in rows if row["image"] == "1")
    assert nats == pytest.approx(sampler.trace.nats(1), abs=1e-12)


def test_the_colour_map_goes_from_dark_to_bright_without_a_step_back():
    colours = colour_map(np.linspace(0, 1, 101)) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(colours) > 0).all()
    assert colour_map(np.array([0.0, 1.0])).tolist() == [[68, 1, 84], [253, 231, 37]]
    assert colour_map(np.array([np.nan, -1.0, 2.0])).tolist()[1:] == [[68, 1, 84], [253, 231, 37]]


def test_agreement_is_dark_where_all_agree_and_brightest_at_its_most():
    picture, most = agreement_picture(np.array([[0.0, 3.0]]), 8, scale=2)
    assert most == 3
    assert np.asarray(picture)[0].tolist() == [[68, 1, 84]] * 2 + [[253, 231, 37]] * 2


@pytest.mark.parametrize(("spec", "count", "scale"), [
    (ImageSpec(1, 8, 8, 2), 1, 24), (ImageSpec(1, 8, 8, 2), 16, 16), (ImageSpec(1, 28, 28, 2), 16, 4),
    (ImageSpec(3, 64, 64, 256), 64, 1), (ImageSpec(1, 28, 28, 2), 0, 18),
])
def test_sheets_are_enlarged_to_about_the_same_size(spec, count, scale):
    assert fit_scale(spec, count) == scale
