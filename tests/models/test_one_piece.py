"""Tensors in one piece of memory: what they hold, where they begin and what they take."""

import sys

import pytest
import torch

from arstudio.models.one_piece import LARGE, LINE, in_one_piece

SHAPES = [(3, 5), (0,), (7,), (2, 1, 9)]


def resident(tensor: torch.Tensor) -> int:
    """Bytes of the mapping that a tensor lies in that are in memory (Linux)."""
    inside = False
    with open("/proc/self/smaps") as file:
        for line in file:
            first = line.split()[0]
            if not first.endswith(":"):
                start, end = (int(part, 16) for part in first.split("-"))
                inside = start <= tensor.data_ptr() < end
            elif inside and first == "Rss:":
                return int(line.split()[1]) * 1024
    raise AssertionError("The tensor lies in no mapping.")


@pytest.mark.parametrize("more", [0, LARGE], ids=["few", "many"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("zero", [False, True])
def test_every_tensor_has_a_place_of_its_own(dtype, zero, more):
    parts = in_one_piece(torch.zeros(1, dtype=dtype), shapes := [*SHAPES, (more,), (4,)], zero=zero)
    assert [part.shape for part in parts] == shapes
    assert {part.dtype for part in parts} == {dtype}
    if zero:
        assert not any(part.any() for part in parts)
    for i, part in enumerate(parts):
        assert part.is_contiguous()
        assert part.data_ptr() % LINE == 0 or not part.numel()
        part.fill_(i)
    assert all((part == i).all() for i, part in enumerate(parts))


def test_the_memory_lives_as_long_as_one_of_its_tensors():
    last = in_one_piece(torch.zeros(1), [(LARGE,), (3,)])[1]
    last.fill_(2.0)
    in_one_piece(torch.zeros(1), [(LARGE,), (3,)])[1].fill_(3.0)
    assert last.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("zero", [False, True])
def test_memory_that_is_not_there_is_told_as_such(zero):
    with pytest.raises(MemoryError):
        in_one_piece(torch.zeros(1), [(2**50,)], zero=zero)


@pytest.mark.skipif(sys.platform != "linux", reason="counts pages as Linux does")
def test_zeros_that_nobody_writes_take_no_memory():
    for _ in range(2):    # memory that was written, and given back, does not come again
        whole, = in_one_piece(torch.zeros(1), [(8 * LARGE,)], zero=True)
        before = resident(whole)
        whole[LARGE] = 1.0
        assert resident(whole) <= before + 2**16
        whole.fill_(1.0)
        assert resident(whole) >= whole.nbytes
