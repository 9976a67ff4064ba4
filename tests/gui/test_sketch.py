"""Methods and how far to trust them, hints about brightness, and the sketch the model continues while a person draws."""

import copy

import numpy as np
import pytest
from hands import LEFT, RIGHT, at, click, complete

from arstudio.gui.panels.complete_live import Pace

PACE = Pace.took    # which the panel of these tests is kept from


@pytest.fixture
def panel(complete_panel):
    return complete_panel


@pytest.mark.parametrize(("part", "chosen", "method"), [
    ("bottom", "Auto", "exact"), ("top", "Auto", "particles"), ("top", "Clamp", "clamp"), ("bottom", "Exact", "exact"),
    ("blob", "Particles · 32", "particles"),
])
def test_each_method_says_what_it_conditioned_on_and_how_far_to_trust_it(qtbot, panel, part, chosen, method):
    click(qtbot, panel.hide_bar.buttons[part])
    panel.page.method.setCurrentText(chosen)
    found = complete(qtbot, panel)
    assert found.found.method == method
    words = panel.side.sentence.text()
    assert words.startswith({"exact": "Exact:", "particles": "Particles:", "clamp": "Clamping:"}[method])
    assert ("Chosen because" in words) == (chosen == "Auto")
    assert panel.side.gauge.words.text() == found.found.trust.words
    assert panel.side.gauge.lights.level == found.found.trust.level
    known = np.broadcast_to(~found.sheet.hidden, found.images.shape)
    assert (found.images[known] == np.broadcast_to(found.sheet.content, found.images.shape)[known]).all()
    if method == "particles":
        assert found.found.population.repeats == 2
        assert "particles" in panel.side.gauge.words.text()
        assert "Effective number of particles" in panel.side.gauge.toolTip()
    if method == "clamp":
        assert panel.side.figures.text("evidence").startswith("~")


def test_an_exact_completion_of_a_model_with_one_order_is_refused_in_a_sentence(qtbot, panel, messages):
    click(qtbot, panel.hide_bar.buttons["top"])
    panel.page.method.setCurrentText("Exact")
    complete(qtbot, panel)
    assert messages[-1][0] == "error"
    assert "choose particles" in messages[-1][1]
    assert panel.result is None
    assert not panel.canvas.previewing


def test_more_particles_are_one_click_away_where_they_would_help(qtbot, panel, studio):
    sure = copy.deepcopy(studio.model)
    for weights in sure.parameters():                  # so sure of itself that few particles meet what is known
        weights.data.mul_(2)
    studio.use_model(sure, studio.card)
    click(qtbot, panel.hide_bar.buttons["top"])
    panel.page.method.setCurrentText("Clamp")
    assert complete(qtbot, panel).found.trust.level == "poor"
    for number in (128, 512):
        assert panel.result.found.trust.level in ("poor", "fair")
        assert panel.side.gauge.more.isVisibleTo(panel.side)
        assert panel.side.gauge.more.text() == f"Complete with {number} particles"
        click(qtbot, panel.side.gauge.more)
        qtbot.waitUntil(lambda: not panel.running, timeout=30_000)
        assert panel.page.method.currentText() == f"Particles · {number}"
        people = panel.result.found.population
        assert people.particles * people.repeats == number
    click(qtbot, panel.hide_bar.buttons["bottom"])
    panel.page.method.setCurrentText("Exact")
    complete(qtbot, panel)
    assert panel.side.gauge.lights.level == "exact"
    assert not panel.side.gauge.more.isVisibleTo(panel.side)


def test_everything_hidden_is_drawn_from_the_model_alone(qtbot, panel):
    click(qtbot, panel.hide_bar.buttons["clear"])
    click(qtbot, panel.hide_bar.buttons["invert"])
    assert panel.canvas.sheet.hidden.all()
    found = complete(qtbot, panel)
    assert found.finished
    assert panel.side.figures.text("evidence") == "nothing is known"


def test_particles_can_be_stopped_and_what_is_there_is_kept(qtbot, panel, held):
    click(qtbot, panel.hide_bar.buttons["top"])
    click(qtbot, panel.complete_button)
    qtbot.waitUntil(lambda: panel.run.trace is not None and panel.run.trace.cursor >= 20, timeout=10_000)
    assert panel.gallery.count == 4
    click(qtbot, panel.complete_button)
    qtbot.waitUntil(lambda: not panel.running, timeout=10_000)
    found = panel.result
    assert not found.finished
    assert found.drawn_pixels == 20
    assert panel.side.gauge.lights.level == "poor"
    assert not panel.side.gauge.more.isVisibleTo(panel.side)
    click(qtbot, panel.side.take)
    assert panel.canvas.sheet.hidden.sum() == 12


def test_hints_get_surer_stroke_by_stroke_and_can_be_taken_back(qtbot, panel):
    canvas = panel.canvas
    before = canvas.sheet
    canvas.set_brush(1)
    click(qtbot, panel.tools.buttons["hint"])
    for certainty in (0.5, 0.75):
        qtbot.mouseClick(canvas, LEFT, pos=at(panel.canvas, 6, 3))
        assert canvas.sheet.certainty[6, 3] == certainty
    assert canvas.sheet.hint[0, 6, 3] == 16
    assert canvas.sheet.hidden[6, 3]
    canvas.swap_ink()
    qtbot.mouseClick(canvas, LEFT, pos=at(panel.canvas, 6, 3))                 # another ink begins anew
    assert (canvas.sheet.certainty[6, 3], canvas.sheet.hint[0, 6, 3]) == (0.5, 0)
    qtbot.mouseClick(canvas, LEFT, pos=at(panel.canvas, 0, 0))                 # a known pixel is hidden, and its content stays
    assert canvas.sheet.hidden[0, 0]
    assert canvas.sheet.content[0, 0, 0] == before.content[0, 0, 0]
    qtbot.mouseClick(canvas, RIGHT, pos=at(panel.canvas, 6, 3))
    assert canvas.sheet.certainty[6, 3] == 0
    click(qtbot, panel.tools.buttons["mask"])
    qtbot.mouseClick(canvas, LEFT, pos=at(panel.canvas, 0, 0))
    assert not canvas.sheet.hinted.any()
    assert canvas.sheet.hidden[0, 0]
    while panel.undo_stack.canUndo():
        panel.undo_stack.undo()
    assert canvas.sheet.same(before)


def test_hints_are_seen_and_count(qtbot, panel):
    canvas = panel.canvas
    plain = canvas.grab().toImage()
    canvas.set_brush(2)
    click(qtbot, panel.tools.buttons["hint"])
    for _ in range(8):
        canvas.use((6, 2), (6, 5))
    assert canvas.grab().toImage() != plain
    panel.page.count.setCurrentText("32")
    panel.page.method.setCurrentText("Particles · 512")
    bright = complete(qtbot, panel).images[:, 0, 5:7, 2:6].mean()
    assert "told about" in panel.side.sentence.text()
    canvas.swap_ink()
    for _ in range(8):
        canvas.use((6, 2), (6, 5))
    dark = complete(qtbot, panel).images[:, 0, 5:7, 2:6].mean()
    assert bright > dark + 4                                            # of 16 levels
    panel.page.method.setCurrentText("Clamp")
    complete(qtbot, panel)
    assert panel.result.found.method == "particles"                     # the run was refused, the last result stays


def test_reals_are_completed_hinted_at_and_kept_like_levels(qtbot, panel, studio, random_model):
    from arstudio.image import ImageSpec
    from arstudio.models import preset_settings
    from arstudio.models.checkpoint import card_of

    model = random_model("rnade", ImageSpec(1, 4, 4, 0), 0, **preset_settings("rnade", "small"))
    studio.use_model(model, card_of(model))
    qtbot.waitUntil(lambda: panel.canvas.spec.levels == 0, timeout=10_000)
    panel.canvas.set_tool("brush")
    panel.canvas.ink = (0.25,)
    panel.canvas.use((3, 0), (3, 3))
    panel.canvas.ink = (0.9,)
    panel.canvas.set_tool("hint")
    panel.canvas.use((0, 0), (0, 3))
    assert panel.canvas.sheet.hint[0, 0, 0] == 0.9
    found = complete(qtbot, panel)
    assert found.found.method == "particles"
    assert np.array_equal(found.images[:, 0, 3], np.full((4, 4), 0.25))
    panel.canvas.set_tool("keep")
    panel.canvas.use((0, 0))
    assert panel.canvas.sheet.content[0, 0, 0] == panel.canvas.image()[0, 0, 0]
    assert not panel.canvas.sheet.hidden[0, 0]


def live(qtbot, panel):
    """Switch it on and wait for the first completion."""
    click(qtbot, panel.page.live)
    qtbot.waitUntil(lambda: panel.canvas.haunted and not panel.running, timeout=20_000)


def test_a_sketch_is_continued_after_every_stroke_and_the_known_stays(qtbot, panel):
    panel.new_blank()
    live(qtbot, panel)
    first = panel.result
    panel.canvas.use((2, 2), (2, 5))
    qtbot.waitUntil(lambda: panel.result is not first and not panel.running, timeout=20_000)
    assert panel.result.sheet.same(panel.canvas.sheet)
    shown = panel.canvas.image()
    assert (shown[0, 1:3, 2:6] == 16).any()
    assert (shown >= 0).all()
    known = ~panel.canvas.sheet.hidden
    assert (shown[:, known] == panel.canvas.sheet.content[:, known]).all()
    assert not panel.canvas.previewing
    assert panel.side.note.text() == "Live: it follows your pen."
    second = panel.result
    panel.undo_stack.undo()
    qtbot.waitUntil(lambda: panel.result is not second and not panel.running, timeout=20_000)
    assert panel.result.sheet.hidden.all()


def test_the_pace_of_a_sketch_follows_how_long_runs_take():
    pace = Pace(seconds=0.2)
    took = []
    for seconds in (0.15, 0.3, 0.15, 0.3, 0.3, 0.05, 0.05, 0.05):
        before = pace.particles
        PACE(pace, seconds)
        took.append((before, pace.particles))
    assert took == [(32, 32), (32, 16), (16, 16), (16, 0), (0, 0), (0, 16), (16, 32), (32, 32)]


def test_a_machine_too_slow_for_particles_clamps_unless_something_is_hinted_or_chosen(qtbot, panel):
    panel.live.pace.particles = 0
    click(qtbot, panel.hide_bar.buttons["top"])
    live(qtbot, panel)
    assert panel.result.found.method == "clamp"
    for change, method in (
        (lambda: panel.page.method.setCurrentText("Particles · 512"), "particles"),
        (lambda: panel.page.method.setCurrentText("Auto"), "clamp"),
        (lambda: (panel.canvas.set_tool("hint"), panel.canvas.use((1, 1))), "particles"),
    ):
        before = panel.result
        change()
        qtbot.waitUntil(lambda before=before: panel.result is not before and not panel.running, timeout=20_000)
        assert panel.result.found.method == method
    assert panel.result.found.population.particles == 16


def test_a_run_that_takes_too_long_gives_way_to_one_of_fewer_particles(qtbot, panel, held, monkeypatch):
    monkeypatch.setattr(Pace, "took", PACE)
    plans, start = [], panel.run.start
    panel.run.start = lambda sheet, plan: (plans.append(plan), start(sheet, plan))
    click(qtbot, panel.hide_bar.buttons["top"])
    click(qtbot, panel.page.live)                      # and every run is held
    qtbot.waitUntil(lambda: len(plans) == 3, timeout=10_000)
    held.set()
    qtbot.waitUntil(lambda: panel.canvas.haunted and not panel.running, timeout=20_000)
    assert [plan.particles for plan in plans[:2]] == [32, 16]
    assert plans[2].method == "clamp"


def test_keep_takes_pixels_of_the_continuation_over(qtbot, panel):
    panel.new_blank()
    live(qtbot, panel)
    seen, first = panel.canvas.image(), panel.result
    click(qtbot, panel.tools.buttons["keep"])
    panel.canvas.set_brush(1)
    qtbot.mouseClick(panel.canvas, LEFT, pos=at(panel.canvas, 4, 4))
    assert panel.canvas.sheet.content[0, 4, 4] == seen[0, 4, 4]
    assert panel.canvas.sheet.hidden.sum() == 63
    qtbot.waitUntil(lambda: panel.result is not first and not panel.running, timeout=20_000)
    assert (panel.result.images[:, 0, 4, 4] == seen[0, 4, 4]).all()


def test_a_live_sketch_is_compared_and_taken_as_it_is_seen(qtbot, panel):
    live(qtbot, panel)
    seen, original = panel.canvas.image(), panel.canvas.sheet.content
    qtbot.mousePress(panel.side.compare, LEFT)
    assert np.array_equal(panel.canvas.image(), original)
    qtbot.mouseRelease(panel.side.compare, LEFT)
    assert np.array_equal(panel.canvas.image(), seen)
    click(qtbot, panel.side.take)
    assert np.array_equal(panel.canvas.sheet.content, seen)
    assert not panel.canvas.sheet.hidden.any()
    panel.undo_stack.undo()
    qtbot.waitUntil(lambda: panel.canvas.haunted and not panel.running, timeout=20_000)


def test_a_stroke_cancels_the_run_before_it_and_the_last_sheet_wins(qtbot, panel, held):
    panel.new_blank()
    started = []
    start = panel.run.start
    panel.run.start = lambda sheet, plan: (started.append(sheet), start(sheet, plan))
    click(qtbot, panel.page.live)
    qtbot.waitUntil(lambda: panel.run.trace is not None and panel.run.trace.cursor >= 20, timeout=10_000)
    panel.canvas.set_tool("brush")
    qtbot.mousePress(panel.canvas, LEFT, pos=at(panel.canvas, 1, 1))           # begins: what runs is of another sheet
    qtbot.waitUntil(lambda: len(started) == 2, timeout=10_000)
    qtbot.mouseMove(panel.canvas, at(panel.canvas, 1, 5))                      # moves: the run goes on
    assert len(started) == 2
    qtbot.mouseRelease(panel.canvas, LEFT, pos=at(panel.canvas, 1, 5))         # ends: begun anew with the whole stroke
    qtbot.waitUntil(lambda: len(started) == 3, timeout=10_000)
    assert started[-1].same(panel.canvas.sheet)
    held.set()
    qtbot.waitUntil(lambda: panel.canvas.haunted and not panel.running, timeout=20_000)
    assert panel.result.sheet is started[-1]
    assert len(started) == 3


def test_settings_and_method_restart_the_sketch_and_escape_ends_it(qtbot, panel, studio):
    live(qtbot, panel)
    for change in (lambda: studio.set(seed=7), lambda: panel.page.method.setCurrentText("Clamp")):
        before = panel.result
        change()
        qtbot.waitUntil(lambda before=before: panel.result is not before and not panel.running, timeout=20_000)
    assert panel.result.found.method in ("clamp", "exact")
    panel.cancel()
    assert not panel.page.live.isChecked()
    assert not panel.canvas.haunted
    assert (panel.canvas.image() == -1).sum() == panel.canvas.sheet.hidden.sum()
    last = panel.result
    panel.canvas.use((0, 0))
    assert not panel.running
    assert panel.result is last


def test_a_live_sketch_with_nothing_hidden_waits(qtbot, panel):
    live(qtbot, panel)
    click(qtbot, panel.hide_bar.buttons["clear"])
    qtbot.waitUntil(lambda: not panel.running and not panel.canvas.haunted, timeout=10_000)
    click(qtbot, panel.hide_bar.buttons["top"])
    qtbot.waitUntil(lambda: panel.canvas.haunted and not panel.running, timeout=20_000)


def test_complete_during_a_live_sketch_ends_it_and_fills_the_gallery(qtbot, panel):
    live(qtbot, panel)
    panel.page.count.setCurrentText("8")
    found = complete(qtbot, panel)
    assert not panel.live.on
    assert found.count == 8
    assert panel.canvas.previewing


def test_another_model_of_another_size_goes_on_with_its_own_picture(qtbot, panel, studio, messages, other_model):
    from arstudio.image import ImageSpec

    live(qtbot, panel)
    studio.use_model(*other_model(ImageSpec(1, 8, 8, 2), dataset="digits"))
    qtbot.waitUntil(
        lambda: panel.canvas.spec.levels == 2 and panel.canvas.haunted and not panel.running, timeout=20_000
    )
    assert not [words for kind, words in messages if kind == "error"]


def test_an_error_ends_the_live_sketch_and_is_said_once(qtbot, panel, messages, monkeypatch):
    def broken(*_):
        raise RuntimeError("The model produced no numbers.")

    monkeypatch.setattr("arstudio.sampling.trace.Trace.put", broken)
    monkeypatch.setattr("arstudio.sampling.completion.ParticleCompleter.step", broken)
    click(qtbot, panel.page.live)
    qtbot.waitUntil(lambda: not panel.page.live.isChecked(), timeout=10_000)
    assert messages == [("error", "The model produced no numbers.")]


def test_the_benchmark_measures_the_live_sketch_with_a_real_pen(qtbot, settings):
    from arstudio.gui import sketch_benchmark

    found = sketch_benchmark.measure("digits-gated", strokes=1)
    assert 0 < found["lifted"] == found["lifted_max"]
    assert found["moving_max"] >= 0
