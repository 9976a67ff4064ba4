"""A reading says what a fresh pass says, and is never taken for that of another model, image or class."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch

from arstudio.analysis.conditionals import conditional
from arstudio.analysis.maps import ImageMaps, drawn_map
from arstudio.analysis.readings import COLUMNS, Readings, checksum, fingerprint, key_of, read
from arstudio.image import ImageError, ImageSpec, SpecMismatch
from arstudio.models.orders import Order
from arstudio.sampling import SampleSettings, sample

GREY, RGB = ImageSpec(1, 4, 5, 6), ImageSpec(3, 3, 4, 4)


@pytest.fixture(params=[GREY, RGB, ImageSpec(3, 3, 4, 0)], ids=str)
def drawn(request, random_model):
    model = random_model("gated_pixelcnn", request.param, 2, channels=9, dilations=(1, 2), head=9)
    return model, sample(model, 1, SampleSettings(seed=4), 1).image(0)


def test_one_reading_holds_every_conditional_and_adds_up(drawn):
    model, x = drawn
    reading = read(model, x, 1)
    for site in np.ndindex(model.spec.shape):
        mine, fresh = reading.at(site), conditional(model, x, site, 1)
        np.testing.assert_allclose(mine.pmf, fresh.pmf, atol=1e-5)    # one looks at a part of the image
        assert (mine.value, mine.step, mine.site) == (fresh.value, fresh.step, fresh.site)
    trace = reading.trace(1)
    with torch.inference_mode():
        expected = model.log_prob(torch.from_numpy(x)[None], 1).item()
    assert -trace.nats(0) == pytest.approx(expected, abs=1e-4)
    np.testing.assert_array_equal(trace.image(0), x)
    for name in (field.name for field in dataclasses.fields(ImageMaps)):
        np.testing.assert_allclose(drawn_map(trace, name, 0), getattr(reading.maps(), name), atol=2e-3, err_msg=name)


def test_error_is_the_distance_from_the_mean_and_unknown_where_hidden(drawn):
    model, x = drawn
    hidden = x.copy()
    hidden[:, 2:] = model.spec.hidden
    maps = read(model, hidden, 1).maps()
    np.testing.assert_allclose(maps.error[:, :2], np.abs(x - maps.expectation)[:, :2])
    assert np.isnan(maps.error[:, 2:]).all()


def test_maps_of_a_drawing_end_where_it_has_come_to(drawn):
    model, _ = drawn
    trace = sample(model, 2, SampleSettings(seed=1), 1)
    flat = drawn_map(trace, "expectation", 1, 7).reshape(-1)[trace.sites]
    assert np.isfinite(flat[:7]).all()
    assert np.isnan(flat[7:]).all()
    trace.pmfs = trace.pmfs[:1]
    assert drawn_map(trace, "argmax", 1) is None


def _by_assignment(model):
    next(model.parameters()).data.flatten()[0] += 1e-3


def _in_place(model):
    with torch.no_grad():
        next(model.parameters()).mul_(1.001)


def _by_loading(model):
    state = {key: value + (value.dtype.is_floating_point) * 1e-3 for key, value in model.state_dict().items()}
    model.load_state_dict(state)


def _two_weights_swapped(model):
    flat = next(model.parameters()).data.view(-1)
    flat[[0, 1]] = flat[[1, 0]]


@pytest.mark.parametrize("change", [_by_assignment, _in_place, _by_loading, _two_weights_swapped])
def test_no_change_of_the_weights_goes_unseen(change, random_model):
    model = random_model("nade", GREY, 2, hidden=9)
    readings, x = Readings(), np.zeros(GREY.shape, np.int16)
    key = key_of(model, x, 1)
    readings.keep(key, read(model, x, 1))
    assert readings.get(key_of(model, x, 1)) is readings.get(key) is not None
    change(model)
    assert readings.get(key_of(model, x, 1)) is None


@pytest.mark.parametrize("size", [1, 8 * COLUMNS - 1, 8 * COLUMNS, 24 * COLUMNS + 5])
def test_a_checksum_shows_every_changed_byte_and_every_exchange(size):
    pick = np.random.default_rng(size)
    data = pick.integers(0, 256, size, np.uint8)
    own = checksum(data)
    assert own == checksum(data.copy())
    for _ in range(40):
        other, (a, b) = data.copy(), pick.integers(0, size, 2)
        other[a] ^= 1 << pick.integers(0, 8)
        assert checksum(other) != own
        other = data.copy()
        other[[a, b]] = other[[b, a]]
        assert (checksum(other) != own) == (data[a] != data[b])
    assert checksum(data ^ 0x80) != own, "every sign turned"


def test_another_image_class_order_or_precision_is_another_question(random_model):
    model = random_model("eonade", GREY, 2, hidden=9)
    x = np.zeros(GREY.shape, np.int16)
    other = x.copy()
    other[0, 3, 4] = 1
    snake = model.reordered(Order("snake", 4, 5))
    keys = [
        key_of(model, x, 1), key_of(model, x, 0), key_of(model, x, None), key_of(model, other, 1), key_of(snake, x, 1),
        key_of(copy.deepcopy(model).double(), x, 1),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of(model, x, None) == key_of(model, x, -1)
    assert fingerprint(model) == fingerprint(copy.deepcopy(model)), "the same weights answer alike, wherever they lie"


def test_memory_is_bounded_and_the_last_used_stay(random_model):
    model = random_model("nade", GREY, hidden=3)
    images = [np.full(GREY.shape, k) for k in range(4)]
    one = read(model, images[0]).params.numel() * 8
    readings = Readings(most_bytes=2 * one)
    keys = [key_of(model, x, None) for x in images]
    for key, x in zip(keys[:2], images, strict=False):
        readings.keep(key, read(model, x))
    readings.get(keys[0])
    readings.keep(keys[2], read(model, images[2]))
    assert [readings.get(key) is not None for key in keys] == [True, False, True, False]
    assert readings.bytes <= 2 * one
    tight = Readings(most_bytes=1)
    tight.keep(keys[3], read(model, images[3]))
    assert len(tight) == 1


def test_what_cannot_be_asked_is_refused(random_model):
    model = random_model("nade", GREY, hidden=3)
    with pytest.raises(SpecMismatch):
        read(model, np.zeros((1, 5, 4), int))
    with pytest.raises(ImageError, match="There is no site"):
        read(model, np.zeros(GREY.shape, int)).at((0, 4, 0))


@pytest.mark.parametrize("kind", ["logistic", "gaussian"])
def test_the_components_of_a_mixture_over_levels_add_up_to_it(kind, random_model):
    spec = ImageSpec(1, 3, 4, 256)
    model = random_model("gated_pixelcnn", spec, channels=6, dilations=(1,), head=8, likelihood=kind, components=3)
    x = np.random.default_rng(0).integers(0, 256, spec.shape)
    found = conditional(model, x, (0, 2, 1))
    assert found.components.shape == (3, 256)
    np.testing.assert_allclose(found.components.sum(0), found.pmf, atol=1e-12)
    weights = found.components.sum(1)
    params = model(torch.from_numpy(x)[None])[0, :3, 0, 2, 1].double()
    np.testing.assert_allclose(weights, params.softmax(0).detach().numpy(), atol=1e-6)
    assert conditional(random_model("nade", GREY, hidden=3), np.zeros(GREY.shape, int), (0, 1, 1)).components is None
    assert math.isclose(found.pmf.sum(), 1)
