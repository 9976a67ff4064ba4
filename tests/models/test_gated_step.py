"""The layer whose gradient is written out is the layer that is written in modules."""

import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create
from arstudio.models.gated_pixelcnn import GatedLayer, GatedPixelCNN, GatedPixelCNNConfig
from arstudio.models.gated_step import GatedStep

CASES = {
    "grey": (ImageSpec(1, 7, 6, 3), 0, 3),
    "colours": (ImageSpec(3, 5, 6, 4), 0, 5),
    "classes": (ImageSpec(1, 6, 7, 2), 3, 3),
}


def in_modules(layer, v, h, bias_v, bias_h):
    v, z = layer.vertical(v, bias_v)
    return v, layer.horizontal(h, z, bias_h)


def gradients(model, x, y):
    model.zero_grad()
    loss = model.loss(x, y).mean()
    loss.backward()
    return loss.detach(), [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("case", CASES)
def test_a_network_learns_as_autograd_would_have_it(case, monkeypatch):
    spec, classes, kernel = CASES[case]
    torch.manual_seed(0)
    more = {"class_dropout": 0.1} if classes else {}
    model = create("gated_pixelcnn", spec, classes, channels=6, head=8, dilations=(1, 2, 1), kernel=kernel, **more).double()
    x = torch.randint(0, spec.levels, (3, *spec.shape))
    y = torch.tensor([0, 2, -1]) if classes else None
    found, by_hand = gradients(model, x, y)
    with torch.no_grad():
        torch.testing.assert_close(model.loss(x, y).mean(), found)
    monkeypatch.setattr(GatedLayer, "forward", in_modules)
    loss, by_autograd = gradients(model, x, y)
    torch.testing.assert_close(found, loss)
    for mine, theirs in zip(by_hand, by_autograd, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_context_gets_its_gradient():
    torch.manual_seed(0)
    spec = ImageSpec(1, 5, 4, 2)
    config = GatedPixelCNNConfig(channels=3, head=3, dilations=(1, 2))
    model = GatedPixelCNN(spec, config, context=2).double()
    e, y = torch.rand(2, 1, 1, 5, 4).double(), model.class_index(None, 2)
    context = torch.randn(2, 5, 4, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda c: model.network(e, y, c), (context,))


@pytest.mark.parametrize("first", [True, False])
def test_every_gradient_is_the_slope(first):
    torch.manual_seed(0)
    layer = GatedLayer(1, GatedPixelCNNConfig(channels=2), dilation=1 if first else 2, first=first).double()
    v, h = (torch.randn(2, 4, 3, 2).double().requires_grad_() for _ in range(2))
    bias_v, bias_h = torch.randn(2, 1, 1, 4).double().requires_grad_(), torch.randn(2, 4, 3, 4).double().requires_grad_()
    keep = torch.tensor([0.0, 2.0]).double().expand(2, 4, 3, 2).contiguous()
    rows, row = layer.vertical_conv, layer.horizontal_conv
    weights = (rows.weight, rows.bias, layer.link.weight, row.weight, row.bias, layer.out.weight, layer.out.bias)
    inputs = (v, h, *weights, bias_v, bias_h)
    assert torch.autograd.gradcheck(lambda *given: GatedStep.apply(*given, keep, layer.shape), inputs)


def test_frozen_weights_get_no_gradient_and_the_image_does():
    torch.manual_seed(0)
    model = create("gated_pixelcnn", ImageSpec(1, 5, 4, 2), channels=3, head=3, dilations=(1, 2)).double().frozen()
    e = torch.rand(1, 1, 1, 5, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda e: model.network(e, model.class_index(None, 1)), (e,))
    assert all(p.grad is None for p in model.parameters())


def test_dropout_still_drops():
    torch.manual_seed(0)
    model = create("gated_pixelcnn", ImageSpec(1, 6, 6, 2), channels=8, head=8, dilations=(1, 2), dropout=0.5)
    x = torch.randint(0, 2, (2, 1, 6, 6))
    model.train()
    assert not torch.equal(model(x), model(x))
    model.eval()
    torch.testing.assert_close(model(x), model(x))
