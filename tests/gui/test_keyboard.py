"""Pictures by keys alone: a pixel is found, chosen and painted without a mouse, and play and step keep their keys."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QLabel

KEY = Qt.Key


@pytest.fixture
def ready(qtbot, window, drawn):
    """The window with a drawing, and the keyboard on its large picture, come to by Tab."""
    window.generate_panel.refresh()
    window.generate_panel.draw_button.setFocus()
    for _ in range(60):
        qtbot.keyClick(QApplication.focusWidget(), KEY.Key_Tab)
        if QApplication.focusWidget() is window.generate_panel.view:
            break
    assert window.generate_panel.view.hasFocus(), "Tab never comes to the picture"
    return window


def press(qtbot, *keys):
    """Press keys where the keyboard is."""
    for key in keys:
        qtbot.keyClick(QApplication.focusWidget(), key)


def test_arrows_move_the_inspected_pixel_once_it_is_asked_for(qtbot, ready, studio):
    view = ready.generate_panel.view
    press(qtbot, KEY.Key_Home, *[KEY.Key_Right] * 10)
    assert (studio.position, studio.selection) == (10, None), "until then they are the playhead's"
    assert "Return chooses a pixel" in view.accessibleName()
    press(qtbot, KEY.Key_Return)
    assert studio.selection == (0, 1, 2), "it begins at the next pixel"
    press(qtbot, KEY.Key_Up, KEY.Key_Right)
    assert studio.selection == (0, 0, 3)
    assert ready.inspector.title.text() == "Pixel (0, 3)"
    assert f"row 0, column 3 · value {studio.trace.image(0)[0, 0, 3]}" in view.accessibleName()
    assert "Esc" in ready.generate_panel.caption.text()
    press(qtbot, KEY.Key_End, KEY.Key_PageDown, KEY.Key_Down, KEY.Key_Right)
    assert studio.selection == (0, 7, 7), "and stays inside the picture"
    press(qtbot, KEY.Key_Home, KEY.Key_PageUp)
    assert studio.selection == (0, 0, 0)
    assert studio.position == 10
    press(qtbot, KEY.Key_Space)
    assert studio.playing, "play has its key all the time"
    studio.pause()


@pytest.mark.parametrize("key", [KEY.Key_Escape, KEY.Key_Return], ids=["escape", "return"])
def test_escape_and_return_give_the_arrows_back_and_keep_the_pixel(qtbot, ready, studio, key):
    press(qtbot, KEY.Key_Home, KEY.Key_Down, KEY.Key_Down, key)
    assert studio.selection == (0, 1, 0)
    press(qtbot, KEY.Key_Right)
    assert (studio.position, studio.selection) == (1, (0, 1, 0))
    press(qtbot, KEY.Key_Return)
    assert studio.selection is None, "as a second click lets it go"


def test_the_caret_goes_with_the_keyboard_and_with_the_picture(qtbot, ready, studio, other_model):
    view = ready.generate_panel.view
    press(qtbot, KEY.Key_Down)
    assert view.caret is not None
    press(qtbot, KEY.Key_Tab)
    assert view.caret is None
    view.setFocus(Qt.FocusReason.TabFocusReason)
    press(qtbot, KEY.Key_PageDown)
    from arstudio.image import ImageSpec

    studio.use_model(*other_model(ImageSpec(1, 4, 4, 2)))
    studio.generate()
    qtbot.waitUntil(lambda: view.spec.height == 4, timeout=10_000)
    assert view.caret is None
    press(qtbot, KEY.Key_Down, KEY.Key_Down)
    assert studio.selection[1] < 4


def test_the_frame_and_the_caret_can_be_seen(qtbot, ready, studio):
    view = ready.generate_panel.view

    def seen():
        return view.grab().toImage()

    framed = seen()
    view.framed = False
    assert seen() != framed
    view.framed = True
    press(qtbot, KEY.Key_Down)
    walking = seen()
    press(qtbot, KEY.Key_Escape)
    assert seen() != walking


def test_return_paints_with_the_brush_where_the_caret_stands(qtbot, ready, studio):
    panel, before = ready.generate_panel, studio.trace.image(0)
    qtbot.keyClick(panel.view, KEY.Key_B)
    studio.select((0, 3, 3))
    panel.view.setFocus(Qt.FocusReason.TabFocusReason)
    press(qtbot, KEY.Key_Right, KEY.Key_Down)
    assert studio.selection == (0, 4, 3)
    ink = int(panel.brush._ink[0]) if before[0, 4, 3] != panel.brush._ink[0] else 0
    panel.brush._take((ink,))
    press(qtbot, KEY.Key_Return)
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing, timeout=10_000)
    assert len(studio.tree.branches()) == 2
    assert studio.trace.image(0)[0, 4, 3] == ink
    assert np.array_equal(studio.trace.image(0)[0, :4], before[0, :4])


def test_walking_in_another_lane_turns_to_it(qtbot, ready, studio):
    panel = ready.generate_panel
    studio.compare(True)
    qtbot.waitUntil(lambda: studio.comparison.ready and not studio.drawing, timeout=20_000)
    other = panel.sides.views[1 - studio.comparison.focus]
    other.setFocus(Qt.FocusReason.TabFocusReason)
    press(qtbot, KEY.Key_Down, KEY.Key_Down)
    assert panel.view is other
    assert other.hasFocus()
    assert other.caret == studio.selection[1:]
    studio.compare(False)
    qtbot.waitUntil(lambda: not studio.drawing, timeout=20_000)


def test_a_past_pixel_is_chosen_by_keys(qtbot, ready, studio):
    past = ready.inspector.past
    studio.seek(36)
    past.view.setFocus(Qt.FocusReason.TabFocusReason)
    press(qtbot, KEY.Key_Up, KEY.Key_Up, KEY.Key_Right)
    assert past.pixel == (3, 5)
    assert past.slider.isEnabled()
    press(qtbot, KEY.Key_PageDown)
    assert past.pixel == (3, 5)
    assert "came before" in past.words.text()
    assert studio.position == 36


def test_the_canvas_goes_to_its_edges_and_shows_where_the_tool_stands(qtbot, complete_panel):
    canvas = complete_panel.canvas
    complete_panel.set_tool("eraser")
    canvas.set_brush(1)
    complete_panel.hide_part("bottom")
    with qtbot.waitActive(complete_panel):
        complete_panel.activateWindow()
    complete_panel.tools.size.setFocus()
    canvas.setFocus(Qt.FocusReason.TabFocusReason)
    assert canvas._cell == (4, 4)
    for key in (KEY.Key_PageDown, KEY.Key_Home):
        qtbot.keyClick(canvas, key)
    qtbot.keyClick(canvas, KEY.Key_Enter, Qt.KeyboardModifier.KeypadModifier)
    hidden = canvas.sheet.hidden
    assert not hidden[7, 0]
    assert hidden[7, 1:].all()
    qtbot.keyClick(canvas, KEY.Key_End)
    qtbot.keyClick(canvas, KEY.Key_PageUp)
    assert canvas._cell == (0, 7)


def test_the_list_of_keys_speaks_of_pixels(qtbot, window):
    window.actions_by_slot["show_keys"].trigger()
    dialog = window.findChild(QDialog)
    words = [shown.text() for shown in dialog.findChildren(QLabel)]
    assert words[words.index("Choose a pixel") + 1] == "Up, Down, Return"
    dialog.reject()
