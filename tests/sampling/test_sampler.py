"""Drawing step by step: stop anywhere, change a pixel, draw anew; and what cannot be done is said."""

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec, SpecMismatch
from arstudio.models import ClassRequired, ConfigError
from arstudio.progress import Cancelled, Progress
from arstudio.sampling import METHODS, Sampler, SampleSettings, SettingsError, methods, sample
from arstudio.sampling.sampler import balanced_classes
from arstudio.sampling.trace import DRAWN, FORCED, KNOWN

GREY, RGB = ImageSpec(1, 3, 4, 4), ImageSpec(3, 2, 3, 4)
KINDS = [
    ("fvsbn", {"order": "spiral"}), ("nade", {"hidden": 9}),
    ("pixelcnn", {"channels": 8, "blocks": 2, "head": 8}),
    ("gated_pixelcnn", {"channels": 8, "dilations": (1, 2), "head": 8}),
]


EACH = [(kind, spec) for kind in KINDS for spec in (GREY, RGB)]


@pytest.fixture(params=EACH, ids=lambda p: f"{p[0][0]}-{p[1]}")
def model(request, random_model):
    (name, config), spec = request.param
    return random_model(name, spec, seed=2, **config)


@pytest.fixture
def nade(random_model):
    return random_model("nade", GREY, hidden=9)


def test_a_drawing_that_stops_and_goes_on_is_the_same_drawing(model):
    whole = sample(model, 3, SampleSettings(seed=6), method="incremental")
    sampler = Sampler(model, SampleSettings(seed=6), 3, method="incremental")
    for until in (1, 5, 5, 2, 7):
        assert sampler.run(until=until).cursor == max(until, min(sampler.trace.cursor, 7))
    assert (sampler.trace.images() == model.spec.hidden).sum() == 3 * (model.spec.sites - 7)
    trace = sampler.run()
    assert trace.complete
    assert np.array_equal(trace.values, whole.values)
    assert np.array_equal(trace.log_probs, whole.log_probs)


def test_drawing_beyond_the_last_site_just_ends(nade):
    sampler = Sampler(nade, SampleSettings(), 1)
    assert sampler.run(until=10_000).complete
    assert sampler.step() is False
    assert sampler.trace.cursor == GREY.sites


def test_going_back_and_on_again_changes_nothing(model):
    sampler = Sampler(model, SampleSettings(seed=6, temperature=1.2), 3)
    before = sampler.run().values.copy()
    for step in (model.spec.sites - 1, 7, 4, 1, 0):
        sampler.rewind(step)
        assert sampler.trace.cursor == step
        assert np.array_equal(sampler.run().values, before)


@pytest.mark.parametrize("method", METHODS)
def test_a_changed_pixel_keeps_the_past_and_the_other_images(model, method):
    if method not in ("auto", *methods(model)):
        with pytest.raises(SettingsError, match=rf"cannot be drawn by {method}; choose one of incremental, "):
            Sampler(model, SampleSettings(), method=method)
        return
    sampler = Sampler(model, SampleSettings(seed=3), 4, method=method)
    before = sampler.run().values.copy()
    later_differs = False
    for step in (model.spec.sites - 1, 5, 2, 0):
        value = (int(before[1, step]) + 1) % 4
        sampler.change(1, step, value)
        assert sampler.trace.cursor == step
        after = sampler.run().values
        assert np.array_equal(after[1, :step], before[1, :step])
        assert after[1, step] == value
        assert np.array_equal(np.delete(after, 1, 0), np.delete(before, 1, 0))
        assert (sampler.trace.origin[1] == FORCED).sum() == 1
        assert sampler.trace.origin[1, step] == FORCED
        later_differs |= bool((after[1, step + 1:] != before[1, step + 1:]).any())
        with torch.inference_mode():
            expected = model.log_prob(torch.from_numpy(sampler.trace.images()).long())
        np.testing.assert_allclose(sampler.trace.log_probs.sum(1), expected, atol=1e-4)
        before = after.copy()
    assert later_differs, "a change that never shows later proves nothing"


def test_two_changes_are_both_kept_when_the_second_comes_later(nade):
    sampler = Sampler(nade, SampleSettings(seed=3), 2)
    sampler.run()
    sampler.change(0, 2, 3)
    sampler.change(1, 1, 3)
    sampler.run()
    sampler.change(0, 7, 0)
    values = sampler.run().values
    assert (values[0, 2], values[1, 1], values[0, 7]) == (3, 3, 0)
    whole = values.copy()
    sampler.rewind(0)
    assert np.array_equal(sampler.run().values, whole)
    sampler.change(0, 1, 1)
    sampler.run()
    assert np.argwhere(sampler.trace.origin == FORCED).tolist() == [[0, 1], [1, 1]]


def test_the_pixel_about_to_be_drawn_may_be_chosen_too(nade):
    sampler = Sampler(nade, SampleSettings(seed=3), 1)
    sampler.run(until=4)
    value = (int(sample(nade, 1, SampleSettings(seed=3)).values[0, 4]) + 1) % 4
    sampler.change(0, 4, value)
    assert sampler.run().values[0, 4] == value


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ((0, 3, 4), r"The value must be 0 to 3, not 4\."),
        ((0, 3, -1), r"The value must be 0 to 3, not -1\."),
        ((0, 7, 0), r"Only pixels up to step 6 can be changed now, not 7\."),
        ((0, -1, 0), r"Only pixels up to step 6 can be changed now, not -1\."),
        ((2, 3, 0), r"There is no image 2: they are numbered 0 to 1\."),
        ((-1, 3, 0), r"There is no image -1: they are numbered 0 to 1\."),
    ],
)
def test_a_change_that_cannot_be_made_changes_nothing(nade, change, sentence):
    sampler = Sampler(nade, SampleSettings(seed=3), 2)
    sampler.run(until=6)
    before = sampler.trace.images()
    with pytest.raises(SettingsError, match=sentence):
        sampler.change(*change)
    assert np.array_equal(sampler.trace.images(), before)
    assert np.array_equal(sampler.run().values, sample(nade, 2, SampleSettings(seed=3)).values)
    with pytest.raises(SettingsError, match=r"Only pixels up to step 11 can be changed now, not 12\."):
        sampler.change(0, 12, 0)


def test_drawing_anew_keeps_the_past_and_takes_the_noise_of_the_other_seed(model):
    sampler = Sampler(model, SampleSettings(seed=3), 3)
    before = sampler.run().values.copy()
    sampler.change(0, 2, 1)
    sampler.run()
    sampler.redraw(4, seed=99)
    after = sampler.run().values.copy()
    assert np.array_equal(after[1:, :4], before[1:, :4])
    assert after[0, 2] == 1
    assert (after[:, 4:] != before[:, 4:]).any()
    sampler.redraw(0, seed=99)
    assert np.array_equal(sampler.run().values, sample(model, 3, SampleSettings(seed=99)).values)


def test_the_future_cannot_be_drawn_anew_before_it_was_drawn(nade):
    sampler = Sampler(nade, SampleSettings(seed=3), 2)
    sampler.run(until=3)
    for step in (4, -1):
        with pytest.raises(SettingsError, match=rf"Only steps up to 3 can be drawn anew now, not {step}\."):
            sampler.redraw(step, seed=5)
    assert np.array_equal(sampler.run().values, sample(nade, 2, SampleSettings(seed=3)).values)


def test_known_sites_keep_their_value_even_single_colours(random_model):
    model = random_model("nade", RGB, hidden=9)
    rng = np.random.default_rng(0)
    x, known = rng.integers(0, 4, RGB.shape), rng.random(RGB.shape) < 0.5
    trace = Sampler(model, SampleSettings(), 5, x=x, known=known).run()
    images = trace.images()
    assert (images[:, known] == x[known]).all()
    assert len(np.unique(images[:, ~known], axis=0)) > 1
    place = known.reshape(-1)[trace.sites]
    assert ((trace.origin == KNOWN) == place).all()
    assert ((trace.origin == DRAWN) == ~place).all()


def test_known_values_the_model_cannot_draw_are_refused(nade):
    known = np.ones((3, 4), bool)
    for wrong in (4, -1):
        with pytest.raises(SpecMismatch, match=r"The known pixels hold levels .* the model draws 0 to 3\."):
            Sampler(nade, SampleSettings(), x=np.full(GREY.shape, wrong), known=known)
    Sampler(nade, SampleSettings(), x=np.full(GREY.shape, -1), known=~known).run()


def test_a_given_pixel_cannot_be_changed(nade):
    known = np.zeros((3, 4), bool)
    known[0] = True
    sampler = Sampler(nade, SampleSettings(), x=np.zeros(GREY.shape, int), known=known)
    sampler.run()
    with pytest.raises(SettingsError, match="This pixel was given"):
        sampler.change(0, 2, 1)
    sampler.change(0, 4, 1)


class Stop(Progress):
    """Stops after a number of questions."""

    def __init__(self, after):
        self.left, self.reports = after, []

    def cancelled(self):
        self.left -= 1
        return self.left < 0

    def report(self, fraction, text=""):
        self.reports.append((fraction, text))


def test_a_stopped_drawing_leaves_a_valid_trace_and_can_go_on(model):
    sampler, progress = Sampler(model, SampleSettings(seed=6), 2, method="incremental"), Stop(5)
    with pytest.raises(Cancelled):
        sampler.run(progress)
    assert sampler.trace.cursor == 5
    assert np.array_equal(sampler.run().values, sample(model, 2, SampleSettings(seed=6)).values)


def test_progress_ends_at_one(nade):
    progress = Stop(1000)
    Sampler(nade, SampleSettings()).run(progress)
    assert progress.reports[-1] == (1.0, "12 of 12 sites")


def test_what_cannot_be_sampled_is_refused(random_model, nade):
    classes = random_model("nade", GREY, 3, hidden=4, class_dropout=0)
    refusals = [
        (lambda: Sampler(nade, SampleSettings(), 0), SettingsError, r"images must be at least 1, not 0\."),
        (lambda: sample(nade, 1, method="magic"), SettingsError, "'magic'; choose one of auto, incremental, bl"),
        (lambda: sample(nade, 2, y=1), ConfigError, r"trained without classes"),
        (lambda: sample(classes, 2, y=3), ConfigError, r"There is no class 3"),
        (lambda: sample(classes, 2, y=torch.arange(3)), ConfigError, r"one for each of the 2 images, not 3"),
        (lambda: sample(classes, 2), ClassRequired, r"only with a class"),
    ]
    for attempt, kind, sentence in refusals:
        with pytest.raises(kind, match=sentence):
            attempt()


def test_balanced_classes_come_in_turn():
    assert balanced_classes(3, 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert balanced_classes(0, 7) is None


def test_a_class_draws_its_own_images(random_model):
    model = random_model("nade", GREY, 3, hidden=9)
    mixed = sample(model, 3, SampleSettings(seed=1), torch.tensor([0, 2, -1])).values
    for index, y in enumerate((0, 2, None)):
        assert np.array_equal(sample(model, 3, SampleSettings(seed=1), y).values[index], mixed[index])
    each = np.stack([sample(model, 9, y=y).values for y in (0, 1, 2)])
    assert len(np.unique(each, axis=0)) == 3
