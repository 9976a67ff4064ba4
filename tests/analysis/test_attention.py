"""Attention maps are the weights that the layers use: they give the layers' outputs, and look at nothing yet unknown."""

import numpy as np
import pytest
import torch

from arstudio.analysis.attention import attention_maps
from arstudio.analysis.depends import past_of
from arstudio.image import ImageError, ImageSpec
from arstudio.models.attention import causal_attention, watched
from arstudio.models.base import ConfigError

SPEC = ImageSpec(3, 4, 5, 4)
KINDS = [
    ("pixelsnail", {"channels": 8, "blocks": 2, "residuals": 1, "heads": 2, "key": 4}, 4),
    ("imagegpt", {"tokens": "levels", "width": 8, "heads": 2, "layers": 2}, 4),
    ("imagegpt", {"tokens": "palette", "width": 8, "heads": 1, "layers": 2, "palette": 5}, 2),
    ("imagegpt", {"tokens": "patches", "patch": 2, "width": 8, "heads": 2, "layers": 1}, 2),
]


@pytest.mark.parametrize(("name", "config", "count"), KINDS, ids=lambda part: str(part)[:24])
def test_weights_rest_on_the_past_and_add_up_to_one(name, config, count, random_model):
    model = random_model(name, SPEC, **config)
    x = np.random.default_rng(0).integers(0, 4, SPEC.shape)
    for site in [(0, 0, 0), (1, 2, 3), (2, 3, 4)]:
        found = attention_maps(model, x, site)
        assert len(found) == count
        past = past_of(model, site).any(0)
        for head in found:
            assert (head.weights[~past] == 0).all()
            assert head.weights.sum() + head.elsewhere == pytest.approx(1)
            assert head.weights.min() >= 0
    assert len({(head.layer, head.head) for head in found}) == count


def test_the_map_gives_what_the_layer_took(random_model):
    model = random_model("pixelsnail", ImageSpec(1, 3, 4, 3), channels=8, blocks=1, residuals=0, key=4)
    x = np.random.default_rng(1).integers(0, 3, (1, 3, 4))
    taken, values = [], []

    def look(module, inputs, output):
        taken.append(output)
        values.append(module.remember(*inputs)[1])

    model.blocks[0].attention.register_forward_hook(look)
    found = attention_maps(model, x, (0, 2, 1))[0]
    mixed = np.einsum("hw,hwe->e", found.weights, values[0][0, :, :, 0].numpy())
    np.testing.assert_allclose(mixed, taken[0][0, 2, 1].numpy(), atol=1e-5)


def test_a_change_where_attention_looks_most_changes_what_it_finds(random_model):
    model = random_model("imagegpt", ImageSpec(1, 3, 4, 3), tokens="levels", width=8, heads=1, layers=1)
    x = np.zeros((1, 3, 4), int)
    one = attention_maps(model, x, (0, 2, 3))[0].weights
    other = attention_maps(model, 2 - x, (0, 2, 3))[0].weights
    assert not np.allclose(one, other)


def test_only_what_is_computed_inside_is_watched():
    q, k, v = torch.randn(3, 1, 2, 5, 4)
    with watched() as seen:
        causal_attention(q, k, v, strict=True)
        causal_attention(q, k, v)
    causal_attention(q, k, v)
    assert [strict for _, _, strict in seen] == [True, False]
    assert seen[0][0] is q


def test_models_without_attention_say_so_and_sites_outside_are_refused(random_model):
    with pytest.raises(ConfigError, match="has no attention"):
        attention_maps(random_model("nade", SPEC, hidden=2), np.zeros(SPEC.shape, int), (0, 0, 0))
    model = random_model("pixelsnail", SPEC, channels=4, blocks=1, residuals=0, key=2)
    with pytest.raises(ImageError, match="There is no site"):
        attention_maps(model, np.zeros(SPEC.shape, int), (0, 4, 0))
