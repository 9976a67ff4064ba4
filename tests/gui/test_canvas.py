"""The canvas: strokes of every tool, undo to the identical image, zoom and pan, previews that touch
nothing."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QInputDevice, QMouseEvent, QPointingDevice, QTabletEvent, QUndoStack, QWheelEvent
from PySide6.QtWidgets import QApplication

from arstudio.gui.widgets.canvas import Canvas
from arstudio.gui.widgets.gesture import TOOLS
from arstudio.gui.widgets.sheet import box, disc, grown, outline, region, segment, stroke
from arstudio.image import ImageSpec

SPEC = ImageSpec(1, 8, 8, 17)
LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton


def make_canvas(spec=SPEC):
    canvas = Canvas(QUndoStack())
    rng = np.random.default_rng(3)
    hidden = np.zeros((spec.height, spec.width), bool)
    hidden[5:] = True
    canvas.begin(rng.integers(0, spec.levels, spec.shape), hidden, spec)
    canvas.resize(320, 320)
    return canvas


@pytest.fixture
def canvas(qtbot):
    canvas = make_canvas()
    qtbot.addWidget(canvas)
    with qtbot.waitExposed(canvas):
        canvas.show()
    return canvas


def at(canvas, row, column):
    return canvas.rect_of(row, column).center().toPoint()


def drag(qtbot, canvas, cells, button=LEFT):
    qtbot.mousePress(canvas, button, pos=at(canvas, *cells[0]))
    for cell in cells[1:]:
        point = QPointF(at(canvas, *cell))
        move = QMouseEvent(
            QEvent.Type.MouseMove, point, canvas.mapToGlobal(point), Qt.MouseButton.NoButton, button,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(canvas, move)
    qtbot.mouseRelease(canvas, button, pos=at(canvas, *cells[-1]))


def wheel(canvas, point, delta, modifiers=Qt.KeyboardModifier.NoModifier):
    event = QWheelEvent(
        QPointF(point), QPointF(canvas.mapToGlobal(point)), QPoint(), QPoint(0, delta),
        Qt.MouseButton.NoButton, modifiers, Qt.ScrollPhase.NoScrollPhase, False,
    )
    QApplication.sendEvent(canvas, event)


def test_a_drag_is_one_stroke_without_gaps_and_one_undo(qtbot, canvas):
    before = canvas.sheet
    canvas.set_tool("brush")
    drag(qtbot, canvas, [(0, 0), (0, 7), (3, 7)])
    assert canvas.undo_stack.count() == 1
    assert (canvas.sheet.content[0, 0, :] == 16).all()
    assert (canvas.sheet.content[0, :4, 7] == 16).all()
    after = canvas.sheet
    canvas.undo_stack.undo()
    assert canvas.sheet.same(before)
    canvas.undo_stack.redo()
    assert canvas.sheet.same(after)


def test_drawing_on_hidden_pixels_makes_them_known(qtbot, canvas):
    canvas.set_tool("brush")
    qtbot.mouseClick(canvas, LEFT, pos=at(canvas, 6, 2))
    assert not canvas.sheet.hidden[6, 2]
    assert canvas.sheet.content[0, 6, 2] == 16
    assert canvas.sheet.hidden.sum() == 23


def test_the_eraser_gives_hidden_pixels_back_as_they_were(qtbot, canvas):
    content = canvas.sheet.content
    canvas.set_tool("mask")
    drag(qtbot, canvas, [(0, 0), (0, 3)])
    assert canvas.sheet.hidden[0, :4].all()
    assert (canvas.image()[0, 0, :4] == -1).all()
    canvas.set_tool("eraser")
    drag(qtbot, canvas, [(0, 0), (0, 3)])
    assert not canvas.sheet.hidden[0].any()
    assert np.array_equal(canvas.sheet.content, content)


def test_the_right_button_draws_the_other_ink_and_takes_the_mask_away(qtbot, canvas):
    canvas.set_tool("brush")
    qtbot.mouseClick(canvas, RIGHT, pos=at(canvas, 1, 1))
    assert canvas.sheet.content[0, 1, 1] == 0
    canvas.set_tool("mask")
    qtbot.mouseClick(canvas, RIGHT, pos=at(canvas, 7, 7))
    assert not canvas.sheet.hidden[7, 7]


def test_a_rectangle_follows_the_mouse_until_it_is_let_go(qtbot, canvas):
    canvas.set_tool("rectangle")
    drag(qtbot, canvas, [(0, 0), (4, 4), (1, 2)])
    expected = np.zeros((8, 8), bool)
    expected[:2, :3] = True
    expected[5:] = True
    assert np.array_equal(canvas.sheet.hidden, expected)


def test_a_line_is_straight_and_fill_takes_joined_pixels_of_one_level(qtbot, canvas):
    canvas.change("blank", np.zeros(SPEC.shape), np.zeros((8, 8)))
    canvas.set_tool("line")
    drag(qtbot, canvas, [(0, 3), (5, 5), (7, 3)])
    assert (canvas.sheet.content[0, :, 3] == 16).all()
    assert canvas.sheet.content.sum() == 8 * 16
    canvas.ink = (5,)
    canvas.set_tool("fill")
    qtbot.mouseClick(canvas, LEFT, pos=at(canvas, 2, 6))
    assert (canvas.sheet.content[0, :, 4:] == 5).all()
    assert (canvas.sheet.content[0, :, :3] == 0).all()


def test_a_drawn_rectangle_is_filled_with_the_ink_and_known(qtbot, canvas):
    canvas.set_tool("block")
    drag(qtbot, canvas, [(4, 1), (6, 6), (7, 3)])
    assert (canvas.sheet.content[0, 4:8, 1:4] == 16).all()
    assert not canvas.sheet.hidden[5:, 1:4].any()
    assert canvas.sheet.hidden[5:, 4:].all()
    assert canvas.undo_stack.count() == 1


def test_keep_takes_what_the_model_drew_and_only_there(qtbot, canvas):
    before = canvas.sheet
    shown = np.full(SPEC.shape, 9, np.int16)
    shown[0, 7, 7] = -1                                            # not drawn: a stopped run
    canvas.show_preview(shown, before.hidden)
    canvas.set_tool("keep")
    with qtbot.assertNotEmitted(canvas.preview_left):
        drag(qtbot, canvas, [(4, 4), (6, 4)])
        drag(qtbot, canvas, [(7, 7), (7, 7)])
    assert canvas.previewing
    assert (canvas.image()[0, 6] == 9).all()
    assert np.array_equal(canvas.sheet.content[0, :5], before.content[0, :5])
    assert (canvas.sheet.content[0, 5:7, 4] == 9).all()
    assert not canvas.sheet.hidden[5:7, 4].any()
    assert canvas.sheet.hidden[7, 7]
    after = canvas.sheet
    for _ in range(canvas.undo_stack.count()):
        canvas.undo_stack.undo()
    assert canvas.sheet.same(before)
    assert not canvas.previewing
    while canvas.undo_stack.canRedo():
        canvas.undo_stack.redo()
    assert canvas.sheet.same(after)


def test_keep_without_a_completion_changes_nothing(qtbot, canvas):
    before = canvas.sheet
    canvas.set_tool("keep")
    drag(qtbot, canvas, [(0, 0), (7, 7)])
    assert canvas.sheet.same(before)
    assert canvas.undo_stack.count() == 0


def pen(canvas, kind, cell, pressure, end=QPointingDevice.PointerType.Pen, button=LEFT):
    device = QPointingDevice(
        "tablet", 7, QInputDevice.DeviceType.Stylus, end, QInputDevice.Capability.Position | QInputDevice.Capability.Pressure,
        1, 2,
    )
    point = QPointF(at(canvas, *cell))
    held = button if kind != QEvent.Type.TabletRelease else Qt.MouseButton.NoButton
    changed = button if kind != QEvent.Type.TabletMove else Qt.MouseButton.NoButton
    event = QTabletEvent(
        kind, device, point, canvas.mapToGlobal(point), pressure, 0, 0, 0, 0, 0, Qt.KeyboardModifier.NoModifier, changed, held,
    )
    QApplication.sendEvent(canvas, event)
    return event.isAccepted()


def test_a_pen_draws_as_wide_as_it_is_pressed_and_its_other_end_erases(canvas):
    canvas.change("blank", np.zeros(SPEC.shape), np.zeros((8, 8)))
    canvas.set_tool("mask")
    canvas.set_brush(5)
    press, move, release = QEvent.Type.TabletPress, QEvent.Type.TabletMove, QEvent.Type.TabletRelease
    assert pen(canvas, press, (3, 1), 0.1)
    pen(canvas, move, (3, 4), 0.2)
    pen(canvas, move, (3, 5), 0.6)
    pen(canvas, release, (3, 5), 0.0)
    rows = canvas.sheet.hidden.sum(0)
    assert rows[1] == 1                   # a light beginning, one pixel wide
    assert rows[5] == 3                   # three of the five pixels of the brush
    assert canvas.undo_stack.count() == 2
    assert canvas.footprint == 5          # the pressure ends with the stroke
    pen(canvas, press, (3, 1), 1.0, QPointingDevice.PointerType.Eraser)
    pen(canvas, move, (3, 7), 1.0, QPointingDevice.PointerType.Eraser)
    pen(canvas, release, (3, 7), 0.0, QPointingDevice.PointerType.Eraser)
    assert not canvas.sheet.hidden.any()
    assert canvas.tool == "mask"
    assert not pen(canvas, press, (3, 1), 1.0, button=MIDDLE)    # left to the mouse, which pans


def test_every_pixel_is_one_square_of_one_colour_at_any_magnification(canvas):
    content = np.random.default_rng(5).integers(0, 17, SPEC.shape)
    canvas.change("noise", content, np.zeros((8, 8)))
    canvas.clearFocus()
    for turns in (0, 3, 9, 20):
        for _ in range(turns):
            wheel(canvas, at(canvas, 3, 4), 120)
        picture, size = canvas.grab().toImage(), canvas.scale()
        assert size == int(size)
        for row, column in ((3, 4), (2, 4), (3, 3)):
            square = canvas.rect_of(row, column)
            level = -(-int(content[0, row, column]) * 255 // 16)
            for x, y in ((1, 1), (0.5, 0.5), (size - 2, size - 2), (1, size - 2)):
                point = square.topLeft() + QPointF(x * (size > 8), y * (size > 8))
                if canvas.rect().contains(point.toPoint()) and 1 <= x < size - 1:
                    seen = picture.pixelColor(int(point.x()), int(point.y()))
                    assert abs(seen.red() - level) <= 1, (turns, row, column, x, y)


def test_the_picker_takes_the_level_but_not_from_hidden_pixels(qtbot, canvas):
    canvas.set_tool("picker")
    with qtbot.waitSignal(canvas.picked):
        qtbot.mouseClick(canvas, LEFT, pos=at(canvas, 2, 2))
    assert canvas.ink == (int(canvas.sheet.content[0, 2, 2]),)
    ink = canvas.ink
    qtbot.mouseClick(canvas, LEFT, pos=at(canvas, 6, 6))
    assert canvas.ink == ink
    assert canvas.undo_stack.count() == 0


def test_a_stroke_that_changes_nothing_leaves_no_command(qtbot, canvas):
    canvas.set_tool("mask")
    drag(qtbot, canvas, [(6, 0), (6, 5)])
    assert canvas.undo_stack.count() == 0


def test_strokes_may_leave_the_image_and_come_back(qtbot, canvas):
    canvas.set_tool("mask")
    canvas.use((2, -4), (2, 12))
    assert canvas.sheet.hidden[2].all()
    assert canvas.sheet.hidden.sum() == 24 + 8


def test_undo_in_the_middle_of_a_stroke_drops_it(qtbot, canvas):
    start = canvas.sheet
    canvas.set_tool("brush")
    canvas.use((0, 0), (0, 4))
    qtbot.mousePress(canvas, LEFT, pos=at(canvas, 3, 3))
    canvas.undo_stack.undo()
    assert canvas.sheet.same(start)
    qtbot.mouseRelease(canvas, LEFT, pos=at(canvas, 3, 3))
    assert canvas.sheet.same(start)


def test_ctrl_wheel_sizes_the_brush_and_the_wheel_zooms_at_the_cursor(canvas):
    point = at(canvas, 2, 5)
    wheel(canvas, point, 240, Qt.KeyboardModifier.ControlModifier)
    assert canvas.brush == 3
    wheel(canvas, point, -120 * 30, Qt.KeyboardModifier.ControlModifier)
    assert canvas.brush == 1
    scale = canvas.scale()
    for _ in range(5):
        wheel(canvas, point, 120)
    assert canvas.scale() > 2 * scale
    assert canvas.pixel_at(QPointF(point)) == (2, 5)
    assert canvas.scale() == int(canvas.scale())


def test_middle_drag_and_space_drag_pan_without_drawing(qtbot, canvas):
    before = canvas.sheet
    for _ in range(4):
        wheel(canvas, at(canvas, 4, 4), 120)
    pan = QPointF(canvas.pan)
    drag(qtbot, canvas, [(4, 4), (3, 4)], MIDDLE)
    moved = QPointF(canvas.pan)
    assert moved != pan
    canvas.setFocus()
    qtbot.keyPress(canvas, Qt.Key.Key_Space)
    drag(qtbot, canvas, [(4, 4), (4, 3)])
    qtbot.keyRelease(canvas, Qt.Key.Key_Space)
    assert canvas.pan != moved
    assert canvas.sheet.same(before)


def test_arrows_and_return_draw_without_a_mouse(qtbot, canvas):
    canvas.setFocus()
    canvas.set_tool("rectangle")
    qtbot.keyClick(canvas, Qt.Key.Key_Up)                       # from the middle, (4, 4)
    qtbot.keyClick(canvas, Qt.Key.Key_Return)
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Left):
        qtbot.keyClick(canvas, key)
    qtbot.keyClick(canvas, Qt.Key.Key_Return)
    assert canvas.sheet.hidden[2:4, 3:5].all()
    assert canvas.sheet.hidden.sum() == 24 + 4
    assert canvas.undo_stack.count() == 1


def test_a_preview_touches_nothing_and_drawing_leaves_it(qtbot, canvas):
    before = canvas.sheet
    canvas.show_preview(np.full(SPEC.shape, 9, np.int16), before.hidden)
    assert (canvas.image() == 9).all()
    assert canvas.sheet.same(before)
    canvas.set_tool("mask")
    with qtbot.waitSignal(canvas.preview_left):
        qtbot.mouseClick(canvas, LEFT, pos=at(canvas, 0, 0))
    assert not canvas.previewing
    assert canvas.sheet.hidden[0, 0]


def test_colours_have_three_levels_per_ink(qtbot):
    spec = ImageSpec(3, 6, 6, 8)
    canvas = make_canvas(spec)
    qtbot.addWidget(canvas)
    canvas.ink = (7, 0, 3)
    canvas.set_tool("brush")
    canvas.use((1, 1))
    assert canvas.sheet.content[:, 1, 1].tolist() == [7, 0, 3]


def test_another_tool_is_refused_by_name(canvas):
    with pytest.raises(ValueError, match="brush"):
        canvas.set_tool("hammer")


cells = st.tuples(st.integers(-2, 9), st.integers(-2, 9))
gestures = st.lists(
    st.tuples(st.sampled_from(TOOLS), cells, cells, st.integers(1, 5), st.booleans(), st.integers(0, 16)),
    min_size=1, max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gestures)
def test_undo_and_redo_return_the_identical_arrays_after_any_strokes(qapp, drawn):
    canvas = make_canvas()
    states = [canvas.sheet]
    for tool, start, end, size, other, level in drawn:
        canvas.set_tool(tool)
        canvas.set_brush(size)
        canvas.ink = (level,)
        if tool == "keep":
            canvas.show_preview(np.full(SPEC.shape, level, np.int16), canvas.sheet.hidden)
        canvas.use(start, end, other=other)
        if not canvas.sheet.same(states[-1]):
            states.append(canvas.sheet)
        assert ((canvas.sheet.content >= 0) & (canvas.sheet.content < 17)).all()
    stack = canvas.undo_stack
    assert stack.count() == len(states) - 1
    canvas.leave_preview()
    for state in reversed(states[:-1]):
        stack.undo()
        assert canvas.sheet.same(state)
        assert np.array_equal(canvas.image(), state.shown())
    for state in states[1:]:
        stack.redo()
        assert canvas.sheet.same(state)
    canvas.deleteLater()


@given(st.integers(0, 2**16 - 1))
@settings(max_examples=50, deadline=None)
def test_the_outline_is_the_border_of_the_mask(bits):
    mask = np.array([bool(bits >> i & 1) for i in range(16)]).reshape(4, 4)
    length = sum(abs(x2 - x1) + abs(y2 - y1) for x1, y1, x2, y2 in outline(mask))
    padded = np.pad(mask, 1)
    assert length == (padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum()


def test_brushes_are_round_and_as_wide_as_they_say():
    for size in range(1, 12):
        footprint = disc((15, 15), size, (31, 31))
        rows, columns = np.nonzero(footprint)
        assert np.ptp(rows) == np.ptp(columns) == size - 1
        assert np.array_equal(footprint, footprint.T)
    assert disc((0, 0), 5, (31, 31)).sum() < disc((15, 15), 5, (31, 31)).sum()


@given(cells, cells)
def test_a_segment_joins_both_ends_cell_by_cell(start, end):
    found = segment(start, end)
    assert (found[0], found[-1]) == (start, end)
    steps = np.abs(np.diff(np.array(found), axis=0))
    assert (steps.max(axis=1, initial=0) <= 1).all()
    assert len(found) == max(abs(end[0] - start[0]), abs(end[1] - start[1])) + 1
    assert stroke(start, end, 1, (8, 8)).sum() == sum(0 <= r < 8 and 0 <= c < 8 for r, c in found)


def test_boxes_are_clipped_and_regions_keep_to_joined_equals():
    assert box((-3, -3), (1, 1), (8, 8)).sum() == 4
    assert box((-3, -3), (-1, -1), (8, 8)).sum() == 0
    content = np.zeros((1, 4, 4), int)
    content[0, :, 1] = 3
    hidden = np.zeros((4, 4), bool)
    hidden[0, 3] = True
    assert region(content, hidden, (3, 3)).sum() == 7
    assert region(content, hidden, (0, 3)).sum() == 1
    assert region(content, hidden, (2, 0)).sum() == 4


@given(st.integers(0, 2**16 - 1))
@settings(max_examples=50, deadline=None)
def test_growing_adds_the_neighbours_and_shrinking_is_growing_the_rest(bits):
    mask = np.array([bool(bits >> i & 1) for i in range(16)]).reshape(4, 4)
    wider, narrower = grown(mask), ~grown(~mask)
    for row in range(4):
        for column in range(4):
            near = [mask[r, c] for r in range(4) for c in range(4) if abs(r - row) + abs(c - column) <= 1]
            assert wider[row, column] == any(near)
            assert narrower[row, column] == all(near)
