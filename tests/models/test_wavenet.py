"""WaveNet: its field is what the dilations add up to, padding is told from level 0, and features are computed once."""

import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create, make_config, preset_settings

LINE = ImageSpec(1, 1, 24, 4)


def influences(model, site):
    """(D,) bool: which sites the conditional at `site` of a line depends on."""
    e = model.encode(torch.randint(0, 4, (1, *model.spec.shape), generator=torch.Generator().manual_seed(0))).requires_grad_()
    params = model.network(e, model.class_index(None, 1)).flatten(2)[0, :, site]
    (gradient,) = torch.autograd.grad(params.square().sum(), e)
    return gradient.flatten() != 0


@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4), (1, 2, 4, 1, 2)])
def test_the_receptive_field_is_exactly_the_sites_before(dilations, random_model):
    model = random_model("wavenet", LINE, dtype=torch.float64, dilations=dilations, channels=8)
    field = model.receptive_field
    assert field == model.config.receptive_field == 2 + sum(dilations)
    expected = torch.zeros(24, dtype=torch.bool)
    expected[23 - field:23] = True
    assert torch.equal(influences(model, 23), expected)


def test_the_presets_see_as_far_as_they_say():
    fields = [make_config("wavenet", preset_settings("wavenet", size)).receptive_field for size in ("small", "medium", "paper")]
    assert fields == [128, 1024, 2051]
    assert fields[1] >= 28 * 28
    assert len(preset_settings("wavenet", "paper")["dilations"]) == 22
    small, medium = (make_config("wavenet", preset_settings("wavenet", size)) for size in ("small", "medium"))
    assert small.facts(ImageSpec(1, 28, 28, 2)) == {"receptive field": "128 sites of up to 783"}
    assert medium.facts(ImageSpec(1, 28, 28, 2)) == {"receptive field": "1,024 sites, all before any site"}


def test_padding_is_not_taken_for_a_level(random_model):
    """Sites 0, 1 and 5 have the same levels before them as far as there are any; what is outside is no level."""
    model = random_model("wavenet", LINE, dtype=torch.float64, position=False, dilations=(1, 2))
    for level in range(4):
        params = model(torch.full((1, *LINE.shape), level)).flatten(2)[0]
        assert (params[:, 0] - params[:, 20]).abs().max() > 1e-3
        assert (params[:, 1] - params[:, 20]).abs().max() > 1e-3
        torch.testing.assert_close(params[:, 19], params[:, 20])


def test_without_positions_a_line_is_stationary_and_with_them_it_is_not(random_model):
    x = torch.randint(0, 4, (1, 1, 1, 24), generator=torch.Generator().manual_seed(1))
    moved = torch.cat([torch.zeros_like(x[..., :3]), x[..., :-3]], dim=-1)
    for position in (False, True):
        model = random_model("wavenet", LINE, dtype=torch.float64, position=position, dilations=(1, 2))
        here, there = model(x).flatten(2)[0, :, 8:20], model(moved).flatten(2)[0, :, 11:23]
        assert torch.allclose(here, there, rtol=1e-9) is not position


def test_a_colour_knows_which_it_is_even_without_positions(random_model):
    model = random_model("wavenet", ImageSpec(3, 2, 3, 4), position=False, dilations=(1,))
    params = model(torch.zeros(1, 3, 2, 3, dtype=torch.long))[0, :, :, 1, 2]    # (P, C), all three see the same levels
    assert (params[:, 0] - params[:, 1]).abs().max() > 1e-3
    assert (params[:, 1] - params[:, 2]).abs().max() > 1e-3


def test_the_decoder_computes_each_layer_once_a_site_however_often_it_is_asked(random_model):
    model = random_model("wavenet", LINE, dilations=(1, 2, 4))
    decoder, calls = model.decoder(2), []
    decoder.model.layers[1].register_forward_hook(lambda *_: calls.append(decoder.position))
    for t in range(24):
        for _ in range(t % 3):    # never, once or twice
            decoder.params()
        decoder.push(torch.zeros(2, dtype=torch.long))
    assert calls == list(range(24))
    decoder.rewind(20)
    decoder.params()
    assert calls == [*range(24), 20]    # and going back computes nothing again but the site asked for


def test_a_dilation_longer_than_the_image_is_harmless():
    x = torch.zeros(1, 1, 2, 2, dtype=torch.long)
    model = create("wavenet", ImageSpec(1, 2, 2, 2), channels=4, dilations=(1, 512))
    assert torch.isfinite(model.log_prob(x)).all()
