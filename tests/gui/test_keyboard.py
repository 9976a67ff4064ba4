"""The window by keys alone: pixels are found, chosen and painted, Tab comes to everything, controls keep their keys, and play
and step keep theirs."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QWidget

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


def test_the_keyboard_begins_at_the_first_picture(qtbot, window, studio):
    view = window.generate_panel.view
    assert not view.hasFocus()
    studio.set_speed(float("inf"))
    studio.generate()
    qtbot.waitUntil(lambda: view.hasFocus() and studio.trace.complete and not studio.playing, timeout=20_000)
    assert not view.framed, "nobody came there"
    window.toolbar.seed.setFocus()
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing and not studio.playing, timeout=20_000)
    assert window.toolbar.seed.hasFocus(), "who is elsewhere stays there"


@pytest.mark.parametrize("job", ["generate", "complete", "train"])
def test_tab_comes_to_every_control_part_by_part_and_round_again(qtbot, ready, studio, job):
    window = ready
    window.library.fill()
    window.library.fill_datasets()
    window._order_stops()    # the program fills the Library first
    window.show_job(job)
    if job == "complete":
        qtbot.waitUntil(lambda: window.complete.canvas.isVisible(), timeout=10_000)
    window.toolbar.model.setFocus()
    stops = [window.toolbar.model]
    while True:
        qtbot.keyClick(QApplication.focusWidget(), KEY.Key_Tab)
        if QApplication.focusWidget() is stops[0]:
            break
        stops.append(QApplication.focusWidget())
        assert stops.count(stops[-1]) == 1, f"Tab never comes out of {stops[-1]}"
    docks = window.docks
    parts = (
        window.toolbar, window.library, window.tabs, window.notice, window.stack, docks.bottom, docks.side, window.status_line,
    )
    places = [next(i for i, part in enumerate(parts) if part is stop or part.isAncestorOf(stop)) for stop in stops]
    assert places == sorted(places), "from left to right, and down"
    missed = [
        w for part in parts for w in part.findChildren(QWidget)
        if w.isVisible() and w.isEnabled() and w.window() is window and w not in stops
        and w.focusPolicy() & Qt.FocusPolicy.TabFocus and w.focusProxy() is None
    ]
    assert not missed
    if job == "complete":
        assert window.complete.tools.buttons[window.complete.canvas.tool] in stops, "the tool in hand, not the first"


def test_lanes_come_with_their_heads_one_after_the_other(qtbot, ready, studio):
    studio.compare(True)
    qtbot.waitUntil(lambda: studio.comparison.ready and not studio.drawing, timeout=20_000)
    ready.tabs.setFocus()
    ready.notice.hide()
    press(qtbot, KEY.Key_Tab)
    heads, views = ready.generate_panel.heads, ready.generate_panel.sides.views
    expected = [w for head, view in zip(heads[:2], views, strict=False)
                for w in (head.model, head.temperature, head.method, view)]
    found = []
    for _ in expected:
        found.append(QApplication.focusWidget())
        press(qtbot, KEY.Key_Tab)
    assert [w for w in found if w.isVisible()] == [w for w in expected if w.isVisible()]
    studio.compare(False)
    qtbot.waitUntil(lambda: not studio.drawing, timeout=20_000)


def test_space_opens_a_list_and_arrows_choose_in_a_row_of_buttons(qtbot, ready, studio):
    studio.seek(20)
    count, overlays = ready.generate_panel.count, ready.inspector.overlays
    count.setFocus()
    press(qtbot, KEY.Key_Space)
    assert count.view().isVisible()
    assert not studio.playing
    count.hidePopup()
    overlays.button("none").setFocus()
    press(qtbot, KEY.Key_Right)
    assert overlays.key() == "surprise"
    assert ready.generate_panel.overlay == "surprise"
    assert studio.position == 20
    press(qtbot, KEY.Key_Space)
    assert not studio.playing


def test_a_control_that_is_made_later_keeps_its_keys_too(qtbot, ready, studio):
    brush = ready.generate_panel.brush
    brush.button.click()
    brush.well.setFocus()
    press(qtbot, KEY.Key_Space)
    assert brush.well.popup.isVisible()
    assert not studio.playing
    brush.well.popup.hide()


def test_escape_gives_a_new_name_up_and_a_click_elsewhere_keeps_the_keyboard_there(qtbot, ready, studio):
    studio.branch(20, int((studio.trace.values[0, 20] + 1) % 17))
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing and not studio.playing, timeout=20_000)
    tree, seed = ready.generate_panel.bottom.lanes.tree, ready.toolbar.seed
    tree.setFocus()
    for leave, name in ((lambda: press(qtbot, KEY.Key_Escape), "Branch 1"), (seed.setFocus, "other")):
        press(qtbot, KEY.Key_F2)
        assert QApplication.focusWidget() is tree.field
        qtbot.keyClicks(tree.field, "other")
        leave()
        assert not tree.field.isVisible()
        assert studio.tree.current.name == name
    assert seed.hasFocus()


def test_who_is_taken_to_another_job_goes_on_there(qtbot, ready, studio):
    ready.generate_panel.bottom.timeline.setFocus()
    qtbot.keyClick(QApplication.focusWidget(), KEY.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert ready.complete.begin_at.hasFocus()
    qtbot.keyClick(QApplication.focusWidget(), KEY.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert ready.generate_panel.view.hasFocus()
    ready.toolbar.seed.setFocus()
    qtbot.keyClick(QApplication.focusWidget(), KEY.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert ready.toolbar.seed.hasFocus(), "what is still in sight keeps it"
    ready.reset_layout()
    assert ready.toolbar.seed.hasFocus()


def test_escape_dismisses_a_message_and_ends_the_tour(qtbot, ready, studio):
    studio.message.emit("error", "notes.txt is not a picture.")
    press(qtbot, KEY.Key_Escape)
    assert not ready.notice.isVisible()
    ready.teacher.offer_tour()
    assert ready.teacher.card.next_button.hasFocus()
    press(qtbot, KEY.Key_Escape)
    assert ready.teacher.lesson is None
    assert ready.generate_panel.view.hasFocus()


def test_no_letter_stands_for_two_entries_of_a_menu(window):
    for top in window.menuBar().actions():
        letters = [
            text[text.index("&") + 1].lower() for entry in top.menu().actions()
            if "&" in (text := entry.text().replace("&&", ""))
        ]
        assert len(letters) == len(set(letters)), (top.text(), letters)
