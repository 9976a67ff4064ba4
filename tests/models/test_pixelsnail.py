"""PixelSNAIL: attention reads strictly earlier pixels and nothing at the first, convolutions are 2×2, a pixel is one step."""

import math

import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create
from arstudio.models.pixelsnail import Residual, elu

TINY = {"channels": 8, "blocks": 2, "residuals": 1, "key": 4}
GREY, RGB = ImageSpec(1, 4, 5, 4), ImageSpec(3, 3, 4, 3)


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_is_the_formula_and_zero_at_the_first_pixel(heads, random_model):
    model = random_model("pixelsnail", GREY, dtype=torch.float64, **TINY | {"heads": heads})
    attention, h = model.blocks[0].attention, torch.randn(2, 4, 5, 8, dtype=torch.float64)
    inputs = model.inputs(torch.randn(2, 1, 4, 5, dtype=torch.float64))
    out = attention(h, inputs).flatten(1, 2)                                       # (B, T, p/2)
    q = attention.query(h, inputs).flatten(1, 2)                                   # (B, T, heads, d)
    k, v = (t.flatten(1, 2) for t in attention.remember(h, inputs))
    assert torch.equal(out[:, 0], torch.zeros(2, 4, dtype=torch.float64))
    for t in range(1, 20):
        scores = torch.einsum("bhd,bshd->bhs", q[:, t], k[:, :t]) / math.sqrt(4)
        expected = torch.einsum("bhs,bshe->bhe", scores.softmax(-1), v[:, :t]).flatten(1)
        torch.testing.assert_close(out[:, t], expected)


@pytest.mark.parametrize("spec", [GREY, ImageSpec(1, 1, 1, 4), ImageSpec(3, 1, 1, 2)], ids=str)
def test_the_first_pixel_has_a_number_for_loss_and_gradient(spec):
    model = create("pixelsnail", spec, **TINY).train()
    loss = model.loss(torch.zeros(2, *spec.shape, dtype=torch.long))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_query_knows_its_place_but_not_its_own_pixel(random_model):
    model = random_model("pixelsnail", RGB, dtype=torch.float64, **TINY)
    attention, h = model.blocks[0].attention, torch.randn(1, 3, 4, 8, dtype=torch.float64)
    black, white = (model.inputs(torch.full((1, 3, 3, 4), v, dtype=torch.float64)) for v in (-1.0, 1.0))
    assert torch.equal(attention.query(h, black), attention.query(h, white))
    same = torch.ones_like(h)
    assert len(attention.query(same, black).flatten(0, 2).unique(dim=0)) == 12    # a query of its own at each pixel
    assert not torch.equal(attention.remember(h, black)[1], attention.remember(h, white)[1])


def test_a_residual_reads_the_pixel_itself_its_left_neighbour_and_the_two_above():
    torch.manual_seed(0)
    residual = Residual(4, 0.0).double()
    h = torch.randn(1, 7, 7, 4, dtype=torch.float64, requires_grad=True)
    out = residual(h, torch.zeros(8, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(out[0, 4, 4].sum(), h)
    seen = (gradient[0].abs().sum(-1) > 0).nonzero().tolist()
    assert seen == [[r, c] for r in (2, 3, 4) for c in (2, 3, 4)]                # two convolutions, 2×2 each


@pytest.mark.parametrize("spec", [GREY, RGB], ids=str)
def test_the_network_runs_once_a_pixel_however_many_colours(spec, random_model):
    decoder, merges = random_model("pixelsnail", spec, **TINY).decoder(2), []
    decoder.model.blocks[1].merge.register_forward_hook(lambda *_: merges.append(decoder.position))
    for t in range(spec.sites):
        if t % 4:    # values also arrive without anyone asking
            decoder.params()
        decoder.push(torch.zeros(2, dtype=torch.long))
    assert len(merges) == spec.pixels
    assert len({p // spec.channels for p in merges}) == spec.pixels


def test_elu_of_arrays_is_elu_of_tensors():
    x = torch.linspace(-30, 30, 101, dtype=torch.float64)
    torch.testing.assert_close(torch.from_numpy(elu(x.numpy())), elu(x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("likelihood", ["auto", "logistic", "gaussian"])
def test_a_fresh_model_is_nearly_flat(likelihood):
    spec = ImageSpec(1, 4, 4, 8)
    torch.manual_seed(0)
    model = create("pixelsnail", spec, likelihood=likelihood)
    x = torch.randint(0, 8, (16, *spec.shape), generator=torch.Generator().manual_seed(0))
    assert -float(model.log_prob(x).detach().mean()) / spec.sites == pytest.approx(math.log(8), rel=0.12)
