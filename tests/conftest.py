"""For every test: a home directory of its own, reproducible examples, few threads,
models with random weights. No Qt."""

import math
import os

import hypothesis
import pytest

from arstudio.openmp import wait_briefly

# Before torch is imported; these tests are small.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
wait_briefly()
hypothesis.settings.register_profile("arstudio", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("arstudio")


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory):
    """An empty home directory: nothing a test does reads or writes the person's own settings."""
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
            patch.setenv(name, str(path))
        for name in ("CONFIG", "DATA", "CACHE", "STATE"):
            patch.setenv(f"XDG_{name}_HOME", str(path / name.lower()))
        yield path


@pytest.fixture(scope="session")
def random_model():
    """A function that builds a model whose weights are all random, so that no conditional is flat.

    `gain` is the standard deviation of an output when every input is a standard normal number; fresh models
    start with zeros and small weights, under which a wrong connection would hardly show.
    """
    import torch

    from arstudio.models import create

    def build(name, spec, num_classes=0, *, gain=1.5, seed=0, dtype=torch.float32, **config):
        model = create(name, spec, num_classes, **config)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in model.parameters():
                scale = gain / math.sqrt(max(1, p[0].numel())) if p.dim() > 1 else 0.3
                p.copy_(scale * torch.randn(p.shape, generator=generator, dtype=torch.float64))
        return model.eval().to(dtype)

    return build
