"""Order-agnostic network: the bound is the mean over orders, hidden pixels stay hidden, figures say what they are."""

import itertools

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create, order_agnostic
from arstudio.models.orders import Order
from arstudio.training.evaluation import evaluate

TINY = {"channels": 5, "dilations": (1,), "head": 6}


def test_the_bound_is_the_mean_over_all_orders(random_model):
    """All 24 orders of 2×2 pixels, against the mean of many random steps, within four standard errors."""
    spec = ImageSpec(3, 2, 2, 3)
    model = random_model("order_agnostic", spec, dtype=torch.float64, **TINY)
    x = torch.randint(0, 3, (1, *spec.shape), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        orders = [Order.custom(pixels, 2, 2) for pixels in itertools.permutations(range(4))]
        exact = torch.stack([model.reordered(order).log_prob(x) for order in orders])
        assert float(exact.std()) > 0.05    # the order matters
        draws = model.bound(x.expand(3000, -1, -1, -1), samples=4, generator=torch.Generator().manual_seed(0))
        ensemble = model.ensemble_log_prob(x, orders=orders)
    error = float(draws.std()) / 3000**0.5
    assert error < 0.1
    assert abs(float(draws.mean() - exact.mean())) < 4 * error
    assert float(exact.mean()) <= float(ensemble)    # Jensen


def test_with_one_pixel_the_bound_is_exact(random_model):
    model = random_model("order_agnostic", ImageSpec(3, 1, 1, 4), **TINY)
    x = torch.randint(0, 4, (5, 3, 1, 1), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model.bound(x), model.log_prob(x))
    torch.testing.assert_close(model.loss(x), -model.log_prob(x))


def test_a_step_of_forward_is_one_guess_with_its_predecessors_visible(random_model):
    spec = ImageSpec(3, 3, 4, 4)
    model = random_model("order_agnostic", spec, 2, dtype=torch.float64, **TINY).reordered(Order("spiral", 3, 4))
    x = torch.randint(0, 4, (2, *spec.shape), generator=torch.Generator().manual_seed(1))
    params, rank = model(x, 1), torch.from_numpy(model.order.rank)
    for row, column in itertools.product(range(3), range(4)):
        visible = (rank < rank[row, column]).expand(2, 1, -1, -1)
        torch.testing.assert_close(model.guess(x, visible, 1)[..., row, column], params[..., row, column])


def test_hidden_pixels_do_not_matter_but_that_they_are_hidden_does(random_model):
    spec = ImageSpec(1, 3, 4, 4)
    model = random_model("order_agnostic", spec, dtype=torch.float64, **TINY)
    generator = torch.Generator().manual_seed(1)
    x, other = (torch.randint(0, 4, (1, *spec.shape), generator=generator) for _ in range(2))
    visible = torch.rand(1, 1, 3, 4, generator=generator) < 0.5
    assert torch.equal(model.guess(x, visible), model.guess(torch.where(visible, x, other), visible))
    zeros = torch.zeros_like(x)
    assert not torch.allclose(model.guess(zeros, visible), model.guess(zeros, torch.ones_like(visible)))


@pytest.mark.parametrize("limit", [1, 40, 130])
def test_passes_may_be_cut_into_parts_of_any_size(limit, random_model, monkeypatch):
    spec = ImageSpec(1, 3, 4, 4)
    model = random_model("order_agnostic", spec, 2, dtype=torch.float64, **TINY)
    x, y = torch.randint(0, 4, (3, *spec.shape), generator=torch.Generator().manual_seed(1)), torch.tensor([0, -1, 1])
    whole = model(x, y)
    monkeypatch.setattr(order_agnostic, "PIXELS_AT_ONCE", limit)
    torch.testing.assert_close(model(x, y), whole, rtol=1e-12, atol=1e-12)


def test_a_pixel_takes_one_pass_however_many_colours_it_has(random_model):
    model = random_model("order_agnostic", ImageSpec(3, 2, 3, 4), **TINY)
    decoder, passes = model.decoder(2), []
    decoder.model.first.register_forward_hook(lambda *_: passes.append(decoder.position))
    while decoder.position < 18:
        decoder.params()
        decoder.push(torch.zeros(2, dtype=torch.long))
    assert passes == list(range(0, 18, 3))


def test_figures_are_exact_unless_an_estimate_is_asked_for_and_say_so(random_model):
    spec = ImageSpec(1, 3, 4, 4)
    x = np.random.default_rng(0).integers(0, 4, (50, *spec.shape)).astype(np.uint8)
    model = random_model("order_agnostic", spec, **TINY)
    exact, first, second = evaluate(model, x), evaluate(model, x, exact=False), evaluate(model, x, exact=False)
    assert exact.exact
    assert exact.nats == pytest.approx(-float(model.log_prob(torch.from_numpy(x)).detach().mean()))
    assert not first.exact
    assert first == second    # the same random numbers every time
    assert first.nats != exact.nats
    assert first.nats == pytest.approx(exact.nats, rel=0.2)
    quick = random_model("lmconv", spec, channels=4, dilations=(1,), head=4)
    assert evaluate(quick, x, exact=False) == evaluate(quick, x)
    assert evaluate(quick, x, exact=False).exact


def test_two_losses_differ_and_the_seed_decides():
    torch.manual_seed(0)
    model = create("order_agnostic", ImageSpec(1, 4, 4, 3), **TINY)
    x = torch.randint(0, 3, (4, 1, 4, 4))
    torch.manual_seed(7)
    first, second = model.loss(x), model.loss(x)
    torch.manual_seed(7)
    assert torch.equal(model.loss(x), first)
    assert not torch.equal(first, second)
