"""What a continuous model says of one pixel and of a whole image: densities, mixtures, bins."""

import copy
import math

import numpy as np
import pytest

from arstudio.analysis.conditionals import Conditional, Mixture, conditional
from arstudio.analysis.maps import sees
from arstudio.analysis.readings import read
from arstudio.image import ImageSpec
from arstudio.sampling import SampleSettings, sample

SPEC = ImageSpec(3, 3, 4, 0)
KINDS = [("rnade", {"hidden": 9, "components": 3}), ("gated_pixelcnn", {"channels": 9, "dilations": (1, 2), "head": 9})]


@pytest.fixture(params=KINDS, ids=lambda kind: kind[0])
def drawn(request, random_model):
    name, config = request.param
    model = random_model(name, SPEC, 2, gain=0.8, **config)
    return model, sample(model, 2, SampleSettings(seed=2), 1)


def test_it_is_what_the_sampler_recorded(drawn):
    model, trace = drawn
    exact, x = copy.deepcopy(model).double(), trace.image(1)
    for step in range(0, SPEC.sites, 5):
        found = conditional(exact, x, trace.site(step), 1)
        assert (found.step, found.value, found.continuous) == (step, trace.values[1, step], True)
        assert found.log_prob == pytest.approx(trace.log_probs[1, step], abs=1e-9)
        np.testing.assert_allclose(found.pmf, trace.pmfs[1, step], atol=1e-6)
        assert found.entropy == pytest.approx(trace.entropies[1, step] / math.log(2), abs=1e-4)
        density = found.mixture.densities(np.array([found.value])).sum()
        assert math.log(density) == pytest.approx(found.log_prob, abs=1e-9)
        v = np.linspace(found.mean - 12 * found.sd, found.mean + 12 * found.sd, 20_001)
        p = found.mixture.densities(v).sum(0) * (v[1] - v[0])
        assert p.sum() == pytest.approx(1, abs=1e-6)
        assert (v * p).sum() == pytest.approx(found.mean, abs=1e-6)
        assert math.sqrt(((v - found.mean) ** 2 * p).sum()) == pytest.approx(found.sd, rel=1e-5)


def test_hidden_sites_have_no_value_and_do_not_disturb_the_others(drawn):
    model, trace = drawn
    x = trace.image(0, 17)
    found = conditional(model, x, trace.site(17), 1)
    assert found.value is found.rank is found.place is None
    assert math.isnan(found.log_prob)
    np.testing.assert_allclose(found.pmf, trace.pmfs[0, 17], atol=1e-5)
    maps = read(model, x, 1).maps()
    assert np.isnan(maps.surprise).sum() == SPEC.sites - 17
    assert np.isfinite(maps.entropy).all()
    field = sees(model, trace.site(17), inputs=1, x=x)
    assert np.isfinite(field).all()
    assert (field.reshape(-1)[trace.sites[17:]] == 0).all()


def test_maps_are_those_of_the_trace(drawn):
    model, trace = drawn
    maps = read(copy.deepcopy(model).double(), trace.image(0), 1).maps()
    np.testing.assert_allclose(maps.surprise, trace.map("surprise", 0), atol=1e-4)
    np.testing.assert_allclose(maps.entropy, trace.map("entropy", 0), atol=1e-4)
    assert ((maps.argmax >= 0) & (maps.argmax <= 1)).all()


def test_figures_worked_out_by_hand():
    pmf = np.zeros(256)
    pmf[[0, 128, 255]] = 0.5, 0.25, 0.25
    found = Conditional(pmf, -0.2, 0, (0, 0, 0), True, math.log(4))
    assert (found.place, found.rank) == (0, 1)
    assert found.surprise == pytest.approx(-2)
    assert found.entropy == pytest.approx(1.5)
    assert found.mean == pytest.approx(0.5 * 0.5 / 256 + 0.25 * 128.5 / 256 + 0.25 * 255.5 / 256)
    assert found.top(1) == [(0.5 / 256, 0.5)]
    mixture = Mixture(np.array([0.25, 0.75]), np.array([0.2, 0.6]), np.array([0.1, 0.1]))
    better = Conditional(pmf, 1.3, 0, (0, 0, 0), True, 0.0, mixture)
    assert better.place == 255
    assert better.mean == pytest.approx(0.5)
    assert better.sd == pytest.approx(math.sqrt(0.01 + 0.25 * 0.09 + 0.75 * 0.01))
