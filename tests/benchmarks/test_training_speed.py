"""The networks that training is measured against: the plain one is the same function of the same weights, the public one has as
many and sees no more."""

import json

import pytest
import torch
from typer.testing import CliRunner

from arstudio.analysis.plain_gated import MaskedConv, PlainGated, weights_that_count
from arstudio.analysis.public_gated import PublicGated
from arstudio.analysis.training_speed import DILATIONS, HEAD, bench_training
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


def seen(network, side):
    """(side, side) bool: the places that the output in the middle depends on."""
    e = torch.randn(1, 1, side, side).double().requires_grad_()
    network(e)[..., side // 2, side // 2].sum().backward()
    return e.grad[0, 0] != 0


def test_the_public_network_is_causal_and_ours_sees_all_that_it_sees():
    torch.manual_seed(0)
    side = 37
    model = create("gated_pixelcnn", ImageSpec(1, side, side, 2), channels=4, head=4, dilations=DILATIONS).double()
    none = model.class_index(None, 1)
    public = seen(PublicGated(2, 4, len(DILATIONS), 4).double().network, side)
    ours = seen(lambda e: model.network(e[:, :, None], none), side)
    rows, columns = public.nonzero().unbind(1)
    middle = side // 2
    assert rows.min() == middle - 16
    assert rows.max() == middle
    assert columns.min() <= middle - 9
    assert columns.max() == middle + 9
    assert not public[middle, middle:].any()
    assert ours[public].all()


@pytest.mark.parametrize("channels", [32, 64])
def test_the_public_network_has_as_many_parameters(channels):
    model = create("gated_pixelcnn", ImageSpec(1, 28, 28, 2), channels=channels, head=HEAD, dilations=DILATIONS)
    public = PublicGated(2, channels, len(DILATIONS), HEAD)
    assert weights_that_count(public) == pytest.approx(weights_that_count(model), rel=0.03)


def test_the_public_network_gives_a_distribution():
    torch.manual_seed(0)
    network = PublicGated(2, 4, 2, 4).double()
    images = torch.cartesian_prod(*[torch.tensor([0, 1])] * 6).view(-1, 1, 2, 3)
    with torch.no_grad():
        total = sum(float(torch.exp(-network.nats(x[None]))) for x in images)
    assert total == pytest.approx(1, abs=1e-9)


def test_the_times_follow_from_the_seconds():
    result = bench_training(channels=(4, 6), batch=2, side=6, repeats=2, dilations=(1, 1))
    assert [(row.channels, row.network) for row in result.rows] == [(c, n) for c in (4, 6) for n in ("ours", "plain", "public")]
    for ours, plain, public in (result.rows[:3], result.rows[3:]):
        assert 0 < ours.parameters == plain.parameters
        assert ours.times_ours == 1
        for row in (plain, public):
            assert row.times_ours == pytest.approx(row.seconds / ours.seconds)
            assert row.images_per_second == pytest.approx(2 / row.seconds)
    for part in ("2 layers", "batches of 2", "medians of 2 interleaved", result.torch):
        assert part in result.protocol


def test_the_command_prints_the_figures_and_refuses_colours():
    command = ["bench", "training", "--channels", "4", "--image", "5x5:3", "--batch", "2", "--repeats", "1", "--json"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["rows"][0]["channels"] == 4
    assert CliRunner().invoke(app, [*command[:-1], "--image", "3x5x5:3"]).exit_code == 2
