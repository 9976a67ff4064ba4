"""RNADE against the formulas of the paper written out, its two objectives, and a start from which it learns."""

import math

import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create

REAL, LEVELS = ImageSpec(1, 3, 4, 0), ImageSpec(1, 3, 4, 5)


def images(spec, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if spec.levels:
        return torch.randint(0, spec.levels, (count, *spec.shape), generator=generator)
    return torch.rand((count, *spec.shape), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("order", ["raster", "spiral"])
def test_the_density_is_that_of_the_paper_site_by_site(order, random_model):
    model = random_model("rnade", REAL, hidden=7, components=3, order=order, dtype=torch.float64)
    v = images(REAL, 1)
    a, total = model.c.clone(), 0.0
    for t, place in enumerate(model.site_index.tolist()):
        x = float(2 * v.flatten()[place] - 1)
        h = torch.clamp(model.rho[t] * a, min=0)
        z_weight, mean, log_sd = (model.V[t] @ h + model.b[t]).split(3)
        normal = torch.distributions.Normal(mean, log_sd.exp())
        mixed = (z_weight.softmax(0) * normal.log_prob(torch.tensor(x, dtype=torch.float64)).exp()).sum()
        total += float(mixed.log().detach()) + math.log(2)      # of v in [0, 1], not of x in [-1, 1]
        a = a + x * model.W[t]
    assert model.log_prob(v).item() == pytest.approx(total, abs=1e-10)


def test_the_rescaling_acts_before_the_rectifier(random_model):
    model, v = random_model("rnade", REAL, hidden=7, components=3, dtype=torch.float64), images(REAL, 2)
    with torch.no_grad():
        model.rho.zero_()
    params = model(v).flatten(2)[:, :, model.site_index]
    assert torch.equal(params, model.b.T.expand_as(params)), "with ρ = 0 nothing of the past is left"


def test_a_fresh_model_is_nearly_uniform():
    for spec in (REAL, LEVELS):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = create("rnade", spec)
        nats = -model.log_prob(images(spec, 200).to(model.dtype if not spec.levels else torch.long)).mean().item()
        assert nats == pytest.approx(spec.sites * math.log(spec.levels or 1), abs=0.25 * spec.sites)


def test_the_dequantised_objective_bounds_the_discretised_one(random_model):
    model = random_model("rnade", LEVELS, hidden=7, components=3, gain=0.7, objective="dequantised", dtype=torch.float64)
    x, times = images(LEVELS, 4), 8000
    inner = x.clamp(1, LEVELS.levels - 2)    # the outermost bins are open, and hold more than u can reach
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        bounds = model.loss(x.repeat(times, 1, 1, 1)).view(times, 4)
        error = bounds.std(0) / math.sqrt(times)
        assert bool((bounds.mean(0) > -model.log_prob(x) - 4 * error).all())
        # The mean of exp(−loss) over u is the mass of the bins themselves.
        mass = (-model.loss(inner.repeat(times, 1, 1, 1))).view(times, 4).logsumexp(0) - math.log(times)
        torch.testing.assert_close(mass, model.log_prob(inner), atol=0.15, rtol=0)


def test_evaluation_is_of_the_bins_whatever_the_objective(random_model):
    x = images(LEVELS, 4)
    both = [random_model("rnade", LEVELS, hidden=7, components=3, objective=o) for o in ("discretised", "dequantised")]
    assert torch.equal(both[0].log_prob(x), both[1].log_prob(x))
    assert torch.equal(both[0].loss(x), -both[0].log_prob(x))
    assert not torch.equal(both[1].loss(x), -both[1].log_prob(x))


@pytest.mark.parametrize("objective", ["discretised", "dequantised"])
def test_four_images_are_learned_by_heart(objective):
    spec = ImageSpec(1, 4, 4, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = create("rnade", spec, hidden=60, objective=objective), images(spec, 4)
        optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(300):
            loss = model.loss(x).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    least = math.log(4)    # which of the four it is, nothing else
    assert -model.log_prob(x).mean().item() < least + (1.0 if objective == "discretised" else 6.0)
