"""Completion scores: what each method gives is what enumeration says, files hold the rows, and the curve rises to the truth."""

import csv
import io
import itertools
import math

import numpy as np
import pytest
import torch

from arstudio.analysis.completion_scores import CURVE, as_markdown, csv_text, plot, score
from arstudio.image import ImageError, ImageSpec
from arstudio.progress import Cancelled, Progress
from arstudio.sampling.completion import preset_mask

SPEC = ImageSpec(1, 3, 3, 2)
IMAGES = np.random.default_rng(0).integers(0, 2, (3, *SPEC.shape))


def exact_nats(model, image, known):
    """−log p(hidden | observed) by enumeration."""
    ways = np.array(list(itertools.product(range(2), repeat=int((~known).sum()))))
    images = np.repeat(image[None], len(ways), 0)
    images[:, 0, ~known] = ways
    with torch.inference_mode():
        every = model.log_prob(torch.from_numpy(images)).logsumexp(0)
        return float(every - model.log_prob(torch.from_numpy(image[None]))[0])


def test_many_particles_reach_what_enumeration_says_and_few_stay_below(random_model):
    model = random_model("nade", SPEC, gain=3.0, seed=1, hidden=8)
    rows = score(model, IMAGES, None, ["top", "bottom", "random:0.5"], curve=(2, 2000))
    assert [(row.mask, row.method, row.particles) for row in rows] == [
        ("top", "clamp", 0), ("top", "particles", 2), ("top", "particles", 2000),
        ("bottom", "clamp", 0), ("bottom", "exact", 0), ("bottom", "particles", 2), ("bottom", "particles", 2000),
        ("random:0.5", "clamp", 0), ("random:0.5", "particles", 2), ("random:0.5", "particles", 2000),
    ]
    found = {(row.mask, row.method, row.particles): row for row in rows}
    for mask in ("top", "bottom", "random:0.5"):
        truth = np.mean([exact_nats(model, x, ~preset_mask(mask, 3, 3, seed=i)) for i, x in enumerate(IMAGES)])
        assert found[mask, "particles", 2000].nats == pytest.approx(truth, abs=0.1)
        if mask == "bottom":
            assert found[mask, "exact", 0].nats == pytest.approx(truth, abs=1e-4)
            assert found[mask, "clamp", 0].nats == pytest.approx(truth, abs=1e-4)
        assert found[mask, "particles", 2000].at_most == pytest.approx(truth, abs=0.1)
        few, many = found[mask, "particles", 2], found[mask, "particles", 2000]
        assert few.nats <= many.nats + 0.05
        assert many.gain == pytest.approx(found[mask, "clamp", 0].nats - many.at_most)
        assert math.isnan(found[mask, "clamp", 0].gain)
    assert found["bottom", "exact", 0].gain == pytest.approx(0.0, abs=1e-6)
    assert all(math.isnan(row.at_most) for row in score(model, IMAGES, None, ["top"], curve=(4,), bound=False))
    row = found["top", "particles", 2000]
    assert row.bits_per_site == pytest.approx(row.nats / 3 / math.log(2))
    assert row.hidden_sites == 3
    assert row.images == 3
    assert 1 <= row.effective <= 2000
    assert row.seconds > 0
    assert row.peak_mb > 1
    assert math.isnan(row.spread)


def test_a_model_of_any_order_has_the_exact_figure_for_every_mask(random_model):
    config = {"channels": 6, "dilations": (1, 1), "head": 6, "first_kernel": 3}
    model = random_model("lmconv", SPEC, gain=2.5, num_classes=2, **config)
    rows = score(model, IMAGES, np.array([0, 1, 1]), ["top", "centre"])
    assert [row.method for row in rows] == ["clamp", "exact"] * 2
    assert all(np.isfinite(row.nats) for row in rows)
    assert CURVE[-1] == 1024


def test_repeats_tell_a_spread_and_files_hold_the_rows(random_model):
    model = random_model("nade", SPEC, gain=3.0, seed=1, hidden=8)
    rows = score(model, IMAGES, None, ["left", "top"], curve=(4, 16), repeats=3)
    assert all(row.spread > 0 for row in rows if row.method == "particles")
    table = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert [float(line["nats"]) for line in table] == [row.nats for row in rows]
    assert table[0]["spread"] == ""
    lines = as_markdown(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert "16 particles" in lines[-1]
    picture = plot(rows, "a title")
    assert picture.size == (900, 540)
    assert len(picture.getcolors(1 << 16)) > 20
    assert plot(rows[:1]).size == (900, 540)


def test_a_mask_there_is_not_is_refused_and_a_stop_stops(random_model):
    class Stopped(Progress):
        def cancelled(self):
            return True

    model = random_model("nade", SPEC, hidden=4)
    with pytest.raises(ImageError, match="There is no mask 'middle'"):
        score(model, IMAGES, None, ["middle"])
    with pytest.raises(Cancelled):
        score(model, IMAGES, None, ["top"], progress=Stopped())
