"""A dataset small enough to learn by heart, on disk and in memory."""

import numpy as np
import pytest

from arstudio.data import load


@pytest.fixture
def stripes(tmp_path):
    """Path of an .npz: 5×4 binary images, upright stripes (class 0) and lying ones (class 1),
    a tenth of it noise."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:5, :4]
    arrays = {}
    for name, count in (("train", 22), ("validation", 10), ("test", 7)):
        y = np.arange(count) % 2
        clean = np.where(y[:, None, None], row % 2, column % 2)
        arrays[f"{name}_x"] = (clean ^ (rng.random(clean.shape) < 0.1)).astype(np.uint8)
        arrays[f"{name}_y"] = y
    np.savez(tmp_path / "stripes.npz", classes=np.array(["upright", "lying"]), **arrays)
    return tmp_path / "stripes.npz"


@pytest.fixture
def data(stripes):
    """The same as an ImageDataset."""
    return load(str(stripes))
