"""RNN over pixels: the published cells, one step equal to the sequence, and a start that is no level."""

import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create

SPEC, CELLS = ImageSpec(1, 28, 28, 2), ("tanh", "gru", "lstm")


def images(spec, count=2, seed=0):
    return torch.randint(0, spec.levels, (count, *spec.shape), generator=torch.Generator().manual_seed(seed))


def inputs_of(model, x):
    """(B, D, 2 + E) what enters the recurrence for images x."""
    seen = []
    hook = model.recurrence.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(x)
    hook.remove()
    return seen[0]


def by_the_book(cell, u, weights):
    """(B, D, H) states from (B, D, I) inputs: the formulas of the papers, gate by gate."""
    w, v, b_w, b_v = weights
    hidden = v.shape[1]
    h = c = u.new_zeros(len(u), hidden)
    states = []
    for t in range(u.shape[1]):
        a = [part + bias for part, bias in zip((u[:, t] @ w.T).split(hidden, 1), b_w.split(hidden), strict=True)]
        s = [part + bias for part, bias in zip((h @ v.T).split(hidden, 1), b_v.split(hidden), strict=True)]
        if cell == "tanh":
            h = (a[0] + s[0]).tanh()
        elif cell == "gru":
            r, z = (a[0] + s[0]).sigmoid(), (a[1] + s[1]).sigmoid()
            h = (1 - z) * (a[2] + r * s[2]).tanh() + z * h
        else:
            i, f, g, o = (p + q for p, q in zip(a, s, strict=True))
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        states.append(h)
    return torch.stack(states, 1)


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_follows_the_published_equations(cell, random_model):
    spec = ImageSpec(1, 3, 4, 5)
    model = random_model("pixel_rnn", spec, dtype=torch.float64, cell=cell, hidden=5, layers=2, place=3)
    x = images(spec)
    with torch.no_grad():
        h = inputs_of(model, x)
        for weights in model.recurrence.all_weights:
            h = by_the_book(cell, h, weights)
        expected = h @ model.out.weight.T + model.out.bias
        torch.testing.assert_close(model(x).flatten(2).transpose(1, 2), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_single_steps_give_the_numbers_of_the_whole_sequence(cell, layers, random_model):
    """Over all 784 sites of an image, in float64."""
    model = random_model("pixel_rnn", SPEC, gain=1.0, dtype=torch.float64, cell=cell, hidden=8, layers=layers, place=3)
    x = images(SPEC)
    with torch.inference_mode():
        u = inputs_of(model, x)
        whole = model.recurrence(u)[0]
        parts = layers * (2 if cell == "lstm" else 1)
        state = [u.new_zeros(2, 8) for _ in range(parts)]
        for t in range(SPEC.sites):
            state = model.step(u[:, t], state)
            torch.testing.assert_close(state[-2 if cell == "lstm" else -1], whole[:, t], rtol=1e-9, atol=1e-9)


def test_the_start_is_told_apart_from_every_level(random_model):
    spec = ImageSpec(1, 2, 3, 3)
    model = random_model("pixel_rnn", spec, hidden=4, place=2)
    x = images(spec, 4)
    u = inputs_of(model, x)
    assert (u[:, 0, :2] == torch.tensor([0.0, 1.0])).all()
    assert torch.equal(u[:, 1:, 0], x.flatten(1)[:, :-1] - 1.0)    # levels 0, 1, 2 are −1, 0, 1
    assert (u[:, 1:, 1] == 0).all()


@pytest.mark.parametrize("order", ["raster", "column", "snake", "diagonal", "spiral", "random"])
def test_each_step_is_told_where_its_own_site_lies(order, random_model):
    spec = ImageSpec(3, 3, 4, 2)
    model = random_model("pixel_rnn", spec, order=order, hidden=4, place=5)
    places = inputs_of(model, images(spec, 1))[0, :, 2:]
    decoder = model.decoder(1)
    for t in range(spec.sites):
        channel, row, column = decoder.site()
        parts = model.colours.weight[channel], model.rows.weight[row], model.columns.weight[column]
        torch.testing.assert_close(places[t], sum(parts))
        decoder.push(torch.zeros(1, dtype=torch.long))
    assert len(places.unique(dim=0)) == spec.sites


@pytest.mark.parametrize("cell", CELLS)
def test_going_back_replays_less_than_a_row(cell, random_model, monkeypatch):
    spec = ImageSpec(3, 5, 6, 4)
    model, x = random_model("pixel_rnn", spec, cell=cell, hidden=4, place=2, order="spiral"), images(spec)
    decoder, steps = model.decoder(2), []
    values = x.flatten(1)[:, model.site_index]
    for t in range(spec.sites):
        decoder.push(values[:, t])
    step = decoder.model.step
    monkeypatch.setattr(decoder.model, "step", lambda *given: steps.append(1) or step(*given))
    for position in (spec.sites, spec.sites - 1, 61, 36, 35, 1, 0):
        steps.clear()
        decoder.rewind(position)
        assert len(steps) == position % 18


def test_gates_carry_the_pixel_above_further_than_tanh_does():
    """It lies 28 steps back; how much of its gradient is left in a fresh network, of the share of the last pixel."""
    left = {}
    for cell in CELLS:
        torch.manual_seed(0)
        model = create("pixel_rnn", SPEC, cell=cell, hidden=16).double()
        e = model.encode(images(SPEC, 1)).requires_grad_()
        (gradient,) = torch.autograd.grad(model.network(e, model.class_index(None, 1))[..., -1, -1].sum(), e)
        gradient = gradient.abs().flatten()
        assert gradient[0] > 0
        assert gradient[-1] == 0
        left[cell] = float(gradient[-29] / gradient[-2])
    assert left["lstm"] > left["gru"] > 100 * left["tanh"]


def test_fresh_recurrent_weights_keep_lengths_and_forget_gates_are_open():
    model = create("pixel_rnn", SPEC, hidden=7, layers=2)
    for w, v, b_w, b_v in model.recurrence.all_weights:
        for block in v.split(7):
            torch.testing.assert_close(block @ block.T, torch.eye(7), atol=1e-5, rtol=0)
        assert (b_v[7:14] == 1).all()
        assert w.abs().max() < 1
        assert b_w.abs().max() < 1


@pytest.mark.parametrize("cell", CELLS)
def test_four_images_are_learned_by_heart(cell):
    torch.manual_seed(0)
    spec = ImageSpec(1, 5, 6, 4)
    model, x = create("pixel_rnn", spec, cell=cell, hidden=32, place=8), images(spec, 4)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = model.loss(x).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    assert model.loss(x).mean() < 1.386 + 0.5    # which of four it is costs log 4 nats; nothing else need
