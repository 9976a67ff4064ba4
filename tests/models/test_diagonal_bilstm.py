"""Diagonal BiLSTM: the published equations step by step, the whole past in sight, and the two well-known bugs."""

import math

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create, diagonal_bilstm
from arstudio.models.diagonal_bilstm import Diagonals
from arstudio.models.layers import lstm_cell

SPEC = ImageSpec(1, 9, 9, 2)
SMALL = {"hidden": 4, "layers": 1, "head": 6}


def seen_by_each_site(model):
    """(81, 81) bool: which pixels have a gradient to the parameters of which site."""
    total = torch.zeros(81, 81, dtype=torch.float64)
    for seed in range(4):    # a ReLU that is off for one image must not look like a blind spot
        x = torch.randint(0, 2, (1, 1, 9, 9), generator=torch.Generator().manual_seed(seed)).expand(81, 1, 9, 9)
        e = model.encode(x).requires_grad_()
        own = model.network(e, model.class_index(None, 81)).flatten(1)[range(81), range(81)]
        total += torch.autograd.grad(own.sum(), e)[0].flatten(1).abs()
    return (total > 0).numpy()


def past(site):
    return np.arange(81) < site


def random_layer(random_model, spec, **config):
    model = random_model("diagonal_bilstm", spec, dtype=torch.float64, **SMALL | config)
    return model, model.layers[0]


def test_a_layer_is_the_published_recurrence(random_model):
    """Equation 3 at every site, both directions, with plain loops over rows and columns."""
    spec = ImageSpec(1, 4, 6, 2)
    model, layer = random_layer(random_model, spec)
    x = torch.randn(4, 6, 8, dtype=torch.float64)
    pixels = torch.randn(4, 6, 1, dtype=torch.float64)

    def states(inputs, part):
        weight, bias, state = (t[part] for t in (layer.input.masked_weight(), layer.input.bias, layer.state))
        zero = torch.zeros(4, dtype=torch.float64)
        h, c = {}, {}
        for row in range(4):
            for column in range(6):
                left, above = h.get((row, column - 1), zero), h.get((row - 1, column), zero)
                i, f, o, g = (weight @ inputs[row, column] + bias + state @ torch.cat([left, above])).chunk(4)
                c[row, column] = f.sigmoid() * c.get((row, column - 1), zero) + i.sigmoid() * g.tanh()
                h[row, column] = o.sigmoid() * c[row, column].tanh()
        return h

    with torch.inference_mode():
        inputs = torch.cat([x, pixels], -1)
        right_way, left_way = states(inputs, slice(16)), states(inputs.flip(1), slice(16, 32))
        found = layer(x.view(24, 1, 8), [pixels.view(24, 1, 1)], None, model.diagonals).view(4, 6, 8)
        for row in range(4):
            for column in range(6):
                h = right_way[row, column] + (left_way[row - 1, 5 - column] if row else 0)
                torch.testing.assert_close(found[row, column], x[row, column] + layer.output(h))


@pytest.mark.parametrize("layers", [1, 2])
def test_every_site_of_9_by_9_sees_its_whole_past_and_nothing_of_the_future(layers, random_model):
    model = random_model("diagonal_bilstm", SPEC, dtype=torch.float64, **SMALL | {"layers": layers})
    seen = seen_by_each_site(model)
    assert seen[6 * 9 + 7].sum() == 61
    for site in range(81):
        assert (seen[site] == past(site)).all()


def test_a_right_to_left_state_not_moved_down_a_row_would_show_the_future(random_model):
    model = random_model("diagonal_bilstm", SPEC, dtype=torch.float64, **SMALL)
    row, column = np.divmod(np.arange(81), 9)
    model.diagonals.to_right = model.diagonals.to_left[torch.from_numpy(row * 9 + 8 - column)]
    seen = seen_by_each_site(model)
    assert seen[4 * 9 + 3, 4 * 9 + 4:5 * 9].any()


def test_right_to_left_over_the_image_itself_instead_of_its_mirror_image_would_miss_pixels(random_model):
    model = random_model("diagonal_bilstm", SPEC, dtype=torch.float64, **SMALL)
    places = model.diagonals.to_left
    model.diagonals.read[81:] = model.diagonals.read[:81]
    model.diagonals.to_right = torch.cat([torch.zeros(9, dtype=torch.long), places[:-9]])
    site = 6 * 9 + 3
    seen = seen_by_each_site(model)[site]
    assert not (seen & ~past(site)).any()
    assert not seen.reshape(9, 9)[:6, 7:].any()    # 7×7 reaches column 6; further right only the mirrored walk


def test_without_the_pixels_themselves_the_last_one_of_the_row_above_would_be_out_of_sight(random_model):
    """Why the first ← layer reads pixels: after a mask A, features of row r − 1 know that row but for its last pixel."""
    model, layer = random_layer(random_model, SPEC)
    with torch.no_grad():
        layer.input.weight[:, 8:] = 0
    for site, seen in enumerate(seen_by_each_site(model)):
        row, column = divmod(site, 9)
        blind = [row * 9 - 1] if row and column + 3 < 8 else []
        assert np.flatnonzero(past(site) & ~seen).tolist() == blind


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (5, 1), (3, 7), (7, 3)])
def test_diagonals_hold_each_pixel_once_and_neighbours_on_neighbouring_diagonals(height, width):
    diagonals = Diagonals(height, width)
    pixels = height * width
    assert len(diagonals.sizes) == height + width - 1
    for half in diagonals.read.view(2, pixels):
        assert sorted(half.tolist()) == list(range(pixels))
    row, column = np.divmod(np.arange(pixels), width)
    diagonal = np.repeat(np.arange(height + width - 1), diagonals.sizes)
    assert (diagonal[diagonals.to_left - 1] == row + column).all()
    assert (diagonals.to_right[:width] == 0).all()
    assert (diagonal[diagonals.to_right[width:] - 1] == (row - 1 + width - 1 - column)[width:]).all()


def test_cells_of_arrays_and_tensors_agree():
    z, c = torch.randn(3, 5, 16, dtype=torch.float64), torch.randn(3, 5, 4, dtype=torch.float64)
    for a, b in zip(lstm_cell(z, c), lstm_cell(z.numpy().copy(), c.numpy()), strict=True):
        torch.testing.assert_close(a, torch.from_numpy(b))


def test_the_decoder_computes_every_state_once(random_model, monkeypatch):
    calls = []
    monkeypatch.setattr(diagonal_bilstm, "lstm_cell", lambda z, c: calls.append(z.shape) or lstm_cell(z, c))
    model = random_model("diagonal_bilstm", ImageSpec(1, 4, 5, 2), **SMALL | {"layers": 2})
    decoder = model.decoder(3)
    for _ in range(20):
        decoder.params()
        decoder.push(torch.ones(3, dtype=torch.long))
    assert calls.count((3, 16)) == 2 * 4 * 5      # → of two layers at twenty sites
    assert calls.count((2, 3, 16)) == 3 * 5       # ← of both layers at once, in all rows but the last
    assert len(calls) == 55


def test_a_fresh_model_says_next_to_nothing_and_forgets_slowly():
    torch.manual_seed(0)
    model = create("diagonal_bilstm", ImageSpec(1, 8, 8, 17))
    x = torch.randint(0, 17, (4, 1, 8, 8))
    with torch.inference_mode():
        assert -model.log_prob(x).mean() / 64 == pytest.approx(math.log(17), rel=0.05)
    for layer in model.layers:
        bias = layer.input.bias.view(2, 4, -1).detach()
        assert (bias[:, 1] > 0.7).all()
        assert (bias[:, [0, 2, 3]].abs() < 0.3).all()


def test_the_paper_size_is_seven_layers_of_sixteen_features():
    model = create("diagonal_bilstm", ImageSpec(1, 28, 28, 2), layers=7)
    assert (model.config.hidden, model.config.head, model.config.first_kernel) == (16, 32, 7)
    a_layer = 2 * (64 * 32 + 64 + 64 * 32) + 32 * 16 + 32
    first = 32 * (2 * 28 + 1) + 128
    assert model.num_parameters == first + 7 * a_layer + 32 * 33 + 33
