"""The bundled models on real digits: what particles gain over clamping, and where there is nothing to gain. Some minutes."""

import pytest

from arstudio.analysis.completion_scores import score
from arstudio.data import load
from arstudio.models import load_model

pytestmark = pytest.mark.slow
IMAGES = 20


@pytest.fixture(scope="module")
def digits():
    test = load("mnist", levels=2).test
    return test.x[:IMAGES], test.y[:IMAGES]


def test_particles_gain_nats_on_the_top_and_the_left_half_and_none_on_the_bottom(digits):
    model, (x, y) = load_model("mnist-gated")[0], digits
    rows = score(model, x, y, ["top"], curve=(128,), bound=False) + score(model, x, None, ["left"], curve=(128,))
    rows += score(model, x[:3], None, ["bottom"], curve=(128,))
    found = {(row.mask, row.method): row for row in rows}
    assert found["top", "clamp"].nats - found["top", "particles"].nats >= 3
    assert found["left", "particles"].gain >= 1    # of the drawing by 128 particles itself, not of an estimate that favours few
    assert found["bottom", "particles"].gain == pytest.approx(0.0, abs=0.01)
    assert found["bottom", "particles"].nats == pytest.approx(found["bottom", "clamp"].nats, abs=0.01)


def test_an_order_with_the_known_first_takes_less_processor_time_than_512_particles(digits):
    x, y = digits[0][:2], digits[1][:2]
    (few,) = score(load_model("mnist-lmconv")[0], x, y, ["left"], methods=["exact"])
    (many,) = score(load_model("mnist-gated")[0], x, y, ["left"], curve=(512,), methods=["particles"])
    assert few.cpu_seconds < many.cpu_seconds / 3
