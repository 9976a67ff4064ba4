"""The coupling of the colours of one pixel, held to the joint mixture it stands for."""

import math

import pytest
import torch

from arstudio.models.coupling import couple, couple_at, initial_raw, raw_size
from arstudio.models.likelihoods import make_likelihood

FAMILIES = [("logistic", 3), ("logistic", 4), ("gaussian", 4), ("categorical", 3), ("bernoulli", 2), ("logistic", 2)]


def outputs(likelihood, pixels=1, channels=3, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(1, raw_size(likelihood, channels), pixels, generator=generator, dtype=torch.float64)
    return scale * raw


def scaled(x, levels):
    return x.double() * 2 / (levels - 1) - 1


def triples(levels):
    """(1, 3, levels³): every pixel there is."""
    return torch.cartesian_prod(*[torch.arange(levels)] * 3).T[None]


def joint(raw, x, levels, family, k):
    """p(r, g, b) of equation 2 and section 2.2 as they are printed, in ordinary probabilities, for raw (R,)."""
    cdf = torch.sigmoid if family == "logistic" else torch.special.ndtr
    log_weights, means, log_scales, coefficients = raw.split([k, 3 * k, 3 * k, 3 * k])
    finest = max(math.exp(-7), 1 / (levels - 1) / 12)
    means, scales = means.view(3, k), log_scales.view(3, k).exp().clamp(min=finest)
    alpha, beta, gamma = torch.tanh(coefficients.view(3, k))
    values, total = scaled(x, levels), []
    for (xr, xg, xb), (r, g, b) in zip(x.tolist(), values.tolist(), strict=True):
        p = torch.softmax(log_weights, 0)
        centres = (means[0], means[1] + alpha * r, means[2] + beta * r + gamma * g)
        for level, value, mean, s in zip((xr, xg, xb), (r, g, b), centres, scales, strict=True):
            high = torch.ones(k).double() if level == levels - 1 else cdf((value + 1 / (levels - 1) - mean) / s)
            low = torch.zeros(k).double() if level == 0 else cdf((value - 1 / (levels - 1) - mean) / s)
            p = p * (high - low)
        total.append(p.sum())
    return torch.stack(total)


@pytest.mark.parametrize(("family", "levels"), FAMILIES)
def test_probabilities_of_all_colours_sum_to_one(family, levels):
    likelihood = make_likelihood(family, levels, 3)
    x = triples(levels)
    for seed in range(5):
        raw = outputs(likelihood, scale=1.5, seed=seed).expand(-1, -1, levels**3)
        log_p = likelihood.log_prob(couple(raw, scaled(x, levels), likelihood), x).sum(1)
        assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-12)
        assert log_p.max() - log_p.min() > 1


@pytest.mark.parametrize(("family", "levels"), [f for f in FAMILIES if f[0] in ("logistic", "gaussian")])
def test_the_chain_of_conditionals_is_the_joint_mixture_of_the_paper(family, levels):
    likelihood = make_likelihood(family, levels, 4)
    x = triples(levels)
    for seed in range(3):
        raw = outputs(likelihood, seed=seed)
        params = couple(raw.expand(-1, -1, levels**3), scaled(x, levels), likelihood)
        expected = joint(raw[0, :, 0], x[0].T, levels, family, 4)
        torch.testing.assert_close(likelihood.log_prob(params, x).sum(1)[0].exp(), expected, rtol=1e-9, atol=1e-12)


def test_the_density_of_real_colours_is_that_of_the_joint_mixture():
    likelihood, k = make_likelihood("gaussian", 0, 3), 3
    raw, v = outputs(likelihood, 50, seed=2), torch.rand(1, 3, 50, dtype=torch.float64) * 1.4 - 0.2
    e = 2 * v[0] - 1
    r, g = e[:2]
    weights, means, log_scales, coefficients = raw[0].split([k, 3 * k, 3 * k, 3 * k])
    means, scales = means.view(3, k, -1), log_scales.view(3, k, -1).exp()
    alpha, beta, gamma = torch.tanh(coefficients.view(3, k, -1))
    p = torch.softmax(weights, 0)
    for value, mean, s in zip(e, (means[0], means[1] + alpha * r, means[2] + beta * r + gamma * g), scales, strict=True):
        p = p * 2 * torch.exp(-0.5 * ((value - mean) / s) ** 2) / (s * math.sqrt(2 * math.pi))
    params = couple(raw, e[None], likelihood)
    torch.testing.assert_close(likelihood.log_prob(params, v).sum(1)[0].exp(), p.sum(0))


@pytest.mark.parametrize(("family", "levels"), [*FAMILIES, ("logistic", 256), ("gaussian", 0)])
def test_later_colours_depend_on_earlier_ones_and_on_no_others(family, levels):
    likelihood = make_likelihood(family, levels, 3)
    x = torch.randint(0, levels or 9, (1, 3, 6), generator=torch.Generator().manual_seed(1))
    raw = outputs(likelihood, 6)

    def params(e):
        return couple(raw, e, likelihood)[0].flatten(0, 0).permute(2, 1, 0)                     # (6, C, P)

    jacobian = torch.autograd.functional.jacobian(params, scaled(x, levels or 9)).abs().sum(2)[:, :, 0]    # (6, C, C, 6)
    here = torch.stack([jacobian[i, :, :, i] for i in range(6)])
    assert (here[:, 1, 0] > 0).all()
    assert (here[:, 2, :2] > 0).all()
    assert (here.triu() == 0).all()
    assert float(jacobian.sum()) == pytest.approx(float(here.sum()))


@pytest.mark.parametrize("levels", [3, 256])
def test_the_weights_of_a_mixture_follow_the_colour_that_was_seen(levels):
    """Two components, dark and bright, at equal odds: after a dark red the green is dark."""
    likelihood = make_likelihood("logistic", levels, 2)
    raw = torch.zeros(1, 20)
    raw[0, 2:8] = torch.tensor([-1.0, 1.0]).repeat(3)
    raw[0, 8:14] = -3.0
    for level, component in ((0, 0), (levels - 1, 1)):
        params = couple(raw, torch.full((1, 3), level * 2 / (levels - 1) - 1), likelihood)
        assert params[0, :2, 0].softmax(0).tolist() == [0.5, 0.5]
        assert params[0, :2, 1].softmax(0)[component] > 0.999
        assert params[0, :2, 2].softmax(0)[component] > 0.999


@pytest.mark.parametrize(("family", "levels"), [*FAMILIES, ("gaussian", 0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_colour_at_a_time_reads_no_later_colour_and_says_the_same(family, levels, channels):
    likelihood = make_likelihood(family, levels, 3)
    raw, e = outputs(likelihood, 1, channels)[..., 0], torch.rand(1, channels, dtype=torch.float64) * 2 - 1
    whole = couple(raw, e, likelihood)
    assert whole.shape == (1, likelihood.num_params, channels)
    for channel in range(channels):
        seen = e.clone()
        seen[:, channel:] = math.nan
        torch.testing.assert_close(couple_at(raw, seen, likelihood, channel), whole[:, :, channel], rtol=0, atol=0)


def test_a_pixel_takes_ten_numbers_a_component_as_published_and_three_if_grey():
    likelihood = make_likelihood("logistic", 256, 10)
    assert raw_size(likelihood, 3) == 100
    assert raw_size(likelihood, 1) == 30


@pytest.mark.parametrize(("family", "levels"), [("logistic", 256), ("logistic", 17), ("gaussian", 17), ("categorical", 17)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_initial_bias_is_nearly_flat_over_the_levels(family, levels, channels):
    likelihood = make_likelihood(family, levels, 5)
    x = torch.arange(levels).expand(1, channels, levels)
    raw = initial_raw(likelihood, channels)[None, :, None].expand(-1, -1, levels)
    nats = -likelihood.log_prob(couple(raw, scaled(x, levels).float(), likelihood), x)[0, 0].mean()
    assert math.log(levels) - 1e-4 <= float(nats) < math.log(levels) + 0.3


@pytest.mark.parametrize("family", ["logistic", "gaussian"])
def test_outputs_however_wild_give_finite_parameters_and_gradients(family):
    likelihood = make_likelihood(family, 256, 3)
    raw = (outputs(likelihood, 40).float() * 1e3).requires_grad_()
    x = torch.randint(0, 256, (1, 3, 40), generator=torch.Generator().manual_seed(0))
    e = scaled(x, 256).float().requires_grad_()
    log_p = likelihood.log_prob(couple(raw, e, likelihood), x)
    log_p.sum().backward()
    assert log_p.isfinite().all()
    assert raw.grad.isfinite().all()
    assert e.grad.isfinite().all()
