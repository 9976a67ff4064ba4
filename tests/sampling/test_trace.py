"""The record of a generation: steps and sites match, the past can be shown at any moment,
what is hidden is hidden."""

import csv
import io
import math

import numpy as np
import pytest

from arstudio.image import ImageSpec
from arstudio.models.orders import ORDERS, Order
from arstudio.sampling import Trace
from arstudio.sampling.trace import DRAWN, FORCED, KNOWN

SPEC = ImageSpec(3, 2, 4, 5)


def filled(kind="spiral", count=2, steps=None, **more):
    """A trace whose values, log p and pmfs all follow from image and step."""
    trace = Trace(SPEC, Order(kind, 2, 4, 3), count, **more)
    image = np.arange(count)
    for t in range(SPEC.sites if steps is None else steps):
        pmfs = np.full((count, 5), 0.1)
        pmfs[:, t % 5] = 0.6
        origin = np.full(count, t % 3)
        trace.put(image, np.full(count, t), (t + image) % 5, -0.1 * (t + 1) - image, 0.2 * t + image, origin, pmfs)
        trace.cursor = t + 1
    return trace


@pytest.mark.parametrize("kind", ORDERS)
def test_steps_and_sites_are_each_others_inverse(kind):
    trace = Trace(SPEC, Order(kind, 2, 4, 3), 1)
    assert [trace.step(*trace.site(t)) for t in range(24)] == list(range(24))
    assert len({trace.site(t) for t in range(24)}) == 24
    assert [trace.site(t)[0] for t in range(6)] == [0, 1, 2, 0, 1, 2]
    rank = Order(kind, 2, 4, 3).rank
    for t in range(24):
        channel, row, column = trace.site(t)
        assert t == 3 * rank[row, column] + channel


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("cursor", [0, 1, 7, 24, 99])
def test_an_image_shows_what_was_drawn_before_a_moment_and_hides_the_rest(kind, cursor):
    trace = filled(kind)
    image = trace.image(1, cursor)
    assert image.shape == SPEC.shape
    for t in range(24):
        assert image[trace.site(t)] == ((t + 1) % 5 if t < cursor else trace.spec.hidden)
    assert np.array_equal(trace.images(cursor)[1], image)


def test_nothing_beyond_the_cursor_is_shown():
    trace = filled(steps=10)
    assert (trace.cursor, trace.complete) == (10, False)
    assert (trace.image(0, 20) != trace.spec.hidden).sum() == 10
    assert (trace.images() != trace.spec.hidden).sum() == 20
    assert np.isfinite(trace.map("entropy", 0, 20)).sum() == 10
    assert trace.nats(0, 20) == trace.nats(0)
    assert filled().complete


def test_maps_are_in_bits_and_hidden_sites_are_not_a_number():
    trace = filled(steps=5)
    surprise, entropy = trace.map("surprise", 1), trace.map("entropy", 1)
    for t in range(24):
        site = trace.site(t)
        if t < 5:
            assert surprise[site] == pytest.approx((0.1 * (t + 1) + 1) / math.log(2), rel=1e-6)
            assert entropy[site] == pytest.approx((0.2 * t + 1) / math.log(2), rel=1e-6)
        else:
            assert np.isnan(surprise[site])
            assert np.isnan(entropy[site])


def test_nats_and_bits_of_pixels_add_up():
    trace = filled(steps=8)
    assert trace.nats(1) == pytest.approx(sum(0.1 * (t + 1) + 1 for t in range(8)))
    assert trace.nats(1, 2) == pytest.approx(0.1 + 0.2 + 2)
    bits = trace.pixel_bits(1)
    assert bits.shape == (8,)
    assert bits[:2].sum() * math.log(2) == pytest.approx(sum(0.1 * (t + 1) + 1 for t in range(6)))
    assert np.isnan(bits[2:]).all(), "a pixel of which one colour is missing has no figure yet"


def test_the_csv_has_a_row_for_every_site_drawn():
    trace, file = filled(steps=7), io.StringIO()
    trace.write_csv(file, 1)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert len(rows) == 7
    for t, row in enumerate(rows):
        assert int(row["step"]) == t
        assert tuple(int(row[name]) for name in ("channel", "row", "column")) == trace.site(t)
        assert int(row["value"]) == (t + 1) % 5
        assert float(row["log_prob_nats"]) == trace.log_probs[1, t]
        assert float(row["entropy_nats"]) == pytest.approx(0.2 * t + 1, rel=1e-6)
        assert row["origin"] == {DRAWN: "drawn", KNOWN: "known", FORCED: "forced"}[t % 3]


def test_distributions_are_kept_for_as_many_images_as_fit_the_budget():
    one_image = 4 * SPEC.sites * SPEC.levels
    assert filled().pmfs.shape == (2, 24, 5)
    assert filled(count=5, pmf_bytes=3 * one_image).pmfs.shape == (3, 24, 5)
    assert filled(count=5, pmf_bytes=one_image - 1).pmfs.shape == (0, 24, 5)
    assert filled().pmfs[1, 7].tolist() == pytest.approx([0.1, 0.1, 0.6, 0.1, 0.1])
