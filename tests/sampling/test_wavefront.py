"""Pixels on a slanted line together: none sees another, each is evaluated once, and the images are the same."""

import numpy as np
import pytest
import torch
from wandering import wander

from arstudio.image import ImageSpec
from arstudio.sampling import Sampler, SampleSettings, choose, sample

SPECS = [ImageSpec(1, 5, 6, 4), ImageSpec(3, 4, 3, 3), ImageSpec(1, 6, 1, 2)]
CONFIGS = [
    {"channels": 8, "blocks": 2, "first_kernel": 3, "head": 8}, {"channels": 8, "blocks": 1, "first_kernel": 7, "head": 8},
    {"channels": 8, "blocks": 3, "first_kernel": 3, "kernel": 5, "head": 8}, {"channels": 6, "blocks": 0, "first_kernel": 5},
]


def t(pixel, width, lag):
    row, column = divmod(pixel, width)
    return column + lag * row


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: "-".join(map(str, config.values())))
def test_what_a_pixel_sees_lies_on_earlier_fronts_and_on_fewer_lags_it_would_not(config, random_model):
    model = random_model("pixelcnn", ImageSpec(1, 6, 12, 3), dtype=torch.float64, **config)
    e = model.encode(torch.randint(0, 3, (1, *model.spec.shape))).requires_grad_(True)
    params = model.network(e, model.class_index(None, 1))
    seen = []
    for pixel in range(model.spec.pixels):
        total = params[0, :, 0, pixel // 12, pixel % 12].sum()
        (gradient,) = torch.autograd.grad(total, e, retain_graph=True)
        seen += [(pixel, int(other)) for other in gradient.flatten().nonzero()[:, 0]]
    assert seen
    assert all(t(other, 12, model.lag) < t(pixel, 12, model.lag) for pixel, other in seen)
    assert not all(t(other, 12, model.lag - 1) < t(pixel, 12, model.lag - 1) for pixel, other in seen)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("guidance", [0.0, 1.5])
def test_each_pixel_is_evaluated_once_a_colour_on_as_many_fronts_as_there_are(spec, guidance, random_model, monkeypatch):
    model = random_model("pixelcnn", spec, 3, gain=2.0, **CONFIGS[0])
    way, y = SampleSettings(seed=2, guidance=guidance), torch.arange(4) % 3
    sampler, visits = Sampler(model, way, 4, y, method="wavefront"), []
    visit = sampler.decoder.visit
    monkeypatch.setattr(sampler.decoder, "visit", lambda images, pixels: (visits.append(pixels), visit(images, pixels))[1])
    drawn = sampler.run()
    assert np.bincount(np.concatenate(visits)).tolist() == [4 * spec.channels * (1 + (guidance > 0))] * spec.pixels
    times = [t(pixel, spec.width, model.lag) for pixel in range(spec.pixels)]
    assert len(visits) == len(set(times)) * spec.channels
    assert np.array_equal(drawn.values, sample(model, 4, way, y, method="naive").values)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_going_back_changing_and_drawing_anew_give_what_site_by_site_drawing_gives(spec, random_model):
    model = random_model("pixelcnn", spec, gain=2.0, **CONFIGS[1])
    wander([Sampler(model, SampleSettings(seed=7), 3, method=method) for method in ("wavefront", "incremental")], rounds=12)


def test_it_is_chosen_where_nothing_is_gained_by_guessing(random_model):
    grey, binary = (random_model("pixelcnn", ImageSpec(1, 6, 8, levels), **CONFIGS[0]) for levels in (4, 2))
    methods = [choose(model, count).method for model in (grey, binary) for count in (1, 2, 16)]
    assert methods == ["blocks", "wavefront", "wavefront", "blocks", "blocks", "wavefront"]
    assert "none of them guessed" in choose(grey, 2).why
    assert choose(random_model("gated_pixelcnn", ImageSpec(1, 6, 8, 4)), 1).method != "wavefront"
