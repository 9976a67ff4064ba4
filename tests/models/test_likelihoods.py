"""Output families against plain float64 formulas, also where the logits are enormous."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arstudio.models.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogisticMixture,
    MixtureOfGaussians,
    make_likelihood,
)

logits = st.floats(-1e4, 1e4, allow_nan=False)


def log_sigmoid(a):
    """log σ(a) in float64, without overflow on either side."""
    return -math.log1p(math.exp(-a)) if a > 0 else a - math.log1p(math.exp(a))


@given(logits)
def test_bernoulli_is_a_logistic_function_of_its_logit(a):
    family = Bernoulli()
    params = torch.tensor([[a]], dtype=torch.float64)
    zero, one = family.log_pmf(params)[0].tolist()
    assert one == pytest.approx(log_sigmoid(a), rel=1e-12, abs=1e-300)
    assert zero == pytest.approx(log_sigmoid(-a), rel=1e-12, abs=1e-300)
    assert math.exp(zero) + math.exp(one) == pytest.approx(1)


@given(st.lists(logits, min_size=3, max_size=9))
def test_categorical_is_a_softmax(values):
    family = Categorical(len(values))
    found = family.log_pmf(torch.tensor([values], dtype=torch.float64))[0].numpy()
    shifted = np.array(values) - max(values)
    expected = shifted - math.log(np.exp(shifted).sum())
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", [
    Bernoulli(), Categorical(2), Categorical(256), DiscretizedLogisticMixture(2, 3), DiscretizedLogisticMixture(256, 3),
    MixtureOfGaussians(3, 2), MixtureOfGaussians(256, 3),
], ids=["b", "c2", "c256", "l2", "l256", "g3", "g256"])
def test_log_prob_picks_from_log_pmf_and_is_never_nan(family, dtype):
    extremes = torch.tensor([-1e4, -88.0, -1.0, 0.0, 1.0, 88.0, 1e4], dtype=dtype)
    generator = torch.Generator().manual_seed(0)
    pick = torch.randint(0, 7, (5, family.num_params, 3, 2, 4), generator=generator)
    params = extremes[pick].requires_grad_()
    x = torch.randint(0, family.levels, (5, 3, 2, 4), generator=generator)
    log_pmf, log_prob = family.log_pmf(params), family.log_prob(params, x)
    assert log_pmf.shape == (5, family.levels, 3, 2, 4)
    assert log_prob.shape == x.shape
    torch.testing.assert_close(log_prob, log_pmf.gather(1, x[:, None])[:, 0], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(log_pmf.exp().sum(1), torch.ones(5, 3, 2, 4, dtype=dtype))
    log_prob.sum().backward()
    for result in (log_pmf, log_prob, params.grad):
        assert torch.isfinite(result).all()
    assert (log_prob <= 0).all()
    assert log_prob.min() <= -1e3, "the extremes were not reached"


def test_bernoulli_keeps_precision_where_the_probability_rounds_to_one():
    params = torch.tensor([[40.0]], dtype=torch.float64)
    assert 1 - torch.sigmoid(params).item() == 0
    assert Bernoulli().log_prob(params, torch.tensor([0])).item() == pytest.approx(-40)
    assert Bernoulli().log_prob(params, torch.tensor([1])).item() == pytest.approx(-math.exp(-40), rel=1e-12)


def test_a_decoders_and_a_whole_images_parameters_are_read_alike():
    family, params = Categorical(4), torch.randn(2, 4, 1, 3, 3)
    whole = family.log_pmf(params)
    assert torch.equal(family.log_pmf(params[:, :, 0, 1, 2]), whole[:, :, 0, 1, 2])


def test_two_levels_need_one_parameter_and_more_need_one_each():
    assert isinstance(make_likelihood("auto", 2), Bernoulli)
    assert make_likelihood("auto", 2).num_params == 1
    for levels in (3, 17, 256):
        assert (make_likelihood("auto", levels).levels, make_likelihood("auto", levels).num_params) == (levels, levels)
    assert isinstance(make_likelihood("auto", 0), MixtureOfGaussians)


@pytest.mark.parametrize(("name", "levels", "components", "sentence"), [
    ("poisson", 8, 5, "There is no likelihood 'poisson'; choose one of auto, bernoulli"),
    ("bernoulli", 8, 5, "'bernoulli' is for 2 levels, not 8"),
    ("logistic", 0, 5, "'logistic' is for integer levels, but the data are continuous"),
    ("categorical", 0, 5, "'categorical' is for integer levels, but the data are continuous"),
    ("gaussian", 8, 0, "components must be at least 1, not 0"),
])
def test_a_family_that_does_not_fit_is_refused(name, levels, components, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_likelihood(name, levels, components)


def logistic_cdf(z):
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


def normal_cdf(z):
    return 0.5 * math.erfc(-z / math.sqrt(2))


mixtures = st.sampled_from([(DiscretizedLogisticMixture, logistic_cdf), (MixtureOfGaussians, normal_cdf)])
moderate = st.floats(-2, 2)


@given(mixtures, st.sampled_from([2, 3, 8, 256]), st.lists(st.tuples(moderate, moderate, moderate), min_size=1, max_size=4))
def test_a_mixture_is_the_integral_of_its_density_over_each_bin(kind, levels, components):
    """Against the definition: differences of the CDF at the ends of the bins, weights by softmax, plain float64."""
    family, cdf = kind[0](levels, len(components)), kind[1]
    logits, means, log_scales = zip(*components, strict=True)
    weights = np.exp(logits) / np.exp(logits).sum()
    edges = [-math.inf, *((k - 0.5) * 2 / (levels - 1) - 1 for k in range(1, levels)), math.inf]
    expected = [
        sum(w * (cdf((b - m) / math.exp(s)) - cdf((a - m) / math.exp(s)))
            for w, m, s in zip(weights, means, log_scales, strict=True))
        for a, b in itertools.pairwise(edges)
    ]
    params = torch.tensor([*logits, *means, *log_scales], dtype=torch.float64)[None]
    found = family.log_pmf(params)[0].exp().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    single = family.log_pmf(params.float())[0].exp().numpy()
    np.testing.assert_allclose(single, expected, rtol=2e-3, atol=1e-6)


def test_gaussian_density_of_reals_integrates_to_one_and_matches_the_formula():
    family = MixtureOfGaussians(0, 2)
    params = torch.tensor([[0.3, -0.4, -0.5, 0.6, math.log(0.2), math.log(0.05)]], dtype=torch.float64)
    v = torch.linspace(-2, 3, 200_001, dtype=torch.float64)
    density = family.log_density(params.expand(len(v), -1), v).exp()
    assert torch.trapezoid(density, v).item() == pytest.approx(1, abs=1e-9)
    weights = np.exp([0.3, -0.4]) / np.exp([0.3, -0.4]).sum()
    at = 0.4
    parts = [w / (s / 2) / math.sqrt(2 * math.pi) * math.exp(-0.5 * ((at - (m + 1) / 2) / (s / 2)) ** 2)
             for w, m, s in zip(weights, (-0.5, 0.6), (0.2, 0.05), strict=True)]
    found = family.log_prob(params, torch.tensor([at], dtype=torch.float64)).item()
    assert found == pytest.approx(math.log(sum(parts)), abs=1e-12)
    assert family.log_pmf(params).exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert family.bins == family.log_pmf(params).shape[1] == 256
