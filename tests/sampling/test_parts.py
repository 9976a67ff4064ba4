"""Where memory runs out, fewer images are drawn at once, it is said, and the images stay the same."""

from collections import Counter

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models.decoder import Decoder
from arstudio.sampling import Sampler, SampleSettings, sample

SPEC = ImageSpec(1, 4, 5, 3)
ERRORS = [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: not enough memory")]


@pytest.fixture(scope="module")
def model(random_model):
    return random_model("pixelcnn", SPEC, 3, channels=8, blocks=1, first_kernel=3, head=8)


def full(monkeypatch, model, most, error, where):
    """Let decoders for more than `most` images fail when they are made, or at their second site, look or visit."""
    calls = Counter()

    def fail(decoder):
        calls[id(decoder)] += 1
        if len(decoder.x) > most and calls[id(decoder)] > 1:
            raise error

    def failing(made):
        def make(self, batch, y=None):
            if batch > most and where == "making":
                raise error
            found = made(self, batch, y)
            for name in {"params", "look", "visit"} & set(dir(found)):
                inner = getattr(found, name)
                setattr(found, name, lambda *args, inner=inner: (fail(found), inner(*args))[1])
            return found

        return make

    for name in ("decoder", "row_steps"):
        monkeypatch.setattr(type(model), name, failing(getattr(type(model), name)))


@pytest.mark.parametrize("where", ["making", "drawing"])
@pytest.mark.parametrize("method", ["incremental", "blocks", "wavefront", "captured"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_batch_is_halved_until_it_fits_and_the_images_stay_the_same(model, error, method, where, monkeypatch):
    y, way = torch.arange(7) % 3, SampleSettings(seed=3, guidance=1.0)
    whole = sample(model, 7, way, y, method="incremental")
    full(monkeypatch, model, 4, error, where)
    sampler = Sampler(model, way, 7, y, method=method)
    trace = sampler.run()
    assert sampler.size == 2    # with guidance every image is there twice
    assert sampler.notice == "Memory ran out with 4 images at once, so they are drawn 2 at a time."
    assert np.array_equal(trace.values, whole.values)
    np.testing.assert_allclose(trace.log_probs, whole.log_probs, atol=1e-4)
    np.testing.assert_allclose(trace.pmfs, whole.pmfs, atol=1e-4)


def test_what_is_known_changed_or_drawn_anew_is_so_in_parts_too(model, monkeypatch):
    known = np.zeros((4, 5), dtype=bool)
    known[1:3] = True
    x, y = np.full(SPEC.shape, 2), torch.arange(5) % 3

    def job(method):
        sampler = Sampler(model, SampleSettings(seed=1), 5, y, method=method, x=x, known=known)
        sampler.run(until=13)
        sampler.change(4, 2, 1)
        sampler.run(until=18)
        sampler.redraw(16, seed=9)
        while sampler.step():
            pass
        return sampler

    whole = job("incremental").trace
    full(monkeypatch, model, 2, MemoryError(), "drawing")
    for method in ("incremental", "blocks", "wavefront", "captured"):
        sampler = job(method)
        assert sampler.size == 2
        assert np.array_equal(sampler.trace.values, whole.values)
        assert np.array_equal(sampler.trace.origin, whole.origin)
        assert sampler.classes.tolist() == y.tolist()


def test_one_image_that_does_not_fit_is_an_error_and_other_errors_are_no_lack_of_memory(model, monkeypatch):
    with monkeypatch.context() as patch:
        full(patch, model, 0, MemoryError(), "making")
        with pytest.raises(MemoryError):
            sample(model, 3)
    monkeypatch.setattr(Decoder, "push", lambda self, value: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sample(model, 3, method="incremental")
