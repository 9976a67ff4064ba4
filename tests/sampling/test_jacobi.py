"""Blocks and whole images settled by guesses: nothing is done twice that need not be, and threads change nothing."""

import threading
import time

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import threads
from arstudio.progress import Cancelled, Progress
from arstudio.sampling import Sampler, SampleSettings, choose, jacobi, sample
from arstudio.sampling.jacobi import JacobiSampler

SHARED = 4    # images a thread

GREY, RGB, REAL = ImageSpec(1, 5, 6, 4), ImageSpec(3, 3, 4, 4), ImageSpec(1, 3, 4, 0)
GATED = {"channels": 9, "dilations": (1, 2, 1), "head": 9}


@pytest.fixture(params=[GREY, RGB, REAL], ids=str)
def model(request, random_model):
    return random_model("gated_pixelcnn", request.param, 3, gain=0.7, seed=2, **GATED)


@pytest.fixture
def grey(random_model):
    return random_model("gated_pixelcnn", GREY, seed=2, **GATED)


def test_the_quick_way_is_taken_and_the_reason_said(grey, random_model):
    sampler = Sampler(grey, SampleSettings(seed=1), 2, method="auto")
    assert sampler.method == "blocks"
    assert sampler.choice == choose(grey, 2)
    assert sampler.choice.why.endswith(".")
    assert np.array_equal(sampler.run().values, sample(grey, 2, SampleSettings(seed=1), method="naive").values)
    assert choose(random_model("order_agnostic", GREY, channels=4), 1).method == "incremental"
    crowd = [choose(random_model("nade", GREY, hidden=5), count) for count in (1, 64)]
    assert [choice.method for choice in crowd] == ["blocks", "incremental"]
    assert "64 images" in crowd[1].why


@pytest.mark.parametrize("guidance", [0.0, 1.5])
def test_stopping_changing_and_drawing_anew_in_blocks_is_as_site_by_site(model, guidance):
    way, value = SampleSettings(seed=3, guidance=guidance, temperature=1.1), 1 if model.spec.levels else 0.25
    one, other = (Sampler(model, way, 5, torch.arange(5) % 3, method=method) for method in ("blocks", "incremental"))
    for end in (1, 7, 7, 8, model.spec.sites):
        assert one.run(until=end).cursor == end
        assert np.array_equal(one.trace.values[:, :end], other.run(until=end).values[:, :end])
    for index, step in ((1, 7), (4, 2), (1, 9), (0, model.spec.sites - 1)):
        for sampler in (one, other):
            sampler.change(index, step, value)
            sampler.run()
        assert np.array_equal(one.trace.values, other.trace.values)
        assert np.array_equal(one.trace.origin, other.trace.origin)
    for sampler in (one, other):
        sampler.redraw(5, 99)
        sampler.rewind(2)
        sampler.run()
    assert np.array_equal(one.trace.values, other.trace.values)
    np.testing.assert_allclose(one.trace.log_probs, other.trace.log_probs, atol=1e-4)
    np.testing.assert_allclose(one.trace.pmfs, other.trace.pmfs, atol=1e-5)
    np.testing.assert_allclose(one.trace.entropies, other.trace.entropies, atol=1e-4)


def test_given_pixels_are_never_guessed_wrong(grey):
    rng = np.random.default_rng(0)
    x, known = rng.integers(0, 4, GREY.shape), rng.random((5, 6)) < 0.5
    drawn = [Sampler(grey, SampleSettings(), 5, x=x, known=known, method=method).run() for method in ("blocks", "naive")]
    assert np.array_equal(drawn[0].values, drawn[1].values)
    assert (drawn[0].images()[:, :, known] == x[:, known]).all()
    whole = Sampler(grey, SampleSettings(), 5, x=x, known=np.ones((5, 6), bool), method="blocks")
    whole.run()
    assert whole.looked == 5 * GREY.pixels


@pytest.mark.parametrize("method", ["blocks", "jacobi"])
@pytest.mark.parametrize("spec", [GREY, RGB], ids=str)
def test_many_images_take_their_first_guess_from_a_look_at_one(spec, method, random_model, monkeypatch):
    model, drawn = random_model("gated_pixelcnn", spec, 3, seed=2, **GATED), []
    for sketch in (JacobiSampler._sketch, lambda *_: None):
        monkeypatch.setattr(JacobiSampler, "_sketch", sketch)
        drawn.append(Sampler(model, SampleSettings(seed=3, guidance=0.5), 12, 1, method=method))
        drawn[-1].run()
    with_sketch, without = drawn
    assert np.array_equal(with_sketch.trace.values, without.trace.values)
    row = model.spec.pixels if method == "jacobi" else model.spec.width
    assert 0 < without.looked - with_sketch.looked <= 12 * row


def test_going_back_draws_nothing_again_and_a_change_only_its_own_image_from_there_on(grey):
    sampler = Sampler(grey, SampleSettings(seed=3), 3, method="blocks")
    sampler.run()
    entered, enter = [], sampler.decoder.enter
    sampler.decoder.enter = lambda images, block: entered.append((images.tolist(), block)) or enter(images, block)
    done = sampler.looked
    sampler.rewind(0)
    sampler.run()
    assert sampler.looked == done
    sampler.change(1, 15, (int(sampler.trace.values[1, 15]) + 1) % 4)    # row 2, column 3
    sampler.run(until=16)
    assert entered == [([1], 2)]
    assert sampler.looked - done <= 6, "its own row once"
    sampler.run()
    assert entered == [([1], 2), ([1], 3), ([1], 4)]


def test_a_change_of_the_row_being_drawn_starts_from_that_pixel(grey):
    sampler = Sampler(grey, SampleSettings(seed=3), 1, method="blocks")
    sampler.run(until=11)
    done = sampler.looked
    sampler.change(0, 10, (int(sampler.trace.values[0, 10]) + 1) % 4)
    sampler.step(11)
    assert sampler.looked - done <= 2, "of six pixels in the row"


class Slow(Progress):
    """Counts its questions from every thread, and stops after some."""

    def __init__(self, after):
        self.left, self.seen = after, []

    def cancelled(self):
        self.left -= 1
        return self.left < 0

    def report(self, fraction, text=""):
        self.seen.append(fraction)


def test_images_shared_between_threads_come_out_the_same_and_can_be_stopped(grey, monkeypatch):
    monkeypatch.setattr(threads, "ALL", 3)
    monkeypatch.setattr(type(grey), "images_a_thread", SHARED)
    count, way = 3 * SHARED + 1, SampleSettings(seed=5)
    alone = sample(grey, count, way, method="incremental")
    sampler, progress = Sampler(grey, way, count, method="blocks"), Slow(8)
    with pytest.raises(Cancelled):
        sampler.run(progress)
    cursor = sampler.trace.cursor
    assert cursor < GREY.sites
    assert np.array_equal(sampler.trace.values[:, :cursor], alone.values[:, :cursor])
    progress = Slow(10_000)
    assert sampler.run(progress).complete
    assert np.array_equal(sampler.trace.values, alone.values)
    assert progress.seen == sorted(progress.seen)
    assert progress.seen[-1] == 1.0


@pytest.mark.parametrize("spec", [GREY, REAL], ids=str)
@pytest.mark.parametrize("patience", [0, jacobi.PATIENCE, 10**6])
@pytest.mark.parametrize("stop", [10_000, 3], ids=["through", "stopped"])
def test_threads_go_on_before_the_verdict_and_back_where_it_is_another(spec, patience, stop, random_model, monkeypatch):
    """A float32 that is wrong in the second digit, under a margin that allows for it, and verdicts that are heard at once, when
    more than a few are open, or when nothing else is left to do."""
    monkeypatch.setattr(jacobi, "PATIENCE", patience)
    monkeypatch.setattr("arstudio.sampling.sampler.REFER", 0.03)
    monkeypatch.setattr("arstudio.sampling.sampler.REFER_REAL", 0.03)
    monkeypatch.setattr(threads, "ALL", 2)
    model, settings, count = random_model("gated_pixelcnn", spec, seed=2, **GATED), SampleSettings(seed=4), 2 * 16
    sampler, went_back = Sampler(model, settings, count, method="blocks"), []
    waiting, asked_about = [], {}
    look, ask, go_back = sampler.decoder.look, sampler._question, sampler._go_back
    shape = (count, spec.pixels, spec.channels, model.likelihood.num_params)
    noise = 0.01 * torch.randn(shape, generator=torch.Generator().manual_seed(1))

    def wrong(images, pixels):
        waiting.append(sum(not verdict.heard for verdict in list(sampler._asked.values())))
        return look(images, pixels) + noise[images, pixels].to(model.dtype)

    def question(rows, site, u):
        asked_about[int(rows[0]), site] = sampler.decoder.x[rows[0]].flatten().clone()
        return ask(rows, site, u)

    def back():
        went_back.append(go_back())
        for image, step in [] if went_back[-1] else sampler._asked:
            before = sampler.trace.sites[:step]
            past = asked_about[image, sampler.trace.site(step)][before]
            assert torch.equal(past, sampler.decoder.x[image].flatten()[before]), "asked about another past"
        return went_back[-1]

    sampler.decoder.look = wrong
    monkeypatch.setattr(sampler, "_question", question)
    monkeypatch.setattr(sampler, "_go_back", back)
    other = Sampler(model, settings, count, method="incremental")
    other.run()
    if stop < 10:
        with pytest.raises(Cancelled):
            sampler.run(Slow(stop))
        cursor = sampler.trace.cursor
        assert np.array_equal(sampler.trace.values[:, :cursor], other.trace.values[:, :cursor])
    assert np.array_equal(sampler.run().values, other.trace.values)
    assert min(sampler.referee.referred, other.referee.referred) > 20
    assert went_back[-1] is False
    assert max(waiting) <= patience + 1, "the other thread may be about to hear one"
    assert any(went_back) or patience < 10**6 or stop < 10, "nothing had to be drawn again, so this shows nothing"


def test_a_referee_that_fails_is_heard_and_the_drawing_can_go_on(grey, monkeypatch):
    monkeypatch.setattr("arstudio.sampling.sampler.REFER", 0.03)
    monkeypatch.setattr(threads, "ALL", 2)
    sampler = Sampler(grey, SampleSettings(seed=4), 32, method="blocks")
    other = Sampler(grey, SampleSettings(seed=4), 32, method="incremental")
    with monkeypatch.context() as patch:
        patch.setattr(sampler.referee, "params", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sampler.run()
    cursor = sampler.trace.cursor
    assert cursor < GREY.sites
    assert np.array_equal(sampler.trace.values[:, :cursor], other.run().values[:, :cursor])
    assert np.array_equal(sampler.run().values, other.trace.values)


def test_a_failure_is_not_told_before_the_other_threads_have_ended(grey, monkeypatch):
    """Who is still at work may ask the referee, and must not leave an answer behind for the next run."""
    monkeypatch.setattr(threads, "ALL", 2)
    monkeypatch.setattr(type(grey), "images_a_thread", SHARED)
    sampler = Sampler(grey, SampleSettings(seed=5), 2 * SHARED, method="blocks")
    back, order, busy = sampler._go_back, [], threading.Event()

    def advance(images, end):
        if images[0]:
            busy.set()
            time.sleep(0.3)
            order.append("the other has ended")
        else:
            busy.wait(10)
            raise ArithmeticError("no more")

    monkeypatch.setattr(sampler, "_advance", advance)
    monkeypatch.setattr(sampler, "_go_back", lambda: [order.append("verdicts are heard"), back()][1])
    with pytest.raises(ArithmeticError, match="no more"):
        sampler.run()
    assert order == ["the other has ended", "verdicts are heard"]


def test_a_failure_in_a_thread_ends_the_others_and_is_told(grey, monkeypatch):
    monkeypatch.setattr(threads, "ALL", 2)
    monkeypatch.setattr(type(grey), "images_a_thread", SHARED)
    sampler = Sampler(grey, SampleSettings(seed=5), 2 * SHARED, method="blocks")
    advance = sampler._advance

    def fail(images, end):
        if images[0]:
            raise ArithmeticError("no more")
        advance(images, end)

    monkeypatch.setattr(sampler, "_advance", fail)
    with pytest.raises(ArithmeticError, match="no more"):
        sampler.run()
