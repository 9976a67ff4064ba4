"""Particles against enumeration: on tiny binary images completions come as often as the exact posterior says, and log Ẑ
is log p(observed). Each population gives one draw, so the draws are independent."""

import itertools
import math

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.sampling import SampleSettings
from arstudio.sampling.completion import (
    ParticleSettings,
    complete,
    completion_sampler,
    exact_model,
    hidden_log_prob,
    preset_mask,
)
from arstudio.sampling.completion.weights import normalised, systematic

PRESETS = ("top", "bottom", "left", "right", "centre", "blob", "random:0.5")
NADE = ("nade", {"hidden": 10})
GATED = ("gated_pixelcnn", {"channels": 6, "dilations": (1, 1), "head": 6})
LMCONV = ("lmconv", {"channels": 6, "dilations": (1, 1), "head": 6, "first_kernel": 3})


def chi_square_999(freedom):
    """99.9th percentile of χ², Wilson & Hilferty 1931."""
    a = 2 / (9 * freedom)
    return freedom * (1 - a + 3.0902 * math.sqrt(a)) ** 3


def posterior(model, x, known, log_likelihood=None):
    """Every image that agrees with x at `known`, p(hidden | observed) of each, and log p(observed), by enumeration."""
    hidden = np.flatnonzero(~np.broadcast_to(known, model.spec.shape).reshape(-1))
    ways = np.array(list(itertools.product(range(model.spec.levels), repeat=len(hidden))))
    images = np.repeat(x.reshape(1, -1), len(ways), 0)
    images[:, hidden] = ways
    with torch.inference_mode():
        joint = model.log_prob(torch.from_numpy(images).view(-1, *model.spec.shape)).double().numpy()
    if log_likelihood is not None:
        joint = joint + log_likelihood(images.reshape(-1, *model.spec.shape))
    log_z = np.logaddexp.reduce(joint)
    return images, np.exp(joint - log_z), log_z


def distance(drawn, images, p):
    """χ² of drawn images (N, D) against probabilities p, values expected less than 5 times counted together; and the
    degrees of freedom."""
    powers = 2 ** np.arange(images.shape[1])
    number = {int(n): i for i, n in enumerate(images @ powers)}
    seen = np.bincount([number[int(n)] for n in drawn @ powers], minlength=len(p)).astype(float)
    rare = p * len(drawn) < 5
    seen, expected = ([*a[~rare], *([a[rare].sum()] if rare.any() else [])] for a in (seen, p * len(drawn)))
    seen, expected = np.array(seen), np.array(expected)
    return float(((seen - expected) ** 2 / np.maximum(expected, 1e-9)).sum()), max(1, len(seen) - 1)


def one_draw_each(work, seed=5):
    """(repeats, D) one image of every population by its weights, in (C, H, W) reading order."""
    repeats, particles = work.shape
    u = np.random.default_rng(seed).random(repeats)
    index = systematic(normalised(work.log_w.reshape(work.shape)), u, 1)[:, 0] + particles * np.arange(repeats)
    flat = np.empty((repeats, work.trace.spec.sites), dtype=np.int64)
    flat[:, work.trace.sites] = work.values[:, index].T
    return flat


def observed(size):
    return np.random.default_rng(size).integers(0, 2, (1, size, size))


@pytest.mark.parametrize("moves", [0, 1])
@pytest.mark.parametrize("mask", PRESETS)
@pytest.mark.parametrize("size", [3, 4])
def test_particles_come_as_often_as_the_posterior_says_and_log_z_is_the_evidence(size, mask, moves, random_model):
    model = random_model(NADE[0], ImageSpec(1, size, size, 2), seed=3, gain=2.5, **NADE[1])
    x, known = observed(size), ~preset_mask(mask, size, size, seed=1)
    images, p, log_z = posterior(model, x, known)
    particles = ParticleSettings(particles=64, repeats=400 if moves else 1500, moves=moves)
    work = completion_sampler(model, x, known, 4, SampleSettings(seed=2), method="particles", particles=particles)
    work.run()
    drawn = one_draw_each(work)
    assert (drawn.reshape(-1, size, size)[:, known] == x[0, known]).all()
    value, freedom = distance(drawn, images, p)
    assert value < chi_square_999(freedom), f"{value} with {freedom} degrees of freedom"
    z = np.exp(work.log_evidence() - log_z)
    error = z.std(ddof=1) / math.sqrt(len(z))
    assert abs(z.mean() - 1) < 4 * error + 1e-6, f"mean {z.mean()} ± {error}"


@pytest.mark.parametrize("mask", PRESETS)
@pytest.mark.parametrize("size", [3, 4])
def test_an_exact_completion_comes_as_often_as_its_own_posterior_says(size, mask, random_model):
    model = random_model(LMCONV[0], ImageSpec(1, size, size, 2), seed=1, gain=2.5, **LMCONV[1])
    x, known = observed(size), ~preset_mask(mask, size, size, seed=1)
    first = exact_model(model, known)
    images, p, _ = posterior(first, x, known)
    result = complete(model, x, known, 1500, SampleSettings(seed=4), method="exact")
    value, freedom = distance(result.images.reshape(1500, -1), images, p)
    assert value < chi_square_999(freedom)
    np.testing.assert_allclose(
        hidden_log_prob(first, result.images[:50], known), result.log_prob[:50], atol=1e-4
    )
    shares = dict(zip(map(bytes, images.astype(np.uint8)), p, strict=True))
    expected = [math.log(shares[bytes(image.astype(np.uint8))]) for image in result.images[:50].reshape(50, -1)]
    np.testing.assert_allclose(result.log_prob[:50], expected, atol=1e-4)
    assert result.trust.level == "exact"


@pytest.mark.parametrize("mask", PRESETS)
def test_clamping_misses_the_posterior_exactly_where_it_ignores_known_pixels(mask, random_model):
    model = random_model(NADE[0], ImageSpec(1, 4, 4, 2), seed=3, gain=2.5, **NADE[1])
    x, known = observed(4), ~preset_mask(mask, 4, 4, seed=1)
    images, p, _ = posterior(model, x, known)
    result = complete(model, x, known, 1500, SampleSettings(seed=4))
    value, freedom = distance(result.images.reshape(1500, -1), images, p)
    if result.ignored:
        assert value > 1.5 * chi_square_999(freedom)
        assert result.trust.level == "poor"
    else:
        assert value < chi_square_999(freedom)
        assert result.trust.level == "exact"
    assert (result.ignored == 0) == (mask == "bottom")
