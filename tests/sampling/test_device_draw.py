"""The decision in torch, for devices, is that of the host wherever it is not called close."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from arstudio.sampling import SampleSettings, device_draw, draw

shapes = st.tuples(st.integers(1, 4), st.integers(2, 9))
ways = st.builds(
    SampleSettings, temperature=st.sampled_from([0.0, 1e-6, 0.3, 1.0, 100.0]), top_k=st.integers(0, 9),
    top_p=st.sampled_from([1.0, 0.9, 0.5, 1e-6]), guidance=st.sampled_from([0.0, 0.5, 100.0]),
)


@given(shape=shapes, seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([0.0, 1.0, 30.0, 2000.0]), way=ways)
def test_decisions_of_the_device_are_those_of_the_host(shape, seed, spread, way):
    """Where neither calls it close the value is the same, and both call the same ones close."""
    rng = np.random.default_rng(seed)
    logits = np.round(spread * rng.normal(size=(2, *shape)), int(rng.integers(0, 3)))    # rounded: some are equal
    own, without = (draw.log_softmax(part) for part in logits)
    u = rng.choice([0.0, 0.25, 0.5, rng.random()], shape[0])
    wanted = draw.guide(own, without, way.guidance)
    found = device_draw.guide(torch.from_numpy(own), torch.from_numpy(without), way.guidance)
    np.testing.assert_allclose(found.exp(), np.exp(wanted), atol=1e-9)
    pmf, margin = draw.reshape(wanted, way)
    value, distance = draw.decide(pmf, u)
    pmf_, margin_ = device_draw.reshape(torch.from_numpy(wanted), way)
    value_, distance_ = device_draw.decide(pmf_, torch.from_numpy(u))
    near = np.minimum(margin, distance) < 1e-9
    near_ = np.minimum(margin_.numpy(), distance_.numpy()) < 1e-9
    assert np.array_equal(near, near_)
    assert np.array_equal(value[~near], value_.numpy()[~near])
    told = np.broadcast_to(margin, len(u)) >= 1e-9
    np.testing.assert_allclose(pmf_.numpy()[told], pmf[told], atol=1e-12)
    np.testing.assert_allclose(margin_.numpy(), np.broadcast_to(margin, len(u)), rtol=1e-9, atol=1e-12)
