"""Output families against plain float64 formulas, also where the logits are enormous."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arstudio.models.likelihoods import Bernoulli, Categorical, default_likelihood

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
@pytest.mark.parametrize("family", [Bernoulli(), Categorical(2), Categorical(256)], ids=["b", "c2", "c256"])
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
    assert isinstance(default_likelihood(2), Bernoulli)
    assert default_likelihood(2).num_params == 1
    for levels in (3, 17, 256):
        assert (default_likelihood(levels).levels, default_likelihood(levels).num_params) == (levels, levels)
    with pytest.raises(ValueError, match="integer levels, but the data are continuous"):
        default_likelihood(0)
