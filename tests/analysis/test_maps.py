"""Maps over an image add up to its log-probability; what a pixel can see has no future and, for PixelCNN,
a blind spot."""

import math

import numpy as np
import pytest
import torch

from arstudio.analysis.conditionals import conditional
from arstudio.analysis.maps import sees
from arstudio.analysis.readings import read
from arstudio.image import ImageError, ImageSpec, SpecMismatch

GREY, RGB = ImageSpec(1, 4, 5, 6), ImageSpec(3, 3, 4, 2)


@pytest.mark.parametrize("spec", [GREY, RGB], ids=str)
@pytest.mark.parametrize("y", [None, 1])
def test_maps_hold_the_figures_of_every_conditional(spec, y, random_model):
    model = random_model("nade", spec, 2, hidden=9)
    x = np.random.default_rng(0).integers(0, spec.levels, spec.shape).astype(np.uint8)
    maps = read(model, x, y).maps()
    with torch.inference_mode():
        log_prob = model.log_prob(torch.from_numpy(x)[None], y).item()
    assert maps.surprise.sum() * math.log(2) == pytest.approx(-log_prob, abs=1e-4)
    for site in np.ndindex(spec.shape):
        found = conditional(model, x, site, y)
        assert maps.surprise[site] == pytest.approx(found.surprise)
        assert maps.entropy[site] == pytest.approx(found.entropy)
        assert maps.argmax[site] == found.top(1)[0][0]
        assert maps.expectation[site] == pytest.approx(found.mean)
    assert np.ptp(maps.entropy) > 0.1


def test_hidden_sites_have_no_surprise_and_are_no_obstacle(random_model):
    model = random_model("nade", GREY, hidden=9)
    x = np.random.default_rng(0).integers(0, 6, GREY.shape)
    hidden = x.copy()
    hidden[0, 2:] = -1
    whole, part = read(model, x).maps(), read(model, hidden).maps()
    np.testing.assert_array_equal(part.surprise[0, :2], whole.surprise[0, :2])
    assert np.isnan(part.surprise[0, 2:]).all()
    assert np.isfinite(part.entropy).all()


def test_an_image_of_another_size_is_refused(random_model):
    with pytest.raises(SpecMismatch, match="This needs images of shape"):
        read(random_model("nade", GREY, hidden=2), np.zeros((1, 5, 4), int))


@pytest.mark.parametrize("order", ["raster", "snake", "random"])
def test_nothing_in_the_future_is_seen_and_all_of_the_past_is(order, random_model):
    model = random_model("fvsbn", RGB, 2, order=order, inputs="one_hot")
    place = np.empty(RGB.sites, int)
    place[model.order.sites(3)] = np.arange(RGB.sites)
    place = place.reshape(RGB.shape)
    for site in [(0, 0, 0), (2, 1, 1), (1, 2, 3)]:
        seen = sees(model, site, y=1)
        assert seen.shape == RGB.shape
        assert (seen[place >= place[site]] == 0).all()
        assert (seen[place < place[site]] > 0).all()


def test_pixelcnn_does_not_see_its_blind_spot_and_gated_pixelcnn_does(random_model):
    spec, site = ImageSpec(1, 7, 8, 2), (0, 5, 2)
    settings = {"channels": 12, "head": 8}
    plain = random_model("pixelcnn", spec, first_kernel=3, blocks=7, **settings)
    gated = random_model("gated_pixelcnn", spec, dilations=(1,) * 7, **settings)
    row, column = np.mgrid[:7, :8]
    past = (row < 5) | (row == 5) & (column < 2)
    blind = (row < 5) & (column - 2 > 5 - row)
    assert blind.sum() >= 6
    assert ((sees(plain, site, inputs=6)[0] > 0) == (past & ~blind)).all()
    assert ((sees(gated, site)[0] > 0) == past).all()


def test_looking_is_reproducible_and_leaves_the_model_alone(random_model):
    model = random_model("gated_pixelcnn", GREY, channels=6, dilations=(1, 1), head=6, dropout=0.5).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = np.random.default_rng(0).integers(-1, 6, GREY.shape)
    first = sees(model, (0, 2, 2), x=x)
    np.testing.assert_array_equal(first, sees(model, (0, 2, 2), x=x))
    assert not np.array_equal(first, sees(model, (0, 2, 2), x=(x + 3) % 6))
    assert not np.array_equal(first, sees(model, (0, 2, 2), seed=5))
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("site", [(0, 4, 0), (0, 0, -1), (1, 0, 0)])
def test_a_site_outside_is_refused(site, random_model):
    with pytest.raises(ImageError, match="There is no site at row"):
        sees(random_model("nade", GREY, hidden=2), site)
