"""Kernels show what masks forbid; the development of a pixel is what the reordered model says at each moment."""

import numpy as np
import pytest
import torch

from arstudio.analysis.conditionals import conditional
from arstudio.analysis.development import development
from arstudio.analysis.kernels import kernels
from arstudio.image import ImageError, ImageSpec
from arstudio.models.base import ConfigError
from arstudio.models.orders import Order
from arstudio.progress import Cancelled, Progress

GREY, RGB = ImageSpec(1, 4, 5, 3), ImageSpec(3, 3, 4, 4)


def test_mask_a_forbids_the_centre_and_mask_b_lets_a_pixel_see_its_earlier_colours(random_model):
    grey = kernels(random_model("pixelcnn", GREY, channels=6, head=6, blocks=1, first_kernel=3))
    first, later = grey[0], next(k for k in grey[1:] if k.allowed.shape[1] == 3)
    assert first.masked
    assert first.allowed[-1, 1] < 1
    assert first.allowed[-1, 2] == 0 == first.strength[-1, 2]
    assert (first.allowed[:-1] == 1).all()
    assert later.allowed[-1, 1] == 1
    rgb = kernels(random_model("pixelcnn", RGB, channels=6, head=6, blocks=1, first_kernel=3))
    centre = next(k for k in rgb[1:] if k.allowed.shape[1] == 3).allowed[-1, 1]
    assert centre == pytest.approx(6 / 9)


def test_strength_is_the_size_of_the_weights_that_count(random_model):
    model = random_model("pixelcnn", GREY, channels=6, head=6, blocks=1, first_kernel=3)
    module = dict(model.named_modules())[kernels(model)[0].name]
    weight, mask = module.weight.detach().double(), module.mask.double()
    expected = ((weight * mask).square().sum((0, 1)) / mask.sum((0, 1)).clamp(min=1)).sqrt()
    np.testing.assert_allclose(kernels(model)[0].strength, expected.numpy())
    assert kernels(model)[0].shape == tuple(weight.shape[:2])


def test_a_model_without_convolutions_has_no_kernels(random_model):
    assert kernels(random_model("nade", GREY, hidden=3)) == []


@pytest.mark.parametrize("name", ["eonade", "made"])
def test_each_moment_is_what_the_reordered_model_says(name, random_model):
    model = random_model(name, RGB, 2, dtype=torch.float64, order="raster")
    x, site = np.random.default_rng(0).integers(0, 4, RGB.shape), (1, 2, 1)
    found = development(model, x, site, 1)
    assert list(found.known) == list(range(10))
    own = 2 * 4 + 1
    for count, here in zip(found.known, found.conditionals, strict=True):
        order = Order.custom([*range(count), own, *(p for p in range(count, 12) if p != own)], 3, 4)
        expected = conditional(model.reordered(order), x, site, 1)
        np.testing.assert_allclose(here.pmf, expected.pmf, atol=1e-12)
        assert here.value == x[site]
        assert here.step == 3 * count + 1
    np.testing.assert_allclose(found.conditionals[-1].pmf, conditional(model, x, site, 1).pmf, atol=1e-9)
    other = x.copy()
    other[:, 1:2] = 3 - other[:, 1:2]
    np.testing.assert_array_equal(development(model, other, site, 1).conditionals[3].pmf, found.conditionals[3].pmf)


def test_a_long_way_is_told_at_few_moments_and_can_be_stopped(random_model):
    model = random_model("eonade", ImageSpec(1, 8, 8, 2), hidden=4, order="raster")
    x = np.zeros((1, 8, 8), int)
    found = development(model, x, (0, 7, 7), most=5)
    assert list(found.known) == [0, 16, 32, 47, 63]

    class Stop(Progress):
        def cancelled(self):
            return True

    with pytest.raises(Cancelled):
        development(model, x, (0, 7, 7), progress=Stop())


def test_models_of_one_order_say_why_they_cannot(random_model):
    model = random_model("nade", GREY, hidden=3)
    with pytest.raises(ConfigError, match="at its own turn only"):
        development(model, np.zeros(GREY.shape, int), (0, 1, 1))
    with pytest.raises(ImageError, match="There is no site"):
        development(model, np.zeros(GREY.shape, int), (0, 4, 1))
