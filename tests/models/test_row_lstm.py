"""Row LSTM: the published equations, and the triangle of figure 4 to the pixel."""

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create
from arstudio.models.layers import lstm_cell


def images(spec, count=2, seed=0):
    return torch.randint(0, spec.levels, (count, *spec.shape), generator=torch.Generator().manual_seed(seed))


def seen_from(model, row, column, channel=0):
    """(C, H, W) bool: the sites that the conditional at a site depends on, by gradients of float64 weights."""
    seen = torch.zeros(model.spec.shape, dtype=torch.bool)
    for seed in range(4):
        e = model.encode(images(model.spec, 2, seed)).requires_grad_()
        params = model.network(e, model.class_index(None, 2))[:, :, channel, row, column]
        (gradient,) = torch.autograd.grad((params * torch.randn_like(params)).sum(), e)
        seen |= gradient.abs().sum((0, 1)) > 0
    return seen.numpy()


def test_the_field_is_a_triangle_above_and_the_row_to_the_left(random_model):
    """Of the narrowest network: 3×3 mask A, 1×1 input-to-state, 3-tap state-to-state (figure 4). On the left side mask A
    adds a column, because from any row the state came from it may read one site to the left, but none to the right."""
    spec = ImageSpec(1, 9, 19, 2)
    model = random_model(
        "row_lstm", spec, dtype=torch.float64, first_kernel=3, input_kernel=1, layers=2, hidden=6, head=6
    )
    picture = "\n".join("".join(".#"[int(s)] for s in line) for line in seen_from(model, 7, 9)[0])
    assert picture == "\n".join([
        ".################..",
        "..##############...",
        "...############....",
        "....##########.....",
        ".....########......",
        "......######.......",
        ".......####........",
        "........#..........",
        "...................",
    ])


@pytest.mark.parametrize(("first", "taps", "inputs", "layers"), [(7, 3, 3, 3), (3, 5, 3, 1), (5, 1, 5, 2), (3, 3, 1, 3)])
def test_how_far_each_kernel_reaches(first, taps, inputs, layers, random_model):
    spec = ImageSpec(1, 8, 31, 2)
    kernels = {"first_kernel": first, "state_kernel": taps, "input_kernel": inputs}
    model = random_model("row_lstm", spec, dtype=torch.float64, layers=layers, hidden=6, head=6, **kernels)
    row, column = 7, 15
    seen = seen_from(model, row, column)[0]
    in_row = first // 2 + layers * (inputs // 2)    # mask A once, then each layer's own kernel
    assert np.flatnonzero(seen[row]).tolist() == list(range(column - in_row, column))
    for up in range(1, 8):
        # To the left the states climb all rows and mask A goes on from there; to the right it must climb one itself.
        left = up * (taps // 2) + in_row
        right = max((up - 1) * (taps // 2) + first // 2, up * (taps // 2) - 1)
        expected = list(range(max(0, column - left), min(30, column + right) + 1))
        assert np.flatnonzero(seen[row - up]).tolist() == expected, up


def test_what_it_cannot_see_is_the_corners_above(random_model):
    spec = ImageSpec(1, 9, 9, 2)
    model = random_model("row_lstm", spec, dtype=torch.float64, layers=8, first_kernel=3, hidden=6, head=6)
    seen = seen_from(model, 6, 3)[0]
    row, column = np.mgrid[:9, :9]
    past = (row < 6) | ((row == 6) & (column < 3))
    assert not (seen & ~past).any()
    assert ((past & ~seen) == ((row < 6) & (column - 3 > 6 - row))).all()    # to the left eight layers reach the edge


def test_a_layer_follows_the_published_equations(random_model):
    """Equation 3, site by site and tap by tap."""
    spec = ImageSpec(1, 4, 5, 3)
    model = random_model("row_lstm", spec, dtype=torch.float64, hidden=3, layers=1, head=4, state_kernel=3)
    layer, n = model.layers[0], 3
    x, bias = torch.randn(2, 4, 5, 6, dtype=torch.float64), torch.randn(2, 12, dtype=torch.float64)
    kernel = layer.input.masked_weight()[:, :, 0]                       # (4h, 2h, 2): to the left, the site itself
    states = layer.state.view(4 * n, 3, n)                              # (4h, tap, h)
    h = torch.zeros(2, 5, 7, n, dtype=torch.float64)                    # a row above, a column on either side
    c = torch.zeros(2, 5, 7, n, dtype=torch.float64)
    for r in range(4):
        for column in range(5):
            z = layer.input.bias + bias + x[:, r, column] @ kernel[..., 1].T
            if column:
                z = z + x[:, r, column - 1] @ kernel[..., 0].T
            for tap in range(3):
                z = z + h[:, r, column + tap] @ states[:, tap].T
            i, f, o, g = z.split(n, 1)
            c[:, r + 1, column + 1] = f.sigmoid() * c[:, r, column + 1] + i.sigmoid() * g.tanh()
            h[:, r + 1, column + 1] = o.sigmoid() * c[:, r + 1, column + 1].clone().tanh()
    expected = x + layer.output(h[:, 1:, 1:-1])
    torch.testing.assert_close(layer(x, bias), expected, rtol=1e-11, atol=1e-11)


def test_the_cell_is_the_same_for_tensors_in_either_layout_and_for_arrays():
    z, c = torch.randn(3, 12, dtype=torch.float64) * 4, torch.randn(3, 3, dtype=torch.float64)
    h, after = lstm_cell(z, c)
    for given, other in zip(lstm_cell(z.T, c.T, dim=0), (h, after), strict=True):
        torch.testing.assert_close(given.T, other)
    kept = c.clone()
    for given, other in zip(lstm_cell(z.clone().numpy(), c.numpy()), (h, after), strict=True):
        np.testing.assert_allclose(given, other, rtol=1e-13, atol=1e-14)
    assert torch.equal(c, kept)


def test_the_state_has_colours_too(random_model):
    """Red reads rows above in every colour, but of its own pixel nothing; blue reads red and green there."""
    spec = ImageSpec(3, 3, 5, 4)
    model = random_model("row_lstm", spec, dtype=torch.float64, hidden=7, layers=2, head=7)
    own = [seen_from(model, 2, 2, channel)[:, 2, 2].tolist() for channel in range(3)]
    assert own == [[False, False, False], [True, False, False], [True, True, False]]
    assert seen_from(model, 2, 2, 0)[:, 1].all()
    assert seen_from(model, 2, 2, 0)[:, 2, :2].all()


def test_a_row_is_begun_once_and_a_rewind_inside_it_computes_no_other(random_model, monkeypatch):
    spec = ImageSpec(1, 5, 6, 3)
    model, x = random_model("row_lstm", spec, hidden=4, layers=2), images(spec)
    decoder, begun = model.decoder(2), []
    for layer in decoder.model.layers:
        kept = layer.from_above
        monkeypatch.setattr(layer, "from_above", lambda h, kept=kept: begun.append(1) or kept(h))
    for t in range(spec.sites):
        decoder.params()
        decoder.push(x.flatten(1)[:, t])
    assert len(begun) == 2 * 5
    decoder.rewind(15)
    assert len(begun) == 2 * 6


def test_forget_gates_begin_open():
    """Fresh, so that what a row says is still there some rows below."""
    torch.manual_seed(0)
    model = create("row_lstm", ImageSpec(1, 4, 4, 2), hidden=8, layers=2)
    for layer in model.layers:
        i, f, o, g = layer.input.bias.detach().split(8)
        assert f.min() > 0.7
        assert max(part.abs().max() for part in (i, o, g)) < 0.3


def test_four_images_are_learned_by_heart():
    torch.manual_seed(0)
    spec = ImageSpec(1, 5, 6, 4)
    model, x = create("row_lstm", spec, hidden=16, layers=2), images(spec, 4)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = model.loss(x).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    assert model.loss(x).mean() < 1.386 + 0.5    # which of four it is costs log 4 nats; nothing else need
