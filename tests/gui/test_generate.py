"""Generate and Inspect as a person uses them: buttons, keys, clicks on pixels and bars."""

import math

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QToolTip


@pytest.fixture
def ready(qtbot, window, drawn):
    window.generate_panel.refresh()
    window.inspector.refresh()
    return window


def click_pixel(qtbot, view, row, column):
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.rect_of(row, column).center().toPoint())


def wait_drawn(qtbot, studio):
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing and not studio.playing, timeout=20_000)


def test_the_generate_button_draws_as_many_images_as_chosen(qtbot, ready, studio):
    panel = ready.generate_panel
    panel.count.setCurrentIndex(panel.count.findData(16))
    qtbot.waitUntil(lambda: studio.trace.count == 16, timeout=10_000)
    wait_drawn(qtbot, studio)
    first = studio.trace
    qtbot.mouseClick(panel.draw_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: studio.trace is not first, timeout=10_000)


def test_clicking_a_pixel_selects_it_and_shows_its_distribution(qtbot, ready, studio):
    click_pixel(qtbot, ready.generate_panel.view, 4, 3)
    assert studio.selection == (0, 4, 3)
    step = studio.trace.step(0, 4, 3)
    shown = ready.inspector.plot.pmf()
    assert ready.inspector.title.text().startswith("Pixel (4, 3)")
    model = studio.model
    x = torch.from_numpy(studio.trace.image(0).astype(np.int64))[None]
    exact = model.double().likelihood.log_pmf(model(x)[:, :, 0, 4, 3]).exp()[0].detach().numpy()
    model.float()
    assert np.allclose(shown, exact, atol=1e-5)
    value = int(studio.trace.values[0, step])
    assert ready.inspector.figures.text("value") == str(value)
    assert ready.inspector.figures.text("surprise") == f"{-math.log2(shown[value]):.3f} bits"


def test_clicking_the_selected_pixel_again_returns_to_the_playhead(qtbot, ready, studio):
    view = ready.generate_panel.view
    click_pixel(qtbot, view, 2, 2)
    click_pixel(qtbot, view, 2, 2)
    assert studio.selection is None
    studio.seek(10)
    assert ready.inspector.title.text().startswith("Pixel (1, 2)")
    assert ready.inspector.figures.text("value") == "not drawn yet"


def test_clicking_a_bar_forces_the_value_and_keeps_the_past(qtbot, ready, studio):
    click_pixel(qtbot, ready.generate_panel.view, 3, 5)
    step = studio.trace.step(0, 3, 5)
    before = studio.trace.values[0].copy()
    wanted = int((before[step] + 7) % 17)
    plot = ready.inspector.plot
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=plot.bar_centre(wanted).toPoint())
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing, timeout=10_000)
    assert studio.trace.values[0, step] == wanted
    assert np.array_equal(studio.trace.values[0, :step], before[:step])


def test_typing_a_value_branches_too(qtbot, ready, studio):
    click_pixel(qtbot, ready.generate_panel.view, 1, 1)
    step = studio.trace.step(0, 1, 1)
    wanted = int((studio.trace.values[0, step] + 3) % 17)
    field = ready.inspector.value
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, str(wanted))
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing, timeout=10_000)
    assert studio.trace.values[0, step] == wanted


def test_space_arrows_home_and_end_drive_the_playhead(qtbot, ready, studio):
    view = ready.generate_panel.view
    view.setFocus()
    qtbot.keyClick(ready, Qt.Key.Key_Home)
    assert studio.position == 0
    qtbot.keyClick(ready, Qt.Key.Key_Right)
    assert studio.position == 1
    qtbot.keyClick(ready, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert studio.position == 8
    qtbot.keyClick(ready, Qt.Key.Key_Left)
    assert studio.position == 7
    qtbot.keyClick(ready, Qt.Key.Key_End)
    assert studio.position == 64
    studio.set_speed(20.0)
    qtbot.keyClick(ready, Qt.Key.Key_Space)
    assert studio.playing
    qtbot.keyClick(ready, Qt.Key.Key_Space)
    assert not studio.playing


def test_the_speed_is_chosen_in_the_toolbar_from_a_pixel_a_second_to_full(qtbot, ready, studio):
    speed, seen = ready.toolbar.speed, []
    speed.setFocus()
    qtbot.keyClick(speed, Qt.Key.Key_Home)
    for _ in range(speed.count()):
        seen.append((speed.currentText(), studio.speed, studio.speed_in_rows))
        qtbot.keyClick(speed, Qt.Key.Key_Down)
    assert seen[0] == ("1 pixel/s", 1.0, False)
    assert ("1 row/s", 1.0, True) in seen
    assert seen[-1][:2] == ("Full speed", float("inf"))


def test_keys_typed_into_a_field_do_not_move_the_playhead(qtbot, ready, studio):
    studio.seek(30)
    ready.toolbar.seed.setFocus()
    qtbot.keyClick(ready.toolbar.seed, Qt.Key.Key_Home)
    assert studio.position == 30


def test_dragging_the_timeline_scrubs(qtbot, ready, studio):
    timeline = ready.generate_panel.bottom.timeline
    ready.generate_panel.bottom.refresh()
    where = QPoint(int(timeline.x_of(40)), 20)
    qtbot.mousePress(timeline, Qt.MouseButton.LeftButton, pos=where)
    assert studio.position == 40
    qtbot.mouseMove(timeline, QPoint(int(timeline.x_of(12)), 20))
    timeline.scrubbed.emit(12)
    assert studio.position == 12
    shown = ready.generate_panel.view.image()
    assert (shown >= 0).sum() == 12


def test_hidden_pixels_are_not_shown_before_their_time(ready, studio):
    studio.seek(17)
    shown = ready.generate_panel.view.image()
    assert (shown.reshape(-1)[:17] == studio.trace.values[0, :17]).all()
    assert (shown.reshape(-1)[17:] == -1).all()
    assert ready.generate_panel.view.next == (2, 1)


def test_clicking_a_small_image_shows_it_large(qtbot, ready, studio):
    grid = ready.generate_panel.grid
    qtbot.mouseClick(grid, Qt.MouseButton.LeftButton, pos=grid.rect_of(2).center().toPoint())
    assert studio.focus == 2
    assert np.array_equal(ready.generate_panel.view.image(), studio.trace.image(2))


def test_seed_field_dice_and_lock(qtbot, ready, studio):
    toolbar = ready.toolbar
    first = studio.trace
    toolbar.seed.setFocus()
    toolbar.seed.selectAll()
    qtbot.keyClicks(toolbar.seed, "7")
    qtbot.keyClick(toolbar.seed, Qt.Key.Key_Return)
    assert studio.settings.seed == 7
    qtbot.waitUntil(lambda: studio.trace is not first, timeout=10_000)
    qtbot.mouseClick(toolbar.dice, Qt.MouseButton.LeftButton)
    assert studio.settings.seed != 7
    rolled = studio.settings.seed
    toolbar.lock.setChecked(True)
    ready.go()
    assert studio.settings.seed == rolled


def test_a_seed_that_is_no_number_is_refused_with_a_sentence(qtbot, ready, studio):
    toolbar = ready.toolbar
    toolbar.seed.setFocus()
    toolbar.seed.setText("lucky")
    qtbot.keyClick(toolbar.seed, Qt.Key.Key_Return)
    assert "lucky" in ready.notice.text.text()
    assert toolbar.seed.text() == str(studio.settings.seed)


def test_choosing_a_class_draws_from_it(qtbot, ready, studio):
    first = studio.trace
    ready.toolbar.classes.setCurrentIndex(3)
    assert studio.settings.class_index == 2
    qtbot.waitUntil(lambda: studio.trace is not first, timeout=10_000)


def test_temperature_shows_the_ghost_of_one(qtbot, ready, studio):
    ready.toolbar.temperature.setValue(50)
    assert studio.settings.temperature == 0.5
    wait_drawn(qtbot, studio)
    click_pixel(qtbot, ready.generate_panel.view, 4, 4)
    plot = ready.inspector.plot
    ghost = plot._ghost
    assert ghost is not None
    expected = ghost.astype(np.float64) ** 2
    assert np.allclose(plot.pmf(), expected / expected.sum(), atol=1e-6)


@pytest.mark.parametrize("key", ["surprise", "entropy"])
def test_overlays_show_the_trace_in_bits(qtbot, ready, studio, key):
    button = ready.inspector.overlays.button(key)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    shown = ready.generate_panel.view._overlay
    assert np.allclose(shown, studio.trace.map(key, 0)[0], equal_nan=True)
    qtbot.mouseClick(ready.inspector.overlays.button("none"), Qt.MouseButton.LeftButton)
    assert ready.generate_panel.view._overlay is None


def test_sees_colours_past_pixels_only(qtbot, ready, studio):
    click_pixel(qtbot, ready.generate_panel.view, 3, 3)
    qtbot.mouseClick(ready.inspector.overlays.button("sees"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: ready.generate_panel.view._overlay is not None, timeout=10_000)
    seen = ~np.isnan(ready.generate_panel.view._overlay)
    rank = studio.trace.order.rank
    assert seen.any()
    assert not seen[rank >= rank[3, 3]].any()
    assert "past pixels" in ready.inspector.legend.text()


def test_hovering_a_pixel_lights_up_its_bar_and_the_other_way_round(qtbot, ready, studio):
    view, plot = ready.generate_panel.view, ready.inspector.plot
    view.hovered.emit(2, 5)
    assert plot._hovered == int(studio.trace.values[0, studio.trace.step(0, 2, 5)])
    plot.bar_hovered.emit(4)
    assert view.marked_value == 4
    QToolTip.hideText()


def test_the_running_sum_equals_the_log_likelihood(ready, studio):
    studio.seek(64)
    x = torch.from_numpy(studio.trace.images().astype(np.int64))
    nats = -studio.model.log_prob(x)[0].item()
    assert ready.status_line.likelihood.text().startswith(f"{nats:,.2f} nats")


def test_rgb_images_have_one_distribution_for_each_channel(qtbot, window, studio):
    from arstudio.image import ImageSpec
    from arstudio.models import create
    from arstudio.models.checkpoint import card_of

    torch.manual_seed(1)
    model = create("pixelcnn", ImageSpec(3, 5, 4, 4), channels=12, blocks=1, head=12).eval()
    studio.set(class_index=-1, count=1)
    studio.use_model(model, card_of(model))
    studio.set_speed(math.inf)
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.spec.channels == 3, timeout=10_000)
    wait_drawn(qtbot, studio)
    click_pixel(qtbot, window.generate_panel.view, 2, 1)
    assert window.inspector.channels.isVisible()
    qtbot.mouseClick(window.inspector.channels.button("1"), Qt.MouseButton.LeftButton)
    assert studio.selection == (1, 2, 1)
    step = studio.trace.step(1, 2, 1)
    assert np.array_equal(window.inspector.plot.pmf(), studio.trace.pmfs[0, step])


def test_a_distribution_the_trace_did_not_keep_is_computed_for_its_class(qtbot, ready, studio):
    studio.set(class_index=2)
    studio.generate()
    wait_drawn(qtbot, studio)
    kept = studio.trace.pmfs[0, 30].copy()
    studio.trace.pmfs = studio.trace.pmfs[:0]
    studio.set(class_index=-1)
    studio.select(studio.trace.site(30))
    qtbot.waitUntil(lambda: ready.inspector.plot.pmf() is not None, timeout=10_000)
    assert np.allclose(ready.inspector.plot.pmf(), kept, atol=1e-5)


def test_an_image_of_another_size_takes_the_old_map_away(qtbot, ready, studio):
    from arstudio.image import ImageSpec
    from arstudio.models import create
    from arstudio.models.checkpoint import card_of

    click_pixel(qtbot, ready.generate_panel.view, 3, 3)
    qtbot.mouseClick(ready.inspector.overlays.button("sees"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: ready.generate_panel.view._overlay is not None, timeout=10_000)
    record = studio.history[0]
    model = create("nade", ImageSpec(1, 5, 6, 4), hidden=4).eval()
    studio.use_model(model, card_of(model))
    studio.set(count=1)
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace.spec.height == 5, timeout=10_000)
    wait_drawn(qtbot, studio)
    ready.grab()
    overlay = ready.generate_panel.view._overlay
    assert overlay is None or overlay.shape == (5, 6)
    studio.recall(record)
    ready.grab()
    assert "Open the model of this drawing" in ready.inspector.legend.text()


def test_a_pixel_that_is_still_ahead_shows_nothing_of_its_future(qtbot, ready, studio):
    studio.seek(10)
    click_pixel(qtbot, ready.generate_panel.view, 6, 6)
    assert ready.inspector.plot.pmf() is None
    assert ready.inspector.sum.text() == "–"
    studio.seek(54)
    assert ready.inspector.plot.pmf() is not None
    assert f"{studio.trace.log_probs[0, :54].sum():.2f}".replace("-", "−") in ready.inspector.sum.text()


def test_controls_with_the_focus_keep_the_keys_they_need(qtbot, ready, studio):
    studio.seek(20)
    qtbot.keyClick(ready.toolbar.temperature, Qt.Key.Key_Left)
    assert studio.position == 20 or studio.drawing, "an arrow on the slider moves the slider"
    assert ready.toolbar.temperature.value() < 100
    first = studio.trace
    qtbot.keyClick(ready.generate_panel.draw_button, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: studio.trace is not first, timeout=10_000)


def test_guidance_needs_a_chosen_class_and_is_drawn_and_shown(qtbot, ready, studio):
    toolbar = ready.toolbar
    assert not toolbar.guidance.isEnabled()
    assert "Choose a class to use it." in toolbar.guidance_field.toolTip()
    toolbar.classes.setCurrentIndex(3)
    assert toolbar.guidance.isEnabled()
    wait_drawn(qtbot, studio)
    first = studio.trace
    toolbar.guidance.setValue(2.0)
    assert studio.settings.guidance == 2
    qtbot.waitUntil(lambda: studio.trace is not first, timeout=10_000)
    wait_drawn(qtbot, studio)
    assert studio.tree.sampler.settings.guidance == 2
    assert not np.array_equal(studio.trace.values, first.values)
    click_pixel(qtbot, ready.generate_panel.view, 4, 4)
    plot, step = ready.inspector.plot, studio.trace.step(0, 4, 4)
    qtbot.waitUntil(lambda: plot._ghost is not None, timeout=10_000)
    x = torch.from_numpy(studio.trace.image(0).astype(np.int64))[None]
    with torch.inference_mode():
        own, none = (studio.model.likelihood.log_pmf(studio.model(x, y))[0, :, 0, 4, 4] for y in (2, None))
    assert np.allclose(plot._ghost, studio.trace.pmfs[0, step])
    assert np.allclose(plot.pmf(), (3 * own - 2 * none).softmax(0).numpy(), atol=1e-4)
    toolbar.classes.setCurrentIndex(0)
    assert studio.guidance == 0
    assert not toolbar.guidance.isEnabled()
    wait_drawn(qtbot, studio)


def test_guidance_is_out_of_reach_for_models_that_do_not_know_both(qtbot, ready, studio):
    from arstudio.image import ImageSpec
    from arstudio.models import create
    from arstudio.models.checkpoint import card_of

    plain = create("pixelcnn", ImageSpec(1, 5, 4, 4), channels=12, blocks=1, head=12).eval()
    studio.use_model(plain, card_of(plain))
    assert not ready.toolbar.guidance_action.isVisible()
    strict = create("pixelcnn", ImageSpec(1, 5, 4, 4), 2, channels=12, blocks=1, head=12, class_dropout=0.0).eval()
    studio.use_model(strict, card_of(strict, ("a", "b")))
    assert ready.toolbar.guidance_action.isVisible()
    assert not ready.toolbar.guidance.isEnabled()
    assert "class dropout" in ready.toolbar.guidance_field.toolTip()


def test_the_seed_is_copied(qtbot, ready, studio):
    from PySide6.QtGui import QGuiApplication

    ready.toolbar.copy.trigger()
    assert QGuiApplication.clipboard().text() == "42"


def test_top_k_top_p_and_the_sampler_stand_behind_advanced_and_are_drawn_with(qtbot, ready, studio):
    button = ready.toolbar.advanced
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    popup = button.popup
    assert popup.isVisible()
    popup.top_k.setValue(3)
    wait_drawn(qtbot, studio)
    popup.top_p.setValue(0.5)
    wait_drawn(qtbot, studio)
    popup.method.setCurrentIndex(1)
    wait_drawn(qtbot, studio)
    used = studio.tree.sampler
    assert (used.settings.top_k, used.settings.top_p, used.method) == (3, 0.5, "naive")
    ranks = [(np.sort(pmf)[::-1] > pmf[v]).sum() for pmf, v in zip(studio.trace.pmfs[0], studio.trace.values[0], strict=True)]
    assert max(ranks) < 3, "never one beyond the three most probable"
    assert button.objectName() == "unusual"
    qtbot.mouseClick(popup.reset, Qt.MouseButton.LeftButton)
    wait_drawn(qtbot, studio)
    assert (studio.settings.top_k, studio.settings.top_p) == (0, 1.0)
    popup.method.setCurrentIndex(0)
    assert button.objectName() == ""
    popup.close()


@pytest.mark.parametrize("kind", ["column", "snake", "diagonal", "spiral", "random"])
def test_any_order_models_draw_in_the_order_chosen(qtbot, ready, studio, kind):
    from arstudio.image import ImageSpec
    from arstudio.models import create
    from arstudio.models.checkpoint import card_of
    from arstudio.models.orders import Order

    order = ready.generate_panel.order
    assert not order.isVisible(), "this model has one order"
    torch.manual_seed(0)
    model = create("eonade", ImageSpec(1, 4, 5, 3), hidden=8).eval()
    studio.use_model(model, card_of(model))
    assert order.isVisible()
    order.kind.setCurrentIndex(order.kind.findData(kind))
    wait_drawn(qtbot, studio)
    if kind == "random":
        order.seed.setValue(7)
        qtbot.waitUntil(lambda: studio.trace.order.seed == 7, timeout=10_000)
        wait_drawn(qtbot, studio)
    wanted = Order(kind, 4, 5, 7 if kind == "random" else 0)
    assert np.array_equal(studio.trace.order.pixels, wanted.pixels)
    studio.seek(3)
    shown = ready.generate_panel.view.image()[0].reshape(-1)
    assert set(np.flatnonzero(shown >= 0)) == set(wanted.pixels[:3].tolist())


@pytest.mark.parametrize("count", [1, 4, 9, 16, 25, 36, 64])
def test_up_to_64_images_at_once(qtbot, ready, studio, count):
    panel = ready.generate_panel
    panel.count.setCurrentIndex(panel.count.findData(count))
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace.count == count, timeout=20_000)
    wait_drawn(qtbot, studio)
    panel.refresh()
    assert panel.side_box.isVisible() == (count > 1)
    if count > 1:
        assert panel.grid.count() == count
        last = panel.grid.rect_of(count - 1)
        assert panel.grid.rect().toRectF().contains(last), "the last one fits"
        qtbot.mouseClick(panel.grid, Qt.MouseButton.LeftButton, pos=last.center().toPoint())
        assert studio.focus == count - 1
        panel.grid.setFocus()
        qtbot.keyClick(panel.grid, Qt.Key.Key_Home)
        assert studio.focus == 0


def test_space_tapped_plays_and_held_moves_a_picture_that_is_zoomed_in(qtbot, ready, studio):
    view = ready.generate_panel.view
    studio.set_speed(1.0)
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Space)
    assert studio.playing, "seen whole, Space plays as it is pressed"
    qtbot.keyClick(view, Qt.Key.Key_Space)
    assert not studio.playing
    view.zoom = 3.0
    view.zoomed.emit()
    qtbot.keyPress(view, Qt.Key.Key_Space)
    assert not studio.playing
    qtbot.keyRelease(view, Qt.Key.Key_Space)
    assert studio.playing, "tapped"
    studio.pause()
    before, selected = view.target(), studio.selection
    qtbot.keyPress(view, Qt.Key.Key_Space)
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(60, 60))
    qtbot.mouseMove(view, QPoint(90, 45))
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(90, 45))
    qtbot.keyRelease(view, Qt.Key.Key_Space)
    assert view.target().topLeft() - before.topLeft() == QPointF(30, -15)
    assert studio.selection == selected, "a drag with the hand selects nothing"
    assert not studio.playing
    view.reset_view()
    qtbot.keyPress(view, Qt.Key.Key_Space)
    assert studio.playing
    studio.pause()
