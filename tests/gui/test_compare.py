"""Comparing lanes: two to four models, temperatures or samplers on one seed, in step, with the difference in bits a site."""

import threading

import numpy as np
import pytest
from PySide6.QtCore import Qt


@pytest.fixture
def compared(qtbot, window, drawn):
    """The window comparing the tiny model with itself at another temperature, fully drawn."""
    button = window.generate_panel.compare_button
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert window.generate_panel.compare_button.isChecked()
    wait_drawn(qtbot, window.studio)
    window.generate_panel.refresh()
    return window


def wait_drawn(qtbot, studio):
    def done():
        lanes = studio.comparison.lanes
        drawn = studio.comparison.ready and all(lane.trace.complete for lane in lanes)
        return drawn and not studio.drawing and not studio.playing

    qtbot.waitUntil(done, timeout=20_000)


def test_two_temperatures_on_one_seed_stand_side_by_side(compared, studio):
    a, b = studio.comparison.lanes
    assert (a.temperature, b.temperature) == (1.0, 0.7)
    assert a.tree.recipe.settings.seed == b.tree.recipe.settings.seed == 42
    sides = compared.generate_panel.sides
    assert sides.count == 2
    assert np.array_equal(sides.views[0].image(), a.trace.image(0))
    assert np.array_equal(sides.views[1].image(), b.trace.image(0))
    assert np.array_equal(a.trace.values, a.tree.recipe.draw(studio.model).trace.values)
    per = [lane.trace.bits(0) / 64 for lane in (a, b)]
    assert sides.figures_of(1) == f"{per[1]:.3f} bits/dim · Δ\u00a0{per[1] - per[0]:+.3f}".replace("-", "−")


def test_lanes_move_in_step(qtbot, compared, studio):
    studio.seek(20)
    for view in compared.generate_panel.sides.views[:2]:
        assert (view.image() >= 0).sum() == 20
        assert view.next == (2, 4)
    qtbot.keyClick(compared, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert all((view.image() >= 0).sum() == 24 for view in compared.generate_panel.sides.views[:2])


def test_samplers_draw_the_same_pixels_and_lanes_come_and_go(qtbot, compared, studio):
    panel = compared.generate_panel
    head = panel.heads[1]
    head.temperature.setValue(1.0)
    wait_drawn(qtbot, studio)
    head.method.setCurrentIndex(2)
    wait_drawn(qtbot, studio)
    a, b = studio.comparison.lanes
    assert b.tree.sampler.method == "jacobi"
    assert np.array_equal(a.trace.values, b.trace.values)
    for count in (3, 4):
        qtbot.mouseClick(panel.add_button, Qt.MouseButton.LeftButton)
        wait_drawn(qtbot, studio)
        assert panel.sides.count == count
    temperatures = [lane.temperature for lane in studio.comparison.lanes]
    assert temperatures == [1.0, 1.0, 0.75, 0.5], "a new lane shows something new"
    assert not panel.add_button.isVisible(), "four are enough"
    qtbot.mouseClick(panel.heads[1].cross, Qt.MouseButton.LeftButton)
    assert panel.sides.count == 3
    assert "jacobi" not in [lane.method for lane in studio.comparison.lanes]


def test_a_click_brings_a_lane_into_focus_for_toolbar_and_inspector(qtbot, compared, studio):
    view = compared.generate_panel.sides.views[1]
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.rect_of(3, 3).center().toPoint())
    lane = studio.comparison.lanes[1]
    assert studio.trace is lane.trace
    assert studio.selection == (0, 3, 3)
    assert compared.toolbar.degrees.text() == "0.70"
    assert compared.inspector.figures.text("value") == str(lane.trace.values[0, 27])
    compared.toolbar.temperature.setValue(40)
    wait_drawn(qtbot, studio)
    assert [lane.temperature for lane in studio.comparison.lanes] == [1.0, 0.4]


def test_another_model_in_a_lane(qtbot, compared, studio):
    head = compared.generate_panel.heads[1]
    head.menu.aboutToShow.emit()
    wanted = next(action for action in head.menu.actions() if action.text().startswith("NADE"))
    wanted.trigger()
    wait_drawn(qtbot, studio)
    lane = studio.comparison.lanes[1]
    assert lane.card.name == "digits-nade"
    assert lane.trace.spec == lane.card.spec
    compared.generate_panel.refresh()
    assert head.model.text().startswith("NADE")


def test_narrow_lanes_name_the_model_above_its_data_and_keep_the_images_level(qtbot, compared, studio):
    panel, comparison = compared.generate_panel, studio.comparison
    for _ in range(2):
        comparison.add()
        wait_drawn(qtbot, studio)
    compared.resize(1024, 700)
    compared.reset_layout()
    titles = [lane.card.title for lane in comparison.lanes]
    qtbot.waitUntil(lambda: [head.model.text().split("\n")[0] for head in panel.heads] == titles)
    assert all(head.model.text().count("\n") == 1 for head in panel.heads)
    panel.refresh()
    lines = [shown.text().count("\n") for shown in panel.sides._figures]
    assert lines == [1, 1, 1, 1], "all are broken where one has to be"
    qtbot.waitUntil(lambda: [_top(panel, view) for view in panel.sides.views[::2]] == [
        _top(panel, view) for view in panel.sides.views[1::2]
    ])


def _top(panel, view):
    return view.mapTo(panel, view.rect().topLeft()).y()


def test_four_lanes_use_the_room_below_them(qtbot, compared, studio):
    panel, comparison = compared.generate_panel, studio.comparison
    compared.resize(1280, 800)
    compared.reset_layout()
    sides = panel.sides
    assert _top(panel, sides.views[0]) == _top(panel, sides.views[1]), "two stand side by side, below their words"
    for _ in range(2):
        comparison.add()
        wait_drawn(qtbot, studio)
    qtbot.waitUntil(lambda: _top(panel, sides.views[2]) > _top(panel, sides.views[0]) + 150)
    assert all(view.target().width() > 160 for view in sides.views), "a row of four left 152 for each"
    assert all(head.method.isVisible() and head.cross.isVisible() for head in panel.heads)
    areas = [widget.rect().translated(widget.mapTo(panel, widget.rect().topLeft())) for widget in (*sides.views, *panel.heads)]
    assert not any(a.intersects(b) for i, a in enumerate(areas) for b in areas[:i])
    compared.resize(1600, 1000)
    qtbot.waitUntil(lambda: compared.width() == 1600 and panel.heads[0].width() > 160, timeout=5_000)
    assert all(view.width() - view.target().width() < 8 for view in sides.views), "words keep close to their own image"
    compared.resize(1280, 800)
    comparison.remove(3)
    comparison.remove(2)
    qtbot.waitUntil(lambda: sides.views[0].target().width() > 250)
    assert _top(panel, sides.views[0]) > _top(panel, panel.heads[0]) + 30


def test_a_run_is_offered_too_and_read_beside_the_window(qtbot, compared, studio, monkeypatch):
    from arstudio.training import places, runs
    from arstudio.training.config import TrainConfig
    from arstudio.training.setup import DataView, new_trainer

    config = TrainConfig(epochs=0.1, validation_images=20)
    trainer = new_trainer(places.runs_root() / "mine", DataView(dataset="digits"), "fvsbn", config, device="cpu")
    trainer.fit()
    threads, real = [], runs.list_runs
    monkeypatch.setattr(runs, "list_runs", lambda root: threads.append(threading.current_thread()) or real(root))
    studio.runs_changed.emit()
    qtbot.waitUntil(lambda: [card.name for card in studio.comparison.runs] == ["mine"], timeout=20_000)
    head = compared.generate_panel.heads[1]
    head.menu.aboutToShow.emit()
    next(action for action in head.menu.actions() if action.text() == "mine").trigger()
    wait_drawn(qtbot, studio)
    assert studio.comparison.lanes[1].card.model == "fvsbn"
    assert threads
    assert threading.main_thread() not in threads


def test_the_seed_is_the_same_for_all_and_leaving_goes_back_to_one_drawing(qtbot, compared, studio):
    first = [lane.trace.values.copy() for lane in studio.comparison.lanes]
    qtbot.mouseClick(compared.toolbar.dice, Qt.MouseButton.LeftButton)
    wait_drawn(qtbot, studio)
    assert len({lane.tree.recipe.settings.seed for lane in studio.comparison.lanes}) == 1
    assert not np.array_equal(studio.comparison.lanes[0].trace.values, first[0])
    qtbot.mouseClick(compared.generate_panel.compare_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: studio.trace.count == 4 and studio.trace.complete and not studio.drawing, timeout=20_000)
    assert studio.comparison is None
    assert compared.generate_panel.sides.count == 1


def test_a_branch_in_a_lane_leaves_the_others(qtbot, compared, studio):
    other = studio.comparison.lanes[1].trace.values.copy()
    studio.branch(12, 3)
    wait_drawn(qtbot, studio)
    assert studio.comparison.lanes[0].trace.values[0, 12] == 3
    assert np.array_equal(studio.comparison.lanes[1].trace.values, other)


def test_a_lane_whose_model_is_broken_says_why_and_the_others_go_on(qtbot, compared, studio, tmp_path, messages):
    from dataclasses import replace

    from arstudio.models import save_model

    panel, comparison = compared.generate_panel, studio.comparison
    save_model(path := tmp_path / "gone.safetensors", studio.model)
    path.write_bytes(path.read_bytes()[:-200])
    broken = replace(comparison.lanes[1].card, path=path)
    comparison.change(1, card=broken)
    qtbot.waitUntil(lambda: comparison.lanes[1].error != "" and not studio.drawing and not studio.playing, timeout=20_000)
    panel.refresh()
    assert comparison.ready
    said = panel.sides.figures_of(1)
    assert "gone.safetensors" in said
    assert "Choose another model" in said
    assert panel.sides.views[1].image() is None
    assert (panel.sides.views[0].image() >= 0).all(), "the other lane is drawn"
    assert not [text for kind, text in messages if kind == "error"]
    qtbot.mouseClick(panel.sides.views[1], Qt.MouseButton.LeftButton)
    assert comparison.focus == 0
    comparison.add()
    wait = [lane for lane in comparison.lanes if not lane.error]
    qtbot.waitUntil(lambda: all(lane.trace and lane.trace.complete for lane in wait) and not studio.drawing, timeout=20_000)
    qtbot.mouseClick(panel.heads[1].cross, Qt.MouseButton.LeftButton)
    wait_drawn(qtbot, studio)
    assert len(comparison.lanes) == 2
    assert panel.sides.count == 2
    assert all(view.image() is not None for view in panel.sides.views[:2])
