"""`auto`: which way of drawing is taken for how many images of how many levels."""

import pytest

from arstudio.image import ImageSpec
from arstudio.models import create
from arstudio.sampling.choice import choose

SMALL = {"channels": 8, "head": 8, "dilations": (1, 2)}


@pytest.mark.parametrize(
    ("size", "levels", "count", "method"),
    [
        (28, 2, 1, "blocks"), (28, 2, 64, "blocks"), (8, 17, 2, "blocks"), (8, 17, 3, "incremental"), (28, 8, 9, "blocks"),
        (28, 8, 10, "incremental"), (28, 256, 1, "incremental"), (28, 0, 1, "incremental"),
    ],
)
def test_guesses_are_made_where_they_come_true(size, levels, count, method):
    model = create("gated_pixelcnn", ImageSpec(1, size, size, levels), **SMALL)
    choice = choose(model, count)
    assert choice.method == method
    assert choice.why.endswith(".")


def test_a_wide_network_looks_at_rows_whatever_comes_true():
    model = create("gated_pixelcnn", ImageSpec(1, 8, 8, 17), **SMALL | {"channels": 96})
    assert choose(model, 64).method == "blocks"
