"""What is special about PixelCNN++: its blocks, resolutions and normalised weights are the published ones, whatever the
size of the image, and its decoder computes nothing twice."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from arstudio.image import ImageSpec
from arstudio.models import create, make_config, preset_settings
from arstudio.models.streams import (
    Block,
    Feature,
    Grow,
    NormalLinear,
    NormalRowConv,
    NormalSiteConv,
    Shrink,
    concat_elu,
    linear_gate,
)

SIZES = [(1, 1), (1, 6), (5, 1), (4, 4), (5, 7), (6, 3)]


def first(x):
    """(B, H, W, p) -> (B, p, H, W), as torch's convolutions want it."""
    return x.permute(0, 3, 1, 2)


def weight(layer):
    """Weight of a normalised layer as published, w = g v / ‖v‖."""
    v = layer.weight.detach()
    return layer.gain.detach().view(-1, *[1] * (v.dim() - 1)) * v / v.pow(2).sum(tuple(range(1, v.dim())), keepdim=True).sqrt()


def shuffled(module):
    """The same module with random gains and biases."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p))
    return module.double()


def test_concat_elu_and_the_gate_are_the_same_for_arrays():
    x = torch.cat([torch.linspace(-30, 30, 121), torch.tensor([1e-30, -1e-30, 0.0])]).double()[None]
    assert torch.equal(concat_elu(x), torch.cat([F.elu(x), F.elu(-x)], 1))
    np.testing.assert_allclose(concat_elu(x.numpy()), concat_elu(x).numpy(), rtol=1e-14, atol=0)
    z = torch.randn(3, 8, dtype=torch.float64)
    torch.testing.assert_close(linear_gate(z), z[:, :4] * torch.sigmoid(z[:, 4:]))
    np.testing.assert_allclose(linear_gate(z.numpy().copy()), linear_gate(z).numpy(), rtol=1e-12)


@pytest.mark.parametrize("vertical", [True, False])
@pytest.mark.parametrize("shortcut", [True, False])
def test_a_block_is_the_gated_residual_block_of_the_paper(vertical, shortcut):
    torch.manual_seed(0)
    block = shuffled(Block(3, vertical, shortcut, dropout=0.0))
    x, skip, v = (torch.randn(2, 4, 5, 3, dtype=torch.float64) for _ in range(3))
    bias = torch.randn(2, 1, 1, 6, dtype=torch.float64)

    def convolve(conv, x):    # down-shifted 2×3, or down-right-shifted 2×2
        padded = F.pad(first(x), (1, 1, 1, 0) if vertical else (1, 0, 1, 0))
        return F.conv2d(padded, weight(conv), conv.bias).permute(0, 2, 3, 1)

    def phi(x):
        return torch.cat([F.elu(x), F.elu(-x)], -1)

    z = convolve(block.first, phi(x))
    if shortcut:
        z = z + phi(skip) @ weight(block.shortcut).T
    link = None
    if not vertical:
        link = block.link(phi(v))
        z = z + phi(v) @ weight(block.link).T
    a, b = (convolve(block.second, phi(z)) + bias).chunk(2, -1)
    y = block(Feature(x), Feature(skip) if shortcut else None, link, bias)
    torch.testing.assert_close(y.x, x + a * torch.sigmoid(b))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("vertical", [True, False])
def test_changes_of_resolution_are_strided_and_transposed_convolutions(vertical, height, width):
    torch.manual_seed(0)
    shrink, grow = shuffled(Shrink(3, vertical)), shuffled(Grow(3, vertical))
    x = torch.randn(2, height, width, 3, dtype=torch.float64)
    columns = shrink.columns
    kernel = weight(shrink.dense).view(3, 2, columns, 3).permute(0, 3, 1, 2)
    small = F.conv2d(F.pad(first(x), (1, columns - 2 + width % 2, 1, 0)), kernel, shrink.dense.bias, stride=2)
    small = small[..., :math.ceil(height / 2), :math.ceil(width / 2)]
    torch.testing.assert_close(first(shrink(x)), small)

    bias = grow.dense.bias.detach().view(2, 2, 3)
    kernel = weight(grow.dense).view(2, 2, 3, 3).permute(3, 2, 0, 1)                  # (in, out, row, column)
    if vertical:    # a third column: taps at 2m − 1, 2m, 2m + 1 of the finer row, the first being the link to the right
        kernel = torch.cat([weight(grow.right).view(2, 1, 3, 3).permute(3, 2, 0, 1), kernel], -1)
    large = F.conv_transpose2d(small, kernel, stride=2)
    large = large[..., 1:] if vertical else large
    large = large[..., :height, :width] + bias.permute(2, 0, 1).repeat(1, *small.shape[2:])[:, :height, :width]
    torch.testing.assert_close(first(grow.image(small.permute(0, 2, 3, 1), height, width)), large)


@pytest.mark.parametrize("kind", ["dense", "rows", "sites"])
def test_only_the_direction_of_a_normalised_weight_counts_and_a_frozen_copy_holds_it_once(kind):
    torch.manual_seed(0)
    kinds = {"dense": (NormalLinear, 4, 5), "rows": (NormalRowConv, 4, 5, 3), "sites": (NormalSiteConv, 4, 5, 2)}
    make, *arguments = kinds[kind]
    layer, x = shuffled(make(*arguments)), torch.randn(2, 3, 3, 4, dtype=torch.float64)
    before = layer(x).detach()
    with torch.no_grad():
        layer.weight.mul_(7)
    torch.testing.assert_close(layer(x).detach(), before)
    for _ in range(2):
        layer.requires_grad_(False).fold_mask()
        torch.testing.assert_close(layer(x), before)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_height_and_width_will_do(height, width, channels, random_model):
    spec = ImageSpec(channels, height, width, 5)
    model = random_model("pixelcnn_pp", spec, channels=3, blocks=1, scales=4, components=2, dtype=torch.float64)
    x = torch.randint(0, 5, (2, *spec.shape), generator=torch.Generator().manual_seed(0))
    decoder = model.decoder(2)
    with torch.inference_mode():
        truth = model(x)
        for _ in range(spec.sites):
            channel, row, column = decoder.site()
            torch.testing.assert_close(decoder.params(), truth[:, :, channel, row, column], rtol=1e-9, atol=1e-9)
            decoder.push(x[:, channel, row, column])


def test_the_decoder_computes_every_feature_of_every_resolution_once(random_model, monkeypatch):
    spec = ImageSpec(3, 5, 7, 4)
    model = random_model("pixelcnn_pp", spec, channels=3, blocks=1, scales=3, components=2)
    decoder, calls, forward = model.decoder(2), Counter(), Block.forward

    def count(block, *args, **more):
        calls[block] += 1
        return forward(block, *args, **more)

    monkeypatch.setattr(Block, "forward", count)
    for _ in range(spec.sites):
        decoder.params()
        decoder.push(torch.zeros(2, dtype=torch.long))
    for s, (rows, columns) in enumerate([(5, 7), (3, 4), (2, 2)]):
        assert {calls[block] for block in decoder.model.vertical[s].blocks} == {rows}
        assert {calls[block] for block in decoder.model.horizontal[s].blocks} == {rows * columns}


def test_the_paper_preset_is_the_published_network():
    spec = ImageSpec(3, 32, 32, 256)
    config = make_config("pixelcnn_pp", preset_settings("pixelcnn_pp", "paper"))
    assert (config.channels, config.blocks, config.scales, config.components, config.dropout) == (160, 5, 3, 10, 0.5)
    assert config.make_likelihood(spec).name == "logistic"
    assert config.sizes(spec) == [(32, 32), (16, 16), (8, 8)]
    small = create("pixelcnn_pp", spec, channels=2, blocks=5, scales=3, components=10)
    assert [(len(stream.up), len(stream.down)) for stream in small.horizontal] == [(5, 6), (5, 6), (5, 5)]
    assert small.head.out_features == 100


def test_the_family_follows_from_the_levels_unless_it_is_named():
    def family(levels, **settings):
        return make_config("pixelcnn_pp", settings).make_likelihood(ImageSpec(3, 4, 4, levels)).name

    assert [family(levels) for levels in (0, 2, 3, 256)] == ["gaussian", "bernoulli", "logistic", "logistic"]
    assert family(3, likelihood="categorical") == "categorical"
    assert family(2, likelihood="logistic") == "logistic"


@pytest.mark.parametrize("spec", [ImageSpec(1, 8, 8, 2), ImageSpec(1, 8, 8, 17), ImageSpec(3, 8, 8, 256)], ids=str)
def test_a_fresh_model_is_nearly_uniform(spec):
    torch.manual_seed(0)
    x = torch.randint(0, spec.levels, (4, *spec.shape))
    nats = float(create("pixelcnn_pp", spec).loss(x).mean().detach()) / spec.sites
    assert math.log(spec.levels) - 0.05 < nats < math.log(spec.levels) + 0.5


def test_dropout_is_for_training_only():
    torch.manual_seed(0)
    model, x = create("pixelcnn_pp", ImageSpec(1, 4, 4, 4), channels=6, dropout=0.5), torch.randint(0, 4, (2, 1, 4, 4))
    assert not torch.equal(model.train().loss(x), model.loss(x))
    assert torch.equal(model.eval().loss(x), model.loss(x))
