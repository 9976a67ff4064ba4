"""Branches as a person makes and walks them: bars, values, the brush; two futures side by side; names; marks and the loop."""

from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt


@pytest.fixture
def ready(qtbot, window, drawn):
    window.generate_panel.refresh()
    window.inspector.refresh()
    window.generate_panel.bottom.refresh()
    return window


def click(qtbot, widget, point):
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton, pos=point.toPoint() if isinstance(point, QPointF) else point)


def force(qtbot, window, row, column):
    """Click a pixel, then a bar that is not its value; returns (step, value)."""
    studio, view, plot = window.studio, window.generate_panel.view, window.inspector.plot
    studio.select(None)
    click(qtbot, view, view.rect_of(row, column).center())
    step = studio.trace.step(0, row, column)
    wanted = int((studio.trace.values[0, step] + 7) % 17)
    click(qtbot, plot, plot.bar_centre(wanted))
    wait_drawn(qtbot, studio)
    return step, wanted


def wait_drawn(qtbot, studio):
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing and not studio.playing, timeout=20_000)


def test_both_futures_stand_side_by_side_with_the_first_different_pixel_ringed(qtbot, ready, studio):
    first = studio.trace
    step, wanted = force(qtbot, ready, 3, 5)
    sides = ready.generate_panel.sides
    ready.generate_panel.refresh()
    assert sides.count == 2
    assert np.array_equal(sides.views[0].image(), first.image(0))
    assert np.array_equal(sides.views[1].image(), studio.trace.image(0))
    assert studio.trace.values[0, step] == wanted
    assert [view.differs for view in sides.views[:2]] == [(3, 5), (3, 5)]
    assert (sides.title_of(0), sides.title_of(1)) == ("First", "Branch 1")
    delta = studio.trace.bits(0) - first.bits(0)
    assert sides.figures_of(1).startswith(f"Δ {delta:+,.1f} bits".replace("-", "−"))
    studio.seek(step)
    ready.generate_panel.refresh()
    assert sides.views[0].differs is None, "nothing differs before the change"
    beside = ready.generate_panel.bottom.beside
    click(qtbot, beside, beside.rect().center())
    assert sides.count == 1


def test_branches_are_walked_by_clicks_and_keys_and_keep_their_images(qtbot, ready, studio):
    images = [studio.trace.image(0)]
    force(qtbot, ready, 3, 5)
    images.append(studio.trace.image(0))
    lanes = ready.generate_panel.bottom.lanes
    click(qtbot, lanes.tree, lanes.tree.middle_of(0))
    assert np.array_equal(studio.trace.image(0), images[0])
    force(qtbot, ready, 1, 1)
    images.append(studio.trace.image(0))
    assert lanes.isVisible()
    assert [lane.parent for lane in lanes.tree.lanes] == [-1, 0, 0]
    lanes.tree.setFocus()
    qtbot.keyClick(lanes.tree, Qt.Key.Key_Up)
    assert np.array_equal(studio.trace.image(0), images[1])
    qtbot.keyClick(ready, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert np.array_equal(studio.trace.image(0), images[0])
    qtbot.keyClick(ready, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    qtbot.keyClick(ready, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert np.array_equal(studio.trace.image(0), images[2])


def test_a_branch_gets_a_name(qtbot, ready, studio):
    force(qtbot, ready, 3, 5)
    tree = ready.generate_panel.bottom.lanes.tree
    qtbot.mouseDClick(tree, Qt.MouseButton.LeftButton, pos=tree.middle_of(1).toPoint())
    qtbot.keyClicks(tree.field, "bright collar")
    qtbot.keyClick(tree.field, Qt.Key.Key_Return)
    assert studio.tree.current.name == "bright collar"
    assert ready.generate_panel.sides.title_of(1) == "bright collar"
    qtbot.keyClick(tree, Qt.Key.Key_F2)
    qtbot.keyClicks(tree.field, "never mind")
    qtbot.keyClick(tree.field, Qt.Key.Key_Escape)
    assert studio.tree.current.name == "bright collar"


def test_a_stroke_of_the_brush_becomes_one_branch(qtbot, ready, studio):
    panel, before = ready.generate_panel, studio.trace.image(0)
    click(qtbot, panel.view, panel.view.rect_of(2, 1).center())
    qtbot.keyClick(panel.view, Qt.Key.Key_B)
    assert panel.brush.on
    assert panel.brush.well.isVisible()
    view = panel.view
    start, end = (view.rect_of(2, column).center().toPoint() for column in (1, 5))
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(view, end)
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=end)
    wait_drawn(qtbot, studio)
    after = studio.trace.image(0)
    assert (after[0, 2, 1:6] == 16).all()
    assert np.array_equal(after[0, :2], before[0, :2])
    assert len(studio.tree.branches()) == 2
    assert {e.step for e in studio.tree.current.edits} == {17, 18, 19, 20, 21}


def test_a_wider_brush_with_the_other_ink(qtbot, ready, studio):
    panel = ready.generate_panel
    click(qtbot, panel.view, panel.view.rect_of(4, 4).center())
    for key in (Qt.Key.Key_B, Qt.Key.Key_BracketRight, Qt.Key.Key_BracketRight, Qt.Key.Key_X):
        qtbot.keyClick(ready, key)
    assert "brush 3 px" in panel.caption.text()
    click(qtbot, panel.view, panel.view.rect_of(4, 4).center())
    wait_drawn(qtbot, studio)
    assert (studio.trace.image(0)[0, 3:6, 3:6] == 0).all()
    assert len(studio.tree.current.edits) == 9


def test_pixels_that_are_not_drawn_yet_cannot_be_painted(qtbot, ready, studio):
    studio.seek(10)
    panel = ready.generate_panel
    click(qtbot, panel.brush.button, panel.brush.button.rect().center())
    click(qtbot, panel.view, panel.view.rect_of(6, 6).center())
    assert len(studio.tree.branches()) == 1
    assert "drawn" in ready.notice.text.text()


def test_redrawing_from_here_makes_a_branch_for_all_images(qtbot, ready, studio):
    before = studio.trace.values.copy()
    studio.seek(24)
    button = ready.generate_panel.branch_button
    click(qtbot, button, button.rect().center())
    wait_drawn(qtbot, studio)
    assert np.array_equal(studio.trace.values[:, :24], before[:, :24])
    assert (studio.trace.values[:, 24:] != before[:, 24:]).any(1).all()
    assert studio.tree.current.parent is studio.tree.root


def test_branching_while_the_drawing_still_runs_keeps_the_unfinished_one(qtbot, window, studio):
    studio.set(count=64)
    studio.set_speed(float("inf"))
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.cursor > 8, timeout=10_000)
    studio.branch(4, 3)
    wait_drawn(qtbot, studio)
    assert studio.trace.values[0, 4] == 3
    studio.walk_to(studio.tree.root)
    wait_drawn(qtbot, studio)
    assert studio.trace is studio.tree.root.trace
    assert studio.trace.complete, "it was drawn on where it had stopped"


def test_marks_are_put_jumped_to_and_removed(qtbot, ready, studio):
    strip = ready.generate_panel.bottom
    for rank in (10, 40):
        studio.seek(rank)
        click(qtbot, strip.mark, strip.mark.rect().center())
    assert studio.marks == [10, 40]
    qtbot.keyClick(ready, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    assert studio.position == 10
    qtbot.keyClick(ready, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert studio.position == 40
    qtbot.mouseClick(strip.timeline, Qt.MouseButton.LeftButton, pos=QPoint(int(strip.timeline.x_of(10)) + 2, 8))
    assert studio.position == 10
    qtbot.mouseClick(strip.timeline, Qt.MouseButton.RightButton, pos=QPoint(int(strip.timeline.x_of(40)) + 2, 8))
    assert studio.marks == [10]
    qtbot.keyClick(ready, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    assert studio.marks == []


def test_the_loop_plays_the_part_between_two_marks(qtbot, ready, studio):
    studio.toggle_mark(16)
    studio.toggle_mark(24)
    studio.seek(20)
    strip = ready.generate_panel.bottom
    click(qtbot, strip.loop, strip.loop.rect().center())
    assert studio.loop == (16, 24)
    seen = []
    studio.position_changed.connect(lambda: seen.append(studio.position))
    studio.set_speed(400.0)
    studio.play()
    qtbot.waitUntil(lambda: any(a > b for a, b in pairwise(seen)), timeout=5_000)
    assert studio.playing
    assert min(seen) >= 16
    assert max(seen) <= 24
    click(qtbot, strip.loop, strip.loop.rect().center())
    assert studio.loop is None


def test_stepping_by_channel_shows_a_pixel_grow(qtbot, window, studio):
    import torch

    from arstudio.image import ImageSpec
    from arstudio.models import create
    from arstudio.models.checkpoint import card_of

    torch.manual_seed(1)
    model = create("pixelcnn", ImageSpec(3, 5, 4, 4), channels=12, blocks=1, head=12).eval()
    studio.set(class_index=-1, count=1)
    studio.use_model(model, card_of(model))
    studio.set_speed(float("inf"))
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.spec.channels == 3, timeout=10_000)
    wait_drawn(qtbot, studio)
    studio.seek(6)
    qtbot.keyClick(window, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert studio.position == 7
    shown = window.generate_panel.view.image()[:, 0, 2]
    assert shown[0] >= 0
    assert (shown[1:] == -1).all()
    qtbot.keyClick(window, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert studio.position == 6


def test_the_other_jobs_get_back_the_room_that_branches_took(qtbot, ready, studio):
    ready.resize(1024, 700)
    qtbot.waitUntil(lambda: ready.height() == 700)
    ready.reset_layout()
    dock = ready.docks.by_name["timeline"]
    low = dock.height()
    for step in (10, 20, 30):
        studio.branch(step, int((studio.trace.values[0, step] + 1) % 17))
        qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing, timeout=20_000)
    qtbot.waitUntil(lambda: len(ready.generate_panel.bottom._branches) == 4)
    qtbot.waitUntil(lambda: dock.height() >= dock.minimumSizeHint().height() > low)
    ready.tabs.setCurrentIndex(1)
    qtbot.waitUntil(lambda: dock.height() == low)
    ready.tabs.setCurrentIndex(0)
    qtbot.waitUntil(lambda: dock.height() >= dock.minimumSizeHint().height() > low)
