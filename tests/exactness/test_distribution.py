"""Law 2: over all images of a tiny kind the probabilities sum to one."""

import itertools

import pytest
import torch
from cases import SMALL, VARIANTS, accepts

from arstudio.image import ImageSpec
from arstudio.models import MODELS
from arstudio.models.orders import ORDERS

TINY = [
    ImageSpec(1, 2, 2, 2), ImageSpec(1, 2, 3, 3), ImageSpec(1, 3, 3, 2), ImageSpec(1, 1, 5, 3),
    ImageSpec(1, 4, 1, 3), ImageSpec(3, 2, 2, 2), ImageSpec(3, 1, 2, 3), ImageSpec(1, 1, 1, 17),
]


def all_images(spec):
    """(levels ** D, C, H, W): every image there is."""
    values = torch.cartesian_prod(*[torch.arange(spec.levels)] * spec.sites)
    return values.view(-1, *spec.shape)


def total(model, y=None):
    x = all_images(model.spec)
    assert len(x) == len(x.flatten(1).unique(dim=0)) == model.spec.levels**model.spec.sites
    with torch.inference_mode():
        p = torch.cat([model.log_prob(part, y) for part in x.split(4096)]).double().exp()
    assert p.max() > 3 * p.min(), "weights so small that any model would sum to one"
    return float(p.sum())


@pytest.mark.parametrize(("name", "spec"), [(n, s) for n in sorted(MODELS) for s in TINY if accepts(n, s, SMALL[n])], ids=str)
def test_probabilities_of_all_images_sum_to_one(name, spec, random_model):
    model = random_model(name, spec, gain=2.5, seed=3, **SMALL[name])
    assert total(model) == pytest.approx(1, abs=1e-6)
    assert total(model.double()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("spec", [TINY[1], TINY[6]], ids=str)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_probabilities_sum_to_one_whatever_the_class(name, spec, random_model):
    model = random_model(name, spec, 2, gain=2.5, seed=3, **SMALL[name])
    for y in (None, 0, 1):
        assert total(model, y) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("kind", ORDERS[1:])
@pytest.mark.parametrize("name", [n for n in sorted(MODELS) if accepts(n, TINY[1], SMALL[n] | {"order": "column"})])
def test_probabilities_sum_to_one_in_every_order(name, kind, random_model):
    model = random_model(name, TINY[1], gain=2.5, order=kind, **SMALL[name])
    assert model.order.kind == kind
    assert total(model) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_each_class_has_a_distribution_of_its_own(name, random_model):
    spec = ImageSpec(1, 2, 2, 3)
    model, x = random_model(name, spec, 2, **SMALL[name]), all_images(spec)
    ways = [model.log_prob(x, y) for y in (None, 0, 1)]
    for a, b in itertools.combinations(ways, 2):
        assert float((a - b).detach().abs().max()) > 0.05


REALS = [
    (n, order) for n in sorted(MODELS) for order in ("raster", "random")
    if accepts(n, ImageSpec(1, 1, 2, 0), SMALL[n] | {"order": order})
]


@pytest.mark.parametrize(("name", "order"), REALS)
def test_the_density_of_two_real_pixels_integrates_to_one(name, order, random_model):
    config, spec = SMALL[name] | {"order": order}, ImageSpec(1, 1, 2, 0)
    model = random_model(name, spec, gain=0.7, seed=3, dtype=torch.float64, **config)
    t = torch.linspace(-5.5, 5.5, 101, dtype=torch.float64)    # v = ½ + sinh(t) / 5: narrow steps where the mass is
    v, step = 0.5 + t.sinh() / 5, t.cosh() / 5 * (t[1] - t[0])
    with torch.inference_mode():
        images = torch.cartesian_prod(v, v).view(-1, *spec.shape)
        density = torch.cat([model.log_prob(part).exp() for part in images.split(1024)]).view(len(t), len(t))
    assert float(step @ density @ step) == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_probabilities_of_all_3x3_images_of_3_levels_sum_to_one(name, random_model):
    model = random_model(name, ImageSpec(1, 3, 3, 3), gain=2.5, **SMALL[name])
    assert total(model) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("name", "config"), VARIANTS, ids=str)
def test_variants_sum_to_one_too(name, config, random_model):
    for spec in (TINY[1], TINY[6]):
        if accepts(name, spec, SMALL[name] | config):
            model = random_model(name, spec, gain=2.5, dtype=torch.float64, **SMALL[name] | config)
            assert total(model) == pytest.approx(1, abs=1e-9)
