"""The lines of `captured.record` that only a GPU runs, on what stands for torch.cuda: order, arguments and streams."""

import copy
import inspect
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tape import Tape
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from arstudio.image import ImageSpec
from arstudio.sampling import Sampler, SampleSettings, captured, sample


class Stream:
    """A stream without a device; `current` is where work goes."""

    current = None

    def __init__(self, device=None):
        self.waited = []

    def wait_stream(self, other):
        self.waited.append(other)


@pytest.fixture
def cuda(monkeypatch):
    """The part of torch.cuda that recording calls, by tapes; every argument must fit the real signatures."""
    log, real = [], inspect.signature(torch.cuda.graph.__init__)
    monkeypatch.setattr(Stream, "current", Stream())

    class Graph:
        def __init__(self):
            self.tape = Tape()

        def pool(self):
            return (id(self), 0)

        def replay(self):
            self.tape()

    @contextmanager
    def stream(new):
        before, Stream.current = Stream.current, new
        yield
        Stream.current = before

    @contextmanager
    def graph(*args, **kwargs):
        bound = real.bind(None, *args, **kwargs).arguments
        log.append(bound)
        assert Stream.current is bound["stream"]
        with bound["cuda_graph"].tape:
            yield

    fakes = {"Stream": Stream, "stream": stream, "CUDAGraph": Graph, "graph": graph}
    for name, fake in {**fakes, "current_stream": lambda device=None: Stream.current}.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    record = captured.record
    monkeypatch.setattr(captured, "record", lambda functions, device: record(functions, torch.device("cuda")))
    return log


def test_the_functions_are_recorded_after_warming_up_on_a_stream_aside(cuda, random_model):
    model = random_model("gated_pixelcnn", ImageSpec(1, 5, 6, 4), 3, channels=9, dilations=(1, 2), head=9)
    y, where = torch.arange(3), []
    sampler = Sampler(model, SampleSettings(seed=2), 3, y, method="captured")
    look = sampler.decoder.look
    sampler.decoder.look = lambda *args: (where.append(Stream.current), look(*args))[1]
    assert np.array_equal(sampler.run().values, sample(model, 3, SampleSettings(seed=2), y, method="incremental").values)
    assert sampler.replays, sampler.notice
    assert not sampler.notice
    enter, step = cuda
    aside = enter["stream"]
    assert where[:captured.WARM_UP + 1] == [aside] * (captured.WARM_UP + 1)
    assert set(where[captured.WARM_UP + 1:]) == {Stream.current}, "two rows, to compare with"
    assert aside.waited == [Stream.current]
    assert Stream.current.waited == [aside]
    assert step["pool"] == enter["cuda_graph"].pool()
    assert {enter["capture_error_mode"], step["capture_error_mode"]} == {"thread_local"}


class Abroad(TorchDispatchMode):
    """Refuses tensors that are not on the meta device, which has shapes and no values to ask for."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        found = operation(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, found)) if isinstance(t, torch.Tensor)]
        assert all(t.device.type == "meta" for t in tensors), operation
        return found


@pytest.mark.parametrize("pixels", [0, 4096])
@pytest.mark.parametrize("likelihood", ["categorical", "logistic", "gaussian"])
@pytest.mark.parametrize("name", ["gated_pixelcnn", "pixelcnn"])
def test_a_step_touches_one_device_and_asks_for_no_value(name, likelihood, pixels, random_model, monkeypatch):
    monkeypatch.setattr(captured, "PIXELS", pixels)
    model = random_model(name, ImageSpec(3, 3, 4, 6), channels=8, likelihood=likelihood).to("meta")
    for guided, way in ((False, {"temperature": 0.0}), (True, {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "guidance": 2.0})):
        decoder, trace = model.row_steps(2 * (1 + guided)), SimpleNamespace(spec=model.spec, count=2)
        row = captured._Row(SimpleNamespace(
            trace=trace, decoder=decoder, model=model, settings=SampleSettings(**way), guided=guided
        ), 1)
        with torch.inference_mode(), Abroad():
            decoder.reset()
            row.enter()
            row._look()


GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"))


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("name", ["gated_pixelcnn", "pixelcnn"])
@pytest.mark.parametrize("count", [3, 400])
def test_every_device_draws_the_images_of_the_cpu(device, name, count, random_model):
    model = random_model(name, ImageSpec(1, 4, 6, 4), 3, gain=1.2, channels=8)
    y, settings = torch.arange(count) % 3, SampleSettings(seed=4, guidance=0.5, top_p=0.9)
    expected = sample(model, count, settings, y, method="incremental")
    sampler = Sampler(copy.deepcopy(model).to(device), settings, count, y, method="captured" if device == "cpu" else "auto")
    assert np.array_equal(sampler.run().values, expected.values)
    assert sampler._row.whole == (count == 3)
    assert sampler.method == "captured"
    assert sampler.replays == (device == "cuda"), sampler.notice
