"""How much a past pixel matters: the definition, summed by hand in float64; nothing from the future or out of sight."""

import math

import numpy as np
import pytest
import torch

from arstudio.analysis.depends import depends, depends_gradient, past_of, replacements
from arstudio.analysis.maps import sees
from arstudio.image import ImageError, ImageSpec
from arstudio.progress import Cancelled, Progress

GREY, RGB = ImageSpec(1, 3, 4, 3), ImageSpec(3, 2, 3, 3)


def by_hand(model, x, site, y):
    """Σ_v p(x_j = v | x_<j) KL(p(x_i | x_<i) ‖ p(x_i | x_<i, x_j ← v)) in bits, one pass for each v and j."""
    def log_pmfs(image):
        with torch.inference_mode():
            return model.likelihood.log_pmf(model(torch.from_numpy(image)[None], y))[0].numpy()

    own, found = log_pmfs(x), np.zeros(model.spec.shape)
    for j in zip(*np.nonzero(past_of(model, site)), strict=True):
        for v in range(model.spec.levels):
            other = x.copy()
            other[j] = v
            p, q = own[:, *site], log_pmfs(other)[:, *site]
            found[j] += math.exp(own[v, *j]) * (np.exp(p) * (p - q)).sum() / math.log(2)
    return found


@pytest.mark.parametrize(("name", "spec", "order"), [
    ("nade", GREY, "snake"), ("gated_pixelcnn", RGB, "raster"), ("fvsbn", RGB, "random"),
])
def test_occlusion_is_what_its_definition_says(name, spec, order, random_model):
    config = {"nade": {"hidden": 7, "order": order}, "fvsbn": {"order": order, "inputs": "one_hot"},
              "gated_pixelcnn": {"channels": 9, "dilations": (1, 1), "head": 9}}[name]
    model = random_model(name, spec, 2, dtype=torch.float64, **config)
    x = np.random.default_rng(1).integers(0, 3, spec.shape)
    site = (spec.channels - 1, 1, 2)
    found = depends(model, x, site, 1, least=0)
    np.testing.assert_allclose(found, by_hand(model, x, site, 1), atol=1e-9)
    assert found.max() > 0.01
    assert (found[~past_of(model, site)] == 0).all()


def test_what_is_published_on_the_way_ends_as_the_answer_the_largest_first(random_model):
    model = random_model("nade", ImageSpec(1, 6, 7, 4), hidden=9)
    x = np.random.default_rng(2).integers(0, 4, (1, 6, 7))
    partial = []

    class Watch(Progress):
        def publish(self, found):
            partial.append(found)

    guess = depends_gradient(model, x, (0, 5, 5))
    found = depends(model, x, (0, 5, 5), first=guess, progress=Watch())
    assert len(partial) > 2
    np.testing.assert_array_equal(partial[-1], found)
    done = ~np.isnan(partial[0])
    assert 0 < (done & past_of(model, (0, 5, 5))).sum() < past_of(model, (0, 5, 5)).sum()
    assert done[np.unravel_index(guess.argmax(), guess.shape)]
    known = ~np.isnan(partial[1])
    np.testing.assert_allclose(partial[1][known], found[known])


def test_the_gradient_agrees_where_the_model_is_smooth(random_model):
    spec = ImageSpec(1, 4, 4, 64)
    model = random_model(
        "gated_pixelcnn", spec, channels=8, dilations=(1, 1, 1), head=8, gain=0.5, dtype=torch.float64, likelihood="logistic",
        components=1,
    )
    x = np.random.default_rng(3).integers(20, 44, spec.shape)
    exact, quick = depends(model, x, (0, 3, 2)), depends_gradient(model, x, (0, 3, 2))
    past = past_of(model, (0, 3, 2))
    assert (quick[~past] == 0).all()
    assert np.corrcoef(exact[past], quick[past])[0, 1] > 0.95
    np.testing.assert_allclose(quick[past].sum(), exact[past].sum(), rtol=0.3)


def test_the_blind_spot_moves_nothing(random_model):
    spec, site = ImageSpec(1, 7, 8, 2), (0, 5, 2)
    model = random_model("pixelcnn", spec, first_kernel=3, blocks=2, channels=8, head=8)
    x = np.random.default_rng(0).integers(0, 2, spec.shape)
    blind = sees(model, site) == 0
    assert (depends(model, x, site, least=0)[blind] == 0).all()
    assert (depends_gradient(model, x, site)[blind] == 0).all()


def test_many_levels_are_replaced_by_equally_probable_ones(random_model):
    spec = ImageSpec(1, 3, 3, 256)
    model = random_model("nade", spec, hidden=5)
    other = replacements(model, np.full(spec.shape, 100))
    assert other.values.shape == (8, *spec.shape)
    assert (np.diff(other.values, axis=0) >= 0).all()
    np.testing.assert_allclose(other.weights.sum(0), 1)


def test_a_histogram_depends_on_nothing_and_reals_can_be_asked(random_model):
    spec = ImageSpec(1, 3, 3, 0)
    model = random_model("rnade", spec, hidden=6, components=2)
    x = np.random.default_rng(0).random(spec.shape)
    found = depends(model, x, (0, 2, 1))
    assert found[past_of(model, (0, 2, 1))].max() > 0
    assert depends_gradient(model, x, (0, 2, 1)).max() > 0
    plain = random_model("histogram", GREY)
    assert (depends_gradient(plain, np.zeros(GREY.shape, int), (0, 2, 2)) == 0).all()
    assert (depends(plain, np.zeros(GREY.shape, int), (0, 2, 2)) == 0).all()


def test_it_can_be_stopped_and_a_site_outside_is_refused(random_model):
    model = random_model("nade", GREY, hidden=3)

    class Stop(Progress):
        def cancelled(self):
            return True

    with pytest.raises(Cancelled):
        depends(model, np.zeros(GREY.shape, int), (0, 2, 2), progress=Stop())
    for ask in (depends, depends_gradient):
        with pytest.raises(ImageError, match="There is no site"):
            ask(model, np.zeros(GREY.shape, int), (0, 3, 0))
