"""Drawing reals: bins first, then the mixture inside them; hidden sites are NaN and never confused with values."""

import io
import math

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec, SpecMismatch, is_hidden
from arstudio.sampling import Sampler, SampleSettings, SettingsError, complete, methods, sample
from arstudio.sampling.export import csv_bytes, gif_bytes, sheet

SPEC = ImageSpec(1, 3, 4, 0)


@pytest.fixture
def model(random_model):
    return random_model("rnade", SPEC, 2, hidden=9, components=3, gain=0.8, seed=2)


def first_site(model):
    with torch.inference_mode():
        params = model.double()(torch.zeros(1, *SPEC.shape, dtype=torch.float64))[:, :, 0, 0, 0]
    model.float()
    return params, [part[0].numpy() for part in model.likelihood.moments(params)]


def test_values_are_distributed_as_the_mixture_beyond_zero_and_one_too(model):
    _, (weights, means, sds) = first_site(model)
    values = np.sort(Sampler(model, SampleSettings(seed=1), 4000).run(until=1).values[:, 0])
    z = (values[:, None] - means) / sds / math.sqrt(2)
    cdf = (weights * 0.5 * (1 + torch.erf(torch.from_numpy(z)).numpy())).sum(1)
    assert np.abs(cdf - (np.arange(4000) + 0.5) / 4000).max() < 1.63 / math.sqrt(4000)    # Kolmogorov-Smirnov, 1 %
    assert values[0] < 0 or values[-1] > 1


def test_the_trace_holds_densities_bins_and_float64(model):
    trace = sample(model, 3, SampleSettings(seed=1))
    assert trace.values.dtype == np.float64
    assert trace.pmfs.shape == (3, 12, 256)
    assert trace.pmfs.sum(2) == pytest.approx(1, abs=1e-5)
    with torch.inference_mode():
        expected = model.double().log_prob(torch.from_numpy(trace.images())).numpy()
    assert -np.array([trace.nats(i) for i in range(3)]) == pytest.approx(expected, abs=1e-9)
    surprise = trace.map("surprise", 0).reshape(-1)[trace.sites]
    assert surprise == pytest.approx(8 - trace.log_probs[0] / math.log(2), abs=1e-4)
    assert trace.pixel_bits(0) == pytest.approx(surprise, abs=1e-4)


def test_top_k_keeps_bins_and_temperature_zero_is_one_value_whatever_the_seed(model):
    params, _ = first_site(model)
    best = model.likelihood.log_pmf(params)[0].argsort(descending=True)[:5].tolist()
    values = Sampler(model, SampleSettings(seed=1, top_k=5), 400).run(until=1).values[:, 0]
    bins = np.clip(np.floor(values * 256), 0, 255).astype(int)
    assert set(bins) == set(best)
    cold = [sample(model, 2, SampleSettings(seed=seed, temperature=0)).values for seed in (1, 2)]
    assert np.array_equal(*cold)
    assert int(np.clip(np.floor(cold[0][0, 0] * 256), 0, 255)) == best[0]


def test_inside_a_bin_values_follow_the_mixture_restricted_to_it(model):
    params, (weights, means, sds) = first_site(model)
    values = np.sort(Sampler(model, SampleSettings(seed=1, top_k=1), 3000).run(until=1).values[:, 0])
    k = int(model.likelihood.log_pmf(params)[0].argmax())
    ends = [-np.inf if k == 0 else k / 256, np.inf if k == 255 else (k + 1) / 256]

    def cdf(v):
        z = torch.from_numpy((np.atleast_1d(v)[:, None] - means) / sds)
        return (weights * torch.special.ndtr(z).numpy()).sum(1)

    low, high = cdf(ends[0]), cdf(ends[1])
    assert np.abs((cdf(values) - low) / (high - low) - (np.arange(3000) + 0.5) / 3000).max() < 1.63 / math.sqrt(3000)


def test_hidden_is_nan_and_a_value_below_zero_is_not(model):
    sampler = Sampler(model, SampleSettings(seed=1), 2)
    trace = sampler.run(until=5)
    trace.values[0, 2] = -0.3
    assert is_hidden(trace.image(0)).sum() == 7
    assert not is_hidden(trace.image(0)).reshape(-1)[trace.sites[:5]].any()
    picture = np.asarray(sheet(trace.images(), SPEC))
    assert picture.shape[0] > 0
    assert gif_bytes(trace).startswith(b"GIF")
    rows = csv_bytes(trace).decode().splitlines()
    assert float(rows[3].split(",")[5]) == -0.3
    file = io.StringIO()
    trace.write_csv(file, 1)
    assert float(file.getvalue().splitlines()[1].split(",")[4]) == trace.values[1, 0]


@pytest.mark.parametrize("method", ["incremental", "jacobi", "naive"])
def test_a_real_may_be_changed_and_the_past_is_kept(model, method):
    sampler = Sampler(model, SampleSettings(seed=3), 3, method=method)
    before = sampler.run().values.copy()
    sampler.change(1, 4, 0.77)
    after = sampler.run().values
    assert after[1, 4] == 0.77
    assert np.array_equal(after[1, :4], before[1, :4])
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    assert (after[1, 5:] != before[1, 5:]).any()
    for wrong in (-0.01, 1.01, math.nan):
        with pytest.raises(SettingsError, match="The value must be 0 to 1, not"):
            sampler.change(0, 2, wrong)


def test_known_reals_come_back_unchanged_and_hidden_ones_may_be_nan(model):
    x = np.full(SPEC.shape, np.nan, dtype=np.float32)
    known = np.zeros((3, 4), dtype=bool)
    known[0] = True
    x[:, 0] = [0.1, -0.05, 0.999, 0.5]
    found = complete(model, x, known, 5, SampleSettings(seed=2), 1)
    assert (found.images[:, 0, 0] == x[0, 0]).all()
    assert np.isfinite(found.images).all()
    assert found.agreement.shape == (3, 4)
    assert (found.agreement[0] == 0).all()
    assert found.agreement[1:].max() > 0
    with pytest.raises(SpecMismatch, match="A known pixel holds no number"):
        complete(model, x, ~known, 2)


def test_a_guided_real_is_drawn_from_guided_bins(random_model):
    model = random_model("rnade", SPEC, 2, hidden=9, components=3, seed=2)
    drawn = [sample(model, 3, SampleSettings(seed=1, guidance=2.0), 1, method=method).values for method in methods(model)]
    assert all(np.array_equal(values, drawn[0]) for values in drawn)
    assert not np.array_equal(drawn[0], sample(model, 3, SampleSettings(seed=1), 1).values)
