"""The conditional of one site: the model's own distribution in float64, and figures worked out by hand."""

import copy
import math

import numpy as np
import pytest
import torch

from arstudio.analysis.conditionals import Conditional, conditional
from arstudio.image import ImageError, ImageSpec, SpecMismatch
from arstudio.sampling import SampleSettings, sample

GREY, RGB = ImageSpec(1, 4, 5, 6), ImageSpec(3, 3, 4, 4)
KINDS = [
    ("fvsbn", {"order": "spiral"}), ("nade", {"hidden": 9}),
    ("pixelcnn", {"channels": 8, "blocks": 2, "head": 8}),
    ("gated_pixelcnn", {"channels": 8, "dilations": (1, 2), "head": 8}),
]


@pytest.mark.parametrize("spec", [GREY, RGB, ImageSpec(1, 3, 3, 2)], ids=str)
@pytest.mark.parametrize(("name", "config"), KINDS)
def test_it_is_what_forward_says_in_float64_and_what_the_sampler_drew_from(name, config, spec, random_model):
    model = random_model(name, spec, 2, **config)
    trace = sample(model, 2, SampleSettings(seed=2), 1)
    x = trace.image(1)
    exact = copy.deepcopy(model).double()
    with torch.inference_mode():
        pmfs = exact.likelihood.log_pmf(exact(torch.from_numpy(x)[None].long(), 1)).exp()[0].numpy()
    for step in range(spec.sites):
        site = trace.site(step)
        found = conditional(model, x, site, 1)
        assert found.step == step
        assert found.site == site
        assert found.value == x[site]
        assert found.pmf.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(found.pmf, pmfs[:, *site], atol=1e-6)
        np.testing.assert_allclose(found.pmf, trace.pmfs[1, step], atol=1e-6)
        assert found.log_prob == pytest.approx(trace.log_probs[1, step], abs=1e-5)
        assert found.entropy * math.log(2) == pytest.approx(trace.entropies[1, step], abs=1e-5)


def test_the_chain_rule_holds(random_model):
    model = random_model("nade", GREY, hidden=9)
    x = np.random.default_rng(0).integers(0, 6, GREY.shape)
    total = sum(conditional(model, x, (0, r, c)).log_prob for r in range(4) for c in range(5))
    with torch.inference_mode():
        assert total == pytest.approx(model.log_prob(torch.from_numpy(x)[None]).item(), abs=1e-4)


def test_figures_by_hand():
    known = Conditional(np.array([0.125, 0.5, 0.25, 0.125]), 2, 7, (0, 1, 2))
    assert known.log_prob == pytest.approx(math.log(0.25))
    assert known.surprise == pytest.approx(2)
    assert known.entropy == pytest.approx(1.75)
    assert known.rank == 2
    assert known.mean == pytest.approx(0.5 + 0.5 + 0.375)
    assert known.sd == pytest.approx(math.sqrt(0.5 + 1 + 1.125 - 1.375**2))
    assert known.top(3) == [(1, 0.5), (2, 0.25), (0, 0.125)]
    assert len(known.top(99)) == 4


def test_divergence_by_hand():
    own, moved = (Conditional(np.array(pmf), None, 0, (0, 0, 0)) for pmf in ([0.5, 0.5, 0.0], [0.125, 0.5, 0.375]))
    assert own.divergence(moved) == pytest.approx(0.5 * 2)
    assert own.divergence(own) == 0
    assert math.isfinite(moved.divergence(own))
    assert moved.divergence(own) > 100


def test_a_certain_value_and_an_impossible_one():
    certain = Conditional(np.array([0.0, 1.0]), 1, 0, (0, 0, 0))
    assert (certain.surprise, certain.entropy, certain.rank, certain.sd) == (0, 0, 1, 0)
    impossible = Conditional(np.array([0.0, 1.0]), 0, 0, (0, 0, 0))
    assert impossible.rank == 2
    assert math.isfinite(impossible.surprise)
    assert impossible.surprise > 900


def test_equally_probable_values_share_the_first_rank():
    assert Conditional(np.array([0.25] * 4), 3, 0, (0, 0, 0)).rank == 1


def test_a_hidden_pixel_has_a_distribution_but_no_value(random_model):
    model = random_model("nade", GREY, hidden=9)
    x = np.full(GREY.shape, -1)
    x[0, 0] = 3
    found = conditional(model, x, (0, 1, 0))
    assert (found.value, found.rank) == (None, None)
    assert math.isnan(found.log_prob)
    assert math.isnan(found.surprise)
    assert found.pmf.sum() == pytest.approx(1)
    later = x.copy()
    later[0, 2:] = 5
    np.testing.assert_array_equal(conditional(model, later, (0, 1, 0)).pmf, found.pmf)


@pytest.mark.parametrize("site", [(0, 4, 0), (0, 0, 5), (1, 0, 0), (0, -1, 0), (0, 0, -1), (-1, 0, 0)])
def test_a_site_outside_is_refused(site, random_model):
    model = random_model("nade", GREY, hidden=2)
    sentence = r"no site at row .*: rows go from 0 to 3, columns from 0 to 4, channels from 0 to 0\.$"
    with pytest.raises(ImageError, match=sentence):
        conditional(model, np.zeros(GREY.shape, int), site)


def test_an_image_of_another_size_is_refused(random_model):
    with pytest.raises(SpecMismatch, match="This needs images of shape"):
        conditional(random_model("nade", GREY, hidden=2), np.zeros((1, 5, 4), int), (0, 0, 0))
