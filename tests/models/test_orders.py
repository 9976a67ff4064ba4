"""Orders are permutations; the small ones are written out."""

import numpy as np
import pytest

from arstudio.models.orders import ORDERS, Order

GRIDS = {
    "raster": [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]],
    "column": [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]],
    "snake": [[0, 1, 2, 3], [7, 6, 5, 4], [8, 9, 10, 11]],
    "diagonal": [[0, 1, 3, 6], [2, 4, 7, 9], [5, 8, 10, 11]],
    "spiral": [[0, 1, 2, 3], [9, 10, 11, 4], [8, 7, 6, 5]],
}


@pytest.mark.parametrize("kind", GRIDS)
def test_the_rank_of_every_pixel_of_a_3x4_image(kind):
    assert Order(kind, 3, 4).rank.tolist() == GRIDS[kind]


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (2, 2), (4, 4), (3, 5), (5, 3), (28, 28)])
@pytest.mark.parametrize("kind", ORDERS)
def test_every_order_is_a_permutation_and_rank_is_its_inverse(kind, shape):
    order = Order(kind, *shape, seed=7)
    size = shape[0] * shape[1]
    assert sorted(order.pixels.tolist()) == list(range(size))
    assert order.rank.shape == shape
    assert (order.rank.reshape(-1)[order.pixels] == np.arange(size)).all()


@pytest.mark.parametrize("kind", ORDERS)
def test_the_colours_of_a_pixel_come_together_red_first(kind):
    order = Order(kind, 3, 4)
    sites = order.sites(3)
    assert sorted(sites.tolist()) == list(range(36))
    channel, pixel = np.divmod(sites, 12)
    assert (channel == np.tile([0, 1, 2], 12)).all()
    assert (pixel == np.repeat(order.pixels, 3)).all()
    assert (order.sites(1) == order.pixels).all()


def test_a_random_order_follows_its_seed():
    first, again, other = (Order("random", 5, 5, seed=s).pixels for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match=r"There is no order 'zigzag'; choose one of raster, column.*\.$"):
        Order("zigzag", 2, 2)
