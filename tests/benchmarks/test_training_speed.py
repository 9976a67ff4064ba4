"""The plain network that training is measured against is the same function of the same number of weights."""

import json

import pytest
import torch
from typer.testing import CliRunner

from arstudio.analysis.plain_gated import MaskedConv, PlainGated, weights_that_count
from arstudio.analysis.training_speed import bench_training
from arstudio.cli import app
from arstudio.image import ImageSpec
from arstudio.models import create


@pytest.mark.parametrize(("levels", "kernel"), [(2, 3), (5, 3), (2, 5)])
def test_the_plain_network_computes_what_ours_computes(levels, kernel):
    torch.manual_seed(0)
    spec = ImageSpec(1, 9, 7, levels)
    model = create("gated_pixelcnn", spec, channels=6, head=8, dilations=(1, 2, 1), kernel=kernel).double()
    plain = PlainGated(model).double()
    x = torch.randint(0, levels, (3, *spec.shape))
    torch.testing.assert_close(plain(x), model(x)[:, :, 0])
    torch.testing.assert_close(plain.nats(x), model.loss(x).mean())
    assert weights_that_count(plain) == weights_that_count(model)


def test_both_learn_alike():
    torch.manual_seed(0)
    spec = ImageSpec(1, 6, 6, 2)
    model = create("gated_pixelcnn", spec, channels=4, head=4, dilations=(1, 2)).double()
    plain = PlainGated(model).double()
    x = torch.randint(0, 2, (4, *spec.shape))
    model.loss(x).mean().backward()
    plain.nats(x).backward()
    torch.testing.assert_close(plain.final.weight.grad[:, :, 0, 0], model.head[3].weight.grad)
    layer = plain.layers[1]
    rows = model.layers[1].vertical_conv.kernel[0]
    torch.testing.assert_close(layer.vertical.weight.grad[:, :, :rows], model.layers[1].vertical_conv.weight.grad)
    for conv in (c for c in plain.modules() if isinstance(c, MaskedConv)):
        assert not (conv.weight.grad * (1 - conv.mask)).any()


def test_the_ratio_follows_from_the_seconds_beside_it():
    result = bench_training(channels=(4, 6), batch=2, side=6, repeats=2, dilations=(1, 1))
    assert [row.channels for row in result.rows] == [4, 6]
    for row in result.rows:
        assert 0 < row.parameters == row.plain_parameters
        assert row.ratio == pytest.approx(row.plain_seconds / row.seconds)
        assert row.images_per_second == pytest.approx(2 / row.seconds)
    for part in ("2 layers", "batches of 2", "medians of 2 interleaved", result.torch):
        assert part in result.protocol


def test_the_command_prints_the_figures_and_refuses_colours():
    command = ["bench", "training", "--channels", "4", "--image", "5x5:3", "--batch", "2", "--repeats", "1", "--json"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["rows"][0]["channels"] == 4
    assert CliRunner().invoke(app, [*command[:-1], "--image", "3x5x5:3"]).exit_code == 2
