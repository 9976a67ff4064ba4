"""The state behind the window: drawing, playhead, branches, history."""

import math
import threading

import numpy as np
import pytest


def wait_drawn(qtbot, studio):
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.complete and not studio.drawing, timeout=20_000)


def test_generating_twice_from_one_seed_gives_the_same_images(qtbot, drawn):
    first = drawn.trace.values.copy()
    drawn.generate()
    wait_drawn(qtbot, drawn)
    assert np.array_equal(drawn.trace.values, first)
    drawn.set(seed=43)
    drawn.generate()
    wait_drawn(qtbot, drawn)
    assert not np.array_equal(drawn.trace.values, first)


def test_the_playhead_follows_the_drawing_and_stops_at_the_end(drawn):
    assert drawn.position == drawn.trace.spec.sites
    assert not drawn.playing


def test_stepping_back_by_pixel_and_by_row_and_to_both_ends(drawn):
    drawn.seek(20)
    drawn.step_pixels(1)
    assert drawn.position == 21
    drawn.step_pixels(-2)
    assert drawn.position == 19
    drawn.step_rows(-1)
    assert drawn.position == 16
    drawn.step_rows(1)
    assert drawn.position == 24
    drawn.seek(-5)
    assert drawn.position == 0
    drawn.seek(10_000)
    assert drawn.position == 64


def test_playing_moves_the_playhead_at_the_chosen_speed_and_pausing_holds_it(qtbot, drawn):
    drawn.set_speed(400.0)
    drawn.seek(0)
    drawn.play()
    qtbot.waitUntil(lambda: drawn.position > 5, timeout=5_000)
    drawn.pause()
    held = drawn.position
    qtbot.waitUntil(lambda: not drawn.playing)
    drawn._tick()
    assert drawn.position == held


def test_what_is_read_comes_one_at_a_look_and_all_of_it_before_the_playhead_rests(qtbot, drawn):
    looks, heard = [0], []
    names = ("figures_due", "curve_due", "words_due")
    drawn._clock.timeout.connect(lambda: looks.append(len(looks)))
    drawn.set_speed(math.inf)
    drawn.seek(0)
    for name in names:
        getattr(drawn, name).connect(lambda name=name: heard.append((looks[-1], name, drawn.position, drawn.playing)))
    drawn.play()
    qtbot.waitUntil(lambda: not drawn.playing, timeout=5_000)
    moving = [(look, name) for look, name, _, playing in heard if playing]
    assert len({look for look, _ in moving}) == len(moving)
    assert [name for _, name, at, playing in heard if at == drawn.trace.spec.sites and playing][-3:] == list(names)
    assert [name for _, name, _, playing in heard if not playing] == ["figures_due"]
    heard.clear()
    drawn.seek(20)
    assert [name for _, name, *_ in heard] == list(names)


def test_a_forced_value_keeps_the_past_and_redraws_the_future(qtbot, drawn):
    before = drawn.trace.values.copy()
    forced = (before[0, 20] + 5) % 17
    drawn.branch(20, int(forced))
    wait_drawn(qtbot, drawn)
    after = drawn.trace.values
    assert np.array_equal(after[0, :20], before[0, :20])
    assert after[0, 20] == forced
    assert np.array_equal(after[1:], before[1:]), "other images have the same noise and the same past"
    assert np.array_equal(drawn.tree.root.trace.values, before), "the other future is still there"


def test_redrawing_without_a_value_brings_another_future(qtbot, drawn):
    before = drawn.trace.values.copy()
    drawn.branch(10)
    wait_drawn(qtbot, drawn)
    assert np.array_equal(drawn.trace.values[:, :10], before[:, :10])
    assert not np.array_equal(drawn.trace.values[:, 10:], before[:, 10:])


def test_a_value_that_does_not_exist_is_refused_with_a_sentence(qtbot, drawn):
    with qtbot.waitSignal(drawn.message) as said:
        drawn.branch(3, 17)
    assert said.args == ["error", "The value must be 0 to 16, not 17."]


def test_a_model_file_that_is_none_leaves_the_model_in_use(qtbot, drawn, tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not a model at all")
    model = drawn.model
    with qtbot.waitSignal(drawn.message) as said:
        drawn.open_model(path)
    assert said.args[0] == "error"
    assert "broken.safetensors" in said.args[1]
    assert drawn.model is model


def test_finished_drawings_are_remembered_and_come_back_with_their_settings(qtbot, drawn):
    first = drawn.history[0]
    drawn.set(seed=7, temperature=0.5)
    drawn.generate()
    wait_drawn(qtbot, drawn)
    assert len(drawn.history) == 2
    drawn.recall(first)
    assert drawn.trace is first.trace
    assert drawn.settings.seed == first.settings.seed
    assert drawn.settings.temperature == 1.0


def test_nothing_is_drawn_without_a_model(qtbot):
    from arstudio.gui.studio import Studio

    empty = Studio()
    with qtbot.waitSignal(empty.message) as said:
        empty.generate()
    assert "Library" in said.args[1]


@pytest.mark.parametrize("speed", [1.0, math.inf])
def test_stopping_a_drawing_ends_its_thread_and_keeps_what_is_there(qtbot, studio, speed):
    studio.set_speed(speed)
    studio.set(count=64)
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.cursor > 0, timeout=10_000)
    studio.stop_drawing()
    cursor = studio.trace.cursor
    assert not studio.drawing
    assert 0 < cursor <= 64
    assert (studio.trace.image(0)[0] >= 0).sum() == cursor


def test_a_drawing_that_was_stopped_is_drawn_on_by_play(qtbot, studio):
    studio.set_speed(math.inf)
    studio.set(count=64)
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.cursor > 0, timeout=10_000)
    studio.stop_drawing()
    studio.pause()
    trace = studio.trace
    studio.play()
    wait_drawn(qtbot, studio)
    assert studio.trace is trace
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not trace and studio.trace.complete and not studio.drawing, timeout=20_000)
    assert np.array_equal(studio.trace.values, trace.values), "as if it had not been stopped"


def test_a_drawing_left_behind_keeps_no_sampler(qtbot, drawn):
    tree = drawn.tree
    drawn.set(seed=8)
    drawn.generate()
    qtbot.waitUntil(lambda: drawn.tree is not tree, timeout=10_000)
    wait_drawn(qtbot, drawn)
    assert tree.sampler is None
    drawn.recall(drawn.history[1])
    drawn.branch(20, 3)
    wait_drawn(qtbot, drawn)
    assert drawn.trace.values[0, 20] == 3
    assert np.array_equal(drawn.tree.recipe_of(drawn.tree.current).draw(drawn.model).trace.values, drawn.trace.values)


def test_reading_a_trace_while_it_is_written_never_fails(qtbot, studio, monkeypatch):
    from arstudio.sampling import Sampler

    looked, step, read = threading.Semaphore(1), Sampler.step, []

    def step_when_looked_at(sampler, *work):
        looked.acquire(timeout=10)
        return step(sampler, *work)

    def look():
        trace = studio.trace
        if trace is not None:
            assert trace.pixel_bits(0).shape == (64,)
            assert trace.images().shape == (trace.count, 1, 8, 8)
            assert np.isfinite(trace.nats(0))
            read.append(trace.cursor)
        looked.release(8)
        return not studio.drawing

    monkeypatch.setattr(Sampler, "step", step_when_looked_at)
    studio.set_speed(math.inf)
    studio.set(count=64, method="incremental")
    studio.generate()
    qtbot.waitUntil(look, timeout=20_000)
    assert len(set(read)) > 4, "it was read while it grew"
    assert read == sorted(read)
    assert studio.trace.complete


def test_a_branch_leaves_the_drawing_it_came_from_in_the_history(qtbot, drawn):
    before = drawn.trace.values.copy()
    drawn.branch(20, int((before[0, 20] + 5) % 17))
    wait_drawn(qtbot, drawn)
    assert len(drawn.history) == 2
    assert "branched at row 2, column 4" in drawn.history[0].label
    assert np.array_equal(drawn.history[1].trace.values, before)
    drawn.recall(drawn.history[1])
    assert np.array_equal(drawn.trace.values, before)


def test_there_is_nothing_to_redraw_after_the_last_pixel(qtbot, drawn):
    with qtbot.waitSignal(drawn.message) as said:
        drawn.branch(64)
    assert said.args[0] == "info"
    assert not drawn.drawing


def test_a_class_the_model_does_not_know_is_dropped_when_a_record_is_recalled(qtbot, drawn):
    from dataclasses import replace

    item = drawn.history[0]
    item.settings = replace(item.settings, class_index=9)
    drawn.recall(item)
    assert drawn.settings.class_index == -1


def test_the_model_opened_last_wins(qtbot, studio):
    studio.open_model("digits-nade")
    studio.open_model("digits-fvsbn")
    qtbot.waitUntil(lambda: not studio.loading, timeout=20_000)
    assert studio.card.name == "digits-fvsbn"


@pytest.mark.parametrize("last", ["digits-fvsbn", "no-model"])
def test_a_name_that_fails_keeps_no_other_from_being_opened(qtbot, studio, messages, last):
    for name in ("digits-nade", "nothing-such", last):
        studio.open_model(name)
    qtbot.waitUntil(lambda: not studio.loading, timeout=20_000)
    assert studio.card.name == (last if last == "digits-fvsbn" else "digits-nade")
    assert {kind for kind, _ in messages} <= {"error"}
    assert sum("no-model" in sentence for _, sentence in messages) == (last == "no-model")


def test_the_status_says_which_sampler_draws_and_that_memory_ran_out(qtbot, drawn):
    said, told = [], []
    drawn.status.connect(lambda text, _: said.append(text))
    drawn.message.connect(lambda kind, text: told.append((kind, text)))
    method, why = drawn.way
    assert method == drawn.tree.sampler.method
    assert why == drawn.tree.sampler.choice.why
    drawn._began = 0.0    # long ago
    drawn._drawing_reported(0.5, "half")
    assert said[-1].endswith(f" by {method} · half")
    drawn.tree.sampler.notice = "Memory ran out."
    drawn._drawing_done(drawn.tree)
    assert ("info", "Memory ran out.") in told


def finish_drawing(qtbot, studio):
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.complete and not studio.drawing, timeout=20_000)
    qtbot.waitUntil(lambda: not studio.playing, timeout=5_000)


def test_after_the_first_drawing_the_least_sure_pixel_is_shown_until_the_playhead_moves(qtbot, studio):
    from arstudio.gui.first_pixel import FirstPixel

    studio.set_speed(float("inf"))
    FirstPixel(studio)
    finish_drawing(qtbot, studio)
    step = studio.inspected_step()
    assert studio.selection == studio.trace.site(step)
    assert studio.trace.entropies[0, step] == studio.trace.entropies[0].max() > 0.5
    studio.select_image(min(1, studio.trace.count - 1))
    assert studio.selection is not None, "another image is looked at there too"
    studio.step_pixels(-1)
    assert studio.selection is None, "the Inspector follows again"
    finish_drawing(qtbot, studio)
    assert studio.selection is None, "once"


@pytest.mark.parametrize("when", ["while it draws", "afterwards"])
def test_a_pixel_that_a_person_chose_is_never_moved(qtbot, studio, when):
    from arstudio.gui.first_pixel import FirstPixel

    studio.set_speed(float("inf"))
    FirstPixel(studio)
    if when == "while it draws":
        studio.select((0, 2, 3))
    finish_drawing(qtbot, studio)
    studio.select((0, 2, 3))
    studio.seek(5)
    finish_drawing(qtbot, studio)
    assert studio.selection == (0, 2, 3)
