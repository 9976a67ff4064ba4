"""LMConv: masks follow the order, its orientations are eight, snakes see everything, ensembles are distributions."""

import itertools

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import ConfigError
from arstudio.models.lmconv import orientations, random_part
from arstudio.models.local_conv import before, neighbours
from arstudio.models.orders import Order

TINY = {"channels": 4, "dilations": (1,), "head": 4, "first_kernel": 3}
STACK = {"channels": 12, "dilations": (1,) * 7, "head": 8, "first_kernel": 3}


def test_in_raster_order_the_mask_is_that_of_a_pixelcnn_everywhere_inside():
    masks = before(Order("raster", 5, 6), neighbours(3, 1))
    inside = masks[:, 1:-1, 1:-1]
    assert inside[:4].all()          # three above, one to the left
    assert not inside[4:].any()
    assert not masks[0, 0].any()     # nothing above the first row
    assert not masks[0, :, 0].any()


def test_a_mask_belongs_to_its_place():
    """Along a snake the neighbour that is earlier is the left one in even rows and the right one in odd rows."""
    offsets = neighbours(3, 1)
    masks = before(Order("snake", 4, 4), offsets)
    left, right = masks[offsets.index((0, -1))], masks[offsets.index((0, 1))]
    assert left[0].tolist() == [False, True, True, True]
    assert right[0].tolist() == [False] * 4
    assert left[1].tolist() == [False] * 4
    assert right[1].tolist() == [True, True, True, False]


@pytest.mark.parametrize("kind", ["raster", "snake", "column", "diagonal"])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 5)])
def test_an_order_has_eight_orientations_that_start_in_all_corners(kind, height, width):
    orders = orientations(Order(kind, height, width))
    assert orders[0] == Order(kind, height, width)
    assert len(orders) == 8
    corners = {0, width - 1, width * (height - 1), height * width - 1}
    assert {int(order.pixels[0]) for order in orders} == corners
    if kind in ("raster", "snake"):
        assert len({tuple(order.pixels) for order in orders}) == 8
    if kind == "snake":
        for order in orders:    # each step goes to a neighbour
            row, column = np.divmod(order.pixels, width)
            assert (abs(np.diff(row)) + abs(np.diff(column)) == 1).all()


def sees(model, pixel):
    e = model.encode(torch.zeros(1, *model.spec.shape, dtype=torch.long)).requires_grad_()
    params = model.network(e, model.class_index(None, 1)).flatten(2)[0, :, pixel]
    (gradient,) = torch.autograd.grad(params.square().sum(), e)
    return (gradient != 0).flatten()


def test_a_snake_has_no_blind_spot_where_a_raster_has_one(random_model):
    spec, pixel = ImageSpec(1, 6, 6, 2), 4 * 6 + 1
    seen = {}
    for kind in ("raster", "snake"):
        model = random_model("lmconv", spec, dtype=torch.float64, order=kind, **STACK)
        past = torch.from_numpy(model.order.rank.reshape(-1) < model.order.rank.reshape(-1)[pixel])
        seen[kind] = sees(model, pixel)
        assert not (seen[kind] & ~past).any()
        blind = (past & ~seen[kind]).nonzero().flatten().tolist()
        # a raster gains one column to the right with each row up, as a PixelCNN does
        expected = [r * 6 + c for r in range(4) for c in range(6) if c - 1 > 4 - r] if kind == "raster" else []
        assert blind == expected


def test_the_ensemble_is_a_distribution_and_the_mean_of_its_members(random_model):
    spec = ImageSpec(1, 2, 2, 2)
    model = random_model("lmconv", spec, gain=2.5, dtype=torch.float64, **TINY)
    x = torch.cartesian_prod(*[torch.arange(2)] * 4).view(-1, *spec.shape)
    with torch.inference_mode():
        members = torch.stack([member.log_prob(x) for member in model.members()])
        mean = model.ensemble_log_prob(x)
        some = model.ensemble_log_prob(x, orders=[Order("raster", 2, 2)])
    assert len(members) == 8
    assert float(mean.exp().sum()) == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(mean.exp(), members.exp().mean(0))
    assert float((members[0] - members[1]).abs().max()) > 0.05    # the orders are different distributions
    assert -mean.mean() <= -members.mean() + 1e-12                # Jensen
    torch.testing.assert_close(some, model.reordered(Order("raster", 2, 2)).log_prob(x))


def test_training_takes_the_orders_in_turn_and_reproducibly(random_model):
    model = random_model("lmconv", ImageSpec(1, 4, 4, 3), **TINY, orders=3)
    x = torch.randint(0, 3, (2, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    wanted = {tuple((-member.log_prob(x)).tolist()) for member in model.members()}
    assert len(wanted) == 3
    runs = []
    for _ in range(2):
        torch.manual_seed(4)
        runs.append([tuple(model.loss(x).tolist()) for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == wanted


def test_parts_that_come_first_have_every_size_and_training_takes_them(random_model):
    torch.manual_seed(1)
    parts = [random_part(6, 8) for _ in range(200)]
    shares = np.array([part.mean() for part in parts])
    assert parts[0].shape == (6, 8)
    assert shares.min() < 0.1 < 0.9 < shares.max()
    assert 0.4 < shares.mean() < 0.6
    assert len({part.tobytes() for part in parts}) > 150
    model = random_model("lmconv", ImageSpec(1, 4, 4, 3), **TINY, orders=2, completion=0.5).train()
    x = torch.randint(0, 3, (2, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    trained = {tuple((-member.log_prob(x)).tolist()) for member in model.members()}
    runs = []
    for _ in range(2):
        torch.manual_seed(4)
        runs.append([tuple(model.loss(x).tolist()) for _ in range(40)])
    assert runs[0] == runs[1]
    of_trained = sum(loss in trained for loss in runs[0])
    assert 8 <= of_trained <= 32
    assert {tuple(model.eval().loss(x).tolist()) for _ in range(20)} <= trained


def test_a_reordered_model_shares_weights_and_leaves_the_first_as_it_was(random_model):
    model = random_model("lmconv", ImageSpec(1, 4, 4, 3), **TINY)
    x = torch.randint(0, 3, (2, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    first = model(x)
    other = model.reordered(Order("random", 4, 4, 2))
    assert not torch.allclose(other(x), first)
    assert torch.equal(model(x), first)
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    assert all(a is b for a, b in pairs)
    assert model.state_dict().keys() == other.state_dict().keys()
    with pytest.raises(ConfigError, match="The order is for 3×4 images"):
        model.reordered(Order("raster", 3, 4))


def test_known_pixels_can_come_first_wherever_they_are(random_model):
    spec = ImageSpec(1, 4, 4, 2)
    model = random_model("lmconv", spec, dtype=torch.float64, **TINY | {"dilations": (1, 2, 1)})
    known = np.zeros((4, 4), dtype=bool)
    known[3] = True    # the bottom row, which a raster would draw last
    other = model.reordered(model.order.first(known))
    assert sees(other, 4 * 2 + 1)[12:].any()
    assert not sees(model, 4 * 2 + 1)[12:].any()


@pytest.mark.parametrize("half", [np.s_[:2], np.s_[2:], np.s_[:, :2], np.s_[:, 2:]])
def test_a_half_is_completed_in_a_trained_order(half, random_model):
    model = random_model("lmconv", ImageSpec(1, 4, 4, 2), **TINY)
    known = np.zeros((4, 4), dtype=bool)
    known[half] = True
    order = model.completion_order(known)
    assert known.reshape(-1)[order.pixels[:8]].all()
    assert tuple(order.pixels) in {tuple(trained.pixels) for trained in model.trained_orders}


def test_taps_no_order_uses_are_left_out_and_the_others_are_not(random_model):
    model = random_model("lmconv", ImageSpec(1, 6, 6, 2), **TINY | {"order": "raster"})
    used = model.masks(model.first)[1]
    assert [model.first.offsets[t] for t in used] == [(-1, -1), (-1, 0), (-1, 1), (0, -1)]
    free = model.reordered(Order("random", 6, 6, 1))
    assert len(free.masks(free.first)[1]) == 8
    assert len(model.masks(model.first)[1]) == 4


def test_the_mask_is_im2col_by_hand(random_model):
    """One layer against the sum over neighbours written out."""
    spec, order = ImageSpec(1, 3, 4, 3), Order("random", 3, 4, 5)
    model = random_model("lmconv", spec, dtype=torch.float64, **TINY).reordered(order)
    conv, rank = model.blocks[0].conv, order.rank
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = conv(x, conv.past(x, *model.masks(conv)))
    taps = conv.around.unflatten(0, (8, 4))
    for row, column in itertools.product(range(3), range(4)):
        total = conv.bias + x[:, row, column] @ conv.centre.weight.t()
        for weight, told, (down, right) in zip(taps, conv.told, conv.offsets, strict=True):
            r, c = row + down, column + right
            if 0 <= r < 3 and 0 <= c < 4 and rank[r, c] < rank[row, column]:
                total = total + x[:, r, c] @ weight + told
        torch.testing.assert_close(z[:, row, column], total)
