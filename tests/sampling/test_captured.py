"""Rows drawn by steps that a device records once and replays: the same images, by functions that could be recorded.

There need be no GPU: a `Tape` repeats what a CUDA graph would.
"""

import numpy as np
import pytest
import torch
from tape import taped
from torch.utils._pytree import tree_leaves
from wandering import same, wander

from arstudio.image import ImageSpec
from arstudio.models.memory import out_of_memory
from arstudio.sampling import Sampler, SampleSettings, captured, choose, methods, sample

GREY, RGB, REAL = ImageSpec(1, 5, 6, 4), ImageSpec(3, 3, 4, 3), ImageSpec(1, 3, 4, 0)
NETWORKS = [
    ("gated_pixelcnn", {"channels": 9, "dilations": (1, 2, 1), "kernel": 5, "head": 9}),
    ("pixelcnn", {"channels": 8, "blocks": 2, "first_kernel": 5, "head": 8}),
]
@pytest.fixture
def tapes(monkeypatch):
    """Let the functions be recorded by tapes, and give the list of those."""
    made = []

    def record(functions, device):
        made[:] = [taped(function) for function in functions]
        return list(made)

    monkeypatch.setattr(captured, "record", record)
    return made


def only_sites(monkeypatch):
    for name in ("PIXELS", "BINARY"):
        monkeypatch.setattr(captured, name, 0)


@pytest.fixture(params=["whole rows", "single sites"])
def looks(request, monkeypatch):
    """Both ways to draw a row."""
    if request.param == "single sites":
        only_sites(monkeypatch)


@pytest.fixture(params=[(*network, spec) for network in NETWORKS for spec in (GREY, RGB)], ids=lambda p: f"{p[0]}-{p[2]}")
def model(request, random_model):
    name, config, spec = request.param
    return random_model(name, spec, 3, gain=1.2, seed=3, **config)


WAYS = [{}, {"guidance": 1.5, "temperature": 0.7}, {"top_k": 2, "top_p": 0.8}, {"temperature": 0.0}, {"temperature": 1e-6}]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_was_recorded_on_one_row_draws_all_rows(model, way, looks, tapes):
    y, settings = torch.arange(4) % 3, SampleSettings(seed=5, **way)
    sampler = Sampler(model, settings, 4, y, method="captured")
    trace = sampler.run()
    assert len(tapes) == 2
    assert sampler.replays
    assert not sampler.notice
    assert np.array_equal(trace.classes, y)
    same(trace, sample(model, 4, settings, y, method="incremental"))


@pytest.mark.parametrize("likelihood", ["logistic", "gaussian"])
def test_mixtures_are_decided_on_the_device_too(likelihood, random_model, tapes):
    model = random_model("gated_pixelcnn", ImageSpec(1, 4, 5, 9), likelihood=likelihood, components=3, **NETWORKS[0][1])
    sampler = Sampler(model, SampleSettings(seed=1), 6, method="captured")
    same(sampler.run(), sample(model, 6, SampleSettings(seed=1), method="incremental"))
    assert sampler.replays


def test_a_row_takes_few_looks_or_one_a_site(model, monkeypatch):
    whole, sites = Sampler(model, SampleSettings(seed=5), 3, method="captured"), model.spec.sites
    whole.run()
    assert model.spec.height < whole.looks < sites
    only_sites(monkeypatch)
    single = Sampler(model, SampleSettings(seed=5), 3, method="captured")
    single.run()
    assert single.looks == sites


def test_what_the_referee_corrects_is_drawn_on_from(model, looks, tapes, monkeypatch):
    """A device whose sums are wrong in the second digit, under a margin that allows for it."""
    monkeypatch.setattr("arstudio.sampling.sampler.REFER", 0.03)
    y, settings = torch.arange(6) % 3, SampleSettings(seed=8)
    sampler, starts = Sampler(model, settings, 6, y, method="captured"), []
    look = sampler.decoder.look
    noise = 0.02 * torch.randn(6, 1, model.likelihood.num_params, generator=torch.Generator().manual_seed(1))
    sampler.decoder.look = lambda row, columns: look(row, columns) + noise
    judge = sampler._judge
    monkeypatch.setattr(sampler, "_judge", lambda *args: (starts.append(judge(*args)), starts[-1])[1])
    trace, other = sampler.run(), Sampler(model, settings, 6, y, method="incremental")
    assert np.array_equal(trace.values, other.run().values)
    assert sampler.referee.referred >= other.referee.referred > 0
    assert any(start is not None for start in starts), "nothing had to be drawn again, so this shows nothing"


def test_stopping_going_back_changing_and_drawing_anew_are_as_site_by_site(model, looks, tapes):
    spec, y = model.spec, torch.arange(3)
    x, known = np.full(spec.shape, 1), np.zeros((spec.height, spec.width), bool)
    known[1, 1:3] = known[2, 0] = True
    pair = [
        Sampler(model, SampleSettings(seed=7, guidance=0.5), 3, y, x=x, known=known, method=method)
        for method in ("captured", "incremental")
    ]
    wander(pair, 14, known)
    assert pair[0].replays


def test_going_back_draws_nothing_again(model, monkeypatch):
    sampler = Sampler(model, SampleSettings(seed=7), 2, method="captured")
    whole = sampler.run().values.copy()
    sampler.rewind(1)
    monkeypatch.setattr(sampler, "_settle", None)
    assert np.array_equal(sampler.run().values, whole)


FAILURES = [RuntimeError("operation not permitted when stream is capturing"), NotImplementedError("no graphs here")]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_a_device_that_cannot_record_draws_all_the_same_and_it_is_said(model, error, monkeypatch):
    def refuse(functions, device):
        functions[0]()
        functions[1]()
        raise error

    monkeypatch.setattr(captured, "record", refuse)
    y = torch.arange(3)
    sampler = Sampler(model, SampleSettings(seed=2), 3, y, method="captured")
    same(sampler.run(), sample(model, 3, SampleSettings(seed=2), y, method="incremental"))
    assert not sampler.replays
    assert sampler.notice == (
        f"This device could not record the steps ({type(error).__name__}), so every step is launched by itself: the images are "
        "the same, drawn more slowly."
    )


@pytest.mark.parametrize("wrong", ["look", "enter"])
def test_recordings_that_draw_something_else_are_given_up_and_it_is_said(model, wrong, looks, monkeypatch):
    def record(functions, device):
        good = [taped(function) for function in functions]
        if wrong == "enter":
            return [lambda: None, good[1]]
        row = functions[1].__self__
        return [good[0], lambda: (good[1](), row.values.index_copy_(0, row.columns[-1:], row.values[:1] * 0))]

    monkeypatch.setattr(captured, "record", record)
    y = torch.arange(3)
    sampler = Sampler(model, SampleSettings(seed=2), 3, y, method="captured")
    same(sampler.run(), sample(model, 3, SampleSettings(seed=2), y, method="incremental"))
    assert not sampler.replays
    assert "was not the row that is drawn without, so every step is launched by itself" in sampler.notice


def test_a_recording_that_fails_later_is_given_up_too(model, looks, tapes):
    y, settings = torch.arange(3), SampleSettings(seed=2)
    sampler = Sampler(model, settings, 3, y, method="captured")
    sampler.run(until=2 * model.spec.width * model.spec.channels)
    assert sampler._row.proved
    sampler._row._replayed[1] = lambda: 1 / 0
    same(sampler.run(), sample(model, 3, settings, y, method="incremental"))
    assert not sampler.replays
    assert sampler.notice


def test_a_device_that_never_gives_the_same_twice_is_an_error_and_no_image(model):
    sampler = Sampler(model, SampleSettings(seed=2), 3, torch.arange(3), method="captured")
    look, generator = sampler.decoder.look, torch.Generator().manual_seed(0)
    sampler.decoder.look = lambda row, columns: (p := look(row, columns)) + 9 * torch.randn(p.shape, generator=generator)
    with pytest.raises(RuntimeError, match="computes something else whenever the same is asked for"):
        sampler.run()
    assert sampler.trace.cursor == 0


def test_memory_that_runs_out_while_recording_halves_the_batch(model, monkeypatch):
    error = torch.OutOfMemoryError("CUDA out of memory.")
    assert out_of_memory(error)

    def record(functions, device):
        if functions[0].__self__.batch > 2:
            raise error
        return [taped(function) for function in functions]

    monkeypatch.setattr(captured, "record", record)
    y = torch.arange(5) % 3
    sampler = Sampler(model, SampleSettings(seed=2), 5, y, method="captured")
    same(sampler.run(), sample(model, 5, SampleSettings(seed=2), y, method="incremental"))
    assert sampler.size == 2
    assert sampler.notice == "Memory ran out with 3 images at once, so they are drawn 2 at a time."
    assert sampler._row is None, "what was recorded holds memory"


def test_it_is_chosen_on_cuda_only_and_not_for_reals(random_model, monkeypatch):
    grey, real = (random_model("gated_pixelcnn", spec, **NETWORKS[0][1]) for spec in (GREY, REAL))
    other = random_model("nade", GREY, hidden=5)
    assert choose(grey, 1).method == "blocks"
    assert "captured" in methods(grey)
    assert "captured" not in methods(real)
    for device, found in (("cuda", ["captured", "incremental", "incremental"]), ("mps", ["incremental"] * 3)):
        for model in (grey, real, other):
            monkeypatch.setattr(type(model), "device", property(lambda self, device=device: torch.device(device)))
        assert [choose(model, 64).method for model in (grey, real, other)] == found
    assert "captured" not in methods(grey), "MPS has no float64"
    monkeypatch.setattr(type(grey), "device", property(lambda self: torch.device("cuda")))
    assert choose(grey, 1024).why.startswith("A row's whole step is recorded once on this device and replayed")


def test_what_is_kept_for_an_image_is_what_the_formula_says(random_model):
    spec, p, dilations, k = ImageSpec(3, 6, 7, 5), 9, (1, 2, 4), 5
    model = random_model("gated_pixelcnn", spec, channels=p, dilations=dilations, kernel=k, head=9)
    numbers = 0
    for i, d in enumerate(dilations):
        inputs, high, pad = (p if i else spec.channels + 1), k // 2 + (i > 0), k // 2 * d
        numbers += ((high - 1) * d + 1) * (spec.width + 2 * pad) * inputs + (pad + spec.width) * inputs
        numbers += spec.width * 2 * p + 2 * 2 * p
    assert held(model) == 4 * numbers + 8 * (spec.sites + 1)
    other = random_model("pixelcnn", spec, channels=8, blocks=2, first_kernel=5, kernel=3, head=8)
    numbers = 3 * (spec.width + 4) * (spec.channels + 1) + spec.width * 8
    numbers += 2 * (2 * (spec.width + 2) * 4 + spec.width * 4 + 4)
    assert held(other) == 4 * numbers + 8 * (spec.sites + 1)


def held(model):
    """Bytes that one more image adds to what is kept."""
    sizes = []
    for batch in (3, 4):
        steps = model.row_steps(batch)
        tensors = tree_leaves([getattr(steps, name) for name in steps.batched])
        sizes.append(sum(t.untyped_storage().nbytes() for t in tensors))
    return sizes[1] - sizes[0]
