"""The Complete panel as a person uses it: hide, complete, choose, accept, go on; files, clipboard, models,
errors."""


import numpy as np
import pytest
from hands import LEFT, click, complete
from PySide6.QtCore import Qt

from arstudio.gui.panels.complete import CompletePanel
from arstudio.gui.widgets.completions import max_bits
from arstudio.gui.widgets.toolbox import KEYS
from arstudio.image import ImageSpec


@pytest.fixture
def panel(complete_panel):
    return complete_panel


def click_thumb(qtbot, panel, index):
    qtbot.mouseClick(panel.gallery.wall, LEFT, pos=panel.gallery.centre_of(index))


def test_the_panel_opens_with_a_test_image_half_hidden(panel, messages):
    sheet = panel.canvas.sheet
    assert sheet.hidden[4:].all()
    assert not sheet.hidden[:4].any()
    assert "test image" in panel.caption.text()
    assert sheet.content.max() <= 16
    assert not messages
    assert panel.bottom.invitation.isVisibleTo(panel.bottom)


def test_complete_fills_the_gallery_and_keeps_every_known_pixel(qtbot, panel):
    before = panel.canvas.sheet
    found = complete(qtbot, panel)
    assert panel.gallery.count == 4
    known = np.broadcast_to(~before.hidden, (4, 1, 8, 8))
    assert (found.images[known] == np.broadcast_to(before.content, (4, 1, 8, 8))[known]).all()
    assert ((found.images >= 0) & (found.images < 17)).all()
    assert panel.canvas.sheet.same(before)
    best = int(found.log_prob.argmax())
    assert panel.gallery.current == best
    assert np.array_equal(panel.canvas.image(), found.images[best])
    assert panel.side.title.text() == "Completion 1 of 4"
    assert panel.side.figures.text("log_prob") == f"{found.log_prob[best]:.1f} nats".replace("-", "−")
    assert panel.side.figures.text("hidden") == "32 of 64"
    assert panel.side.figures.text("evidence") == "all 32"
    assert panel.side.sentence.text() == f"{found.found.sentence} {found.found.reason} The class is left open."
    bits = -found.log_prob[best] / np.log(2) / 32
    assert panel.side.figures.text("bits") == f"{bits:.2f} bits/dim"


def test_a_picture_has_no_class_until_somebody_says_so(qtbot, panel, studio):
    link = panel.page.as_class
    assert not link.isVisibleTo(panel)
    studio.set(class_index=2)
    assert link.isVisibleTo(panel)
    assert link.text() == "class left open · use two"
    assert complete(qtbot, panel).trace.classes.tolist() == [-1] * 4
    click(qtbot, link)
    assert link.text() == "as class two · leave open"
    assert complete(qtbot, panel).trace.classes.tolist() == [2] * 4
    assert panel.side.sentence.text().endswith("Given class two.")
    click(qtbot, link)
    studio.set(guidance=2.0)                 # which leads towards a class, so there is nothing to leave out
    assert not link.isVisibleTo(panel)
    assert complete(qtbot, panel).trace.classes.tolist() == [2] * 4
    studio.set(guidance=0.0, class_index=-1)
    assert complete(qtbot, panel).trace.classes.tolist() == [-1] * 4


def test_choose_accept_hide_again_and_go_on(qtbot, panel):
    found = complete(qtbot, panel)
    index = panel.gallery.order[2]
    click_thumb(qtbot, panel, index)
    assert np.array_equal(panel.canvas.image(), found.images[index])
    assert panel.side.title.text() == "Completion 3 of 4"
    click(qtbot, panel.side.take)
    assert np.array_equal(panel.canvas.sheet.content, found.images[index])
    assert not panel.canvas.sheet.hidden.any()
    click(qtbot, panel.hide_bar.buttons["centre"])
    again = complete(qtbot, panel)
    assert again is not found
    assert (again.images[:, 0, :2] == found.images[index][0, :2]).all()
    assert panel.side.figures.text("evidence") == "all 48"
    panel.undo_stack.undo()
    panel.undo_stack.undo()
    assert panel.canvas.sheet.same(found.sheet)


def test_keep_a_part_of_a_completion_and_complete_the_rest(qtbot, panel, messages):
    found = complete(qtbot, panel)
    index = panel.gallery.current
    panel.canvas.setFocus()
    click(qtbot, panel.tools.buttons["keep"])
    panel.canvas.set_brush(1)
    for column in (2, 3):
        qtbot.mouseClick(panel.canvas, LEFT, pos=panel.canvas.rect_of(5, column).center().toPoint())
    assert panel.canvas.previewing
    assert panel.gallery.current == index
    assert panel.canvas.sheet.hidden.sum() == 30
    panel.cancel()
    assert not messages
    qtbot.mouseClick(panel.canvas, LEFT, pos=panel.canvas.rect_of(6, 2).center().toPoint())
    assert messages[-1][1].startswith("Choose a completion first")
    again = complete(qtbot, panel)
    assert (again.images[:, 0, 5, 2:4] == found.images[index][0, 5, 2:4]).all()
    assert (again.images[:, 0, :4] == found.sheet.content[0, :4]).all()


def test_a_double_click_or_return_in_the_gallery_takes_a_completion(qtbot, panel):
    found = complete(qtbot, panel)
    wall = panel.gallery.wall
    qtbot.keyClick(wall, Qt.Key.Key_Right)
    assert panel.gallery.current == panel.gallery.order[1]
    qtbot.keyClick(wall, Qt.Key.Key_Return)
    assert np.array_equal(panel.canvas.sheet.content, found.images[found.order("probable")[1]])
    panel.undo_stack.undo()
    click_thumb(qtbot, panel, 3)
    qtbot.mouseDClick(wall, LEFT, pos=panel.gallery.centre_of(3))
    assert np.array_equal(panel.canvas.sheet.content, found.images[3])


def test_the_three_rankings(qtbot, panel):
    panel.page.count.setCurrentText("8")
    found = complete(qtbot, panel)
    assert panel.gallery.order == np.argsort(-found.log_prob, kind="stable").tolist()
    click(qtbot, panel.bottom.ranking.button("typical"))
    distance = np.abs(found.log_prob - found.log_prob.mean())
    assert panel.gallery.order == np.argsort(distance, kind="stable").tolist()
    click(qtbot, panel.bottom.ranking.button("different"))
    order, images = panel.gallery.order, found.images.astype(int)
    assert sorted(order) == list(range(8))
    assert order[0] == int(found.log_prob.argmax())
    from_first = np.abs(images - images[order[0]]).sum((1, 2, 3))
    assert from_first[order[1]] == from_first.max()


def test_a_gallery_holds_from_4_to_64(qtbot, panel):
    count, known = panel.page.count, ~panel.canvas.sheet.hidden
    given = panel.canvas.sheet.content[:, known]
    count.setFocus()
    for key, number in ((Qt.Key.Key_Home, 4), (Qt.Key.Key_End, 64)):
        qtbot.keyClick(count, key)
        found = complete(qtbot, panel)
        assert len(found.images) == len(panel.gallery.order) == number
        assert (found.images[:, :, known] == given).all()


def test_the_agreement_map_is_the_entropy_over_the_completions(qtbot, panel):
    found = complete(qtbot, panel)
    bits, high = found.agreement()
    assert high == 2.0 == max_bits(17, 4)
    assert np.isnan(bits[:4]).all()
    values = found.images[:, 0, 6, 3]
    p = np.unique(values, return_counts=True)[1] / 4
    assert bits[6, 3] == pytest.approx(-(p * np.log2(p)).sum())
    assert "4" in panel.agreement.heading.text()
    assert panel.agreement.scale.high == 2.0


def test_the_same_seed_gives_the_same_completions(qtbot, panel, studio):
    first = complete(qtbot, panel)
    second = complete(qtbot, panel)
    assert np.array_equal(first.images, second.images)
    studio.set(seed=43)
    assert not np.array_equal(first.images, complete(qtbot, panel).images)


def test_results_appear_while_they_are_drawn(qtbot, panel, held):
    statuses = []
    panel.studio.status.connect(lambda text, fraction: statuses.append(text))
    panel.hide_part("top")
    panel.page.method.setCurrentText("Clamp")
    before = panel.canvas.sheet
    click(qtbot, panel.complete_button)
    qtbot.waitUntil(lambda: panel.run.trace is not None and panel.run.trace.cursor == 20, timeout=10_000)
    qtbot.waitUntil(lambda: (panel.canvas.image() >= 0).all(0).sum() == 52, timeout=5_000)
    assert panel.gallery.count == 4
    assert panel.side.title.text() == "Drawing 4 completions"
    assert panel.complete_button.text() == "Stop"
    assert (panel.canvas.image()[0, 4:] == before.content[0, 4:]).all()
    held.set()
    qtbot.waitUntil(lambda: not panel.running, timeout=10_000)
    assert any("Completing 4 images" in text for text in statuses)
    assert statuses[-1] == ""
    assert panel.complete_button.text() == "Complete"


def test_stop_keeps_what_is_there_and_it_can_be_used(qtbot, panel, held):
    panel.hide_part("top")
    panel.page.method.setCurrentText("Clamp")
    before = panel.canvas.sheet
    click(qtbot, panel.complete_button)
    qtbot.waitUntil(lambda: panel.run.trace is not None and panel.run.trace.cursor == 20, timeout=10_000)
    click(qtbot, panel.complete_button)
    qtbot.waitUntil(lambda: not panel.running, timeout=5_000)
    found = panel.result
    assert not found.finished
    assert found.drawn_pixels == 20
    assert panel.side.figures.text("hidden") == "20 of 32"
    click(qtbot, panel.side.take)
    assert panel.canvas.sheet.hidden.sum() == 12
    assert (panel.canvas.sheet.content[0, 4:] == before.content[0, 4:]).all()
    held.set()
    assert complete(qtbot, panel).finished


def test_drawing_during_a_run_changes_the_canvas_not_the_run(qtbot, panel, held):
    click(qtbot, panel.complete_button)
    qtbot.waitUntil(lambda: panel.canvas.previewing, timeout=10_000)
    panel.set_tool("mask")
    qtbot.mouseClick(panel.canvas, LEFT, pos=panel.canvas.rect_of(0, 0).center().toPoint())
    assert not panel.canvas.previewing
    held.set()
    qtbot.waitUntil(lambda: not panel.running, timeout=10_000)
    assert not panel.canvas.previewing
    assert panel.canvas.sheet.hidden[0, 0]
    assert not panel.result.sheet.hidden[0, 0]
    assert "BEFORE YOUR LAST CHANGES" in panel.bottom.title.text()
    panel.undo_stack.undo()
    assert "BEFORE" not in panel.bottom.title.text()


def test_nothing_hidden_is_said_in_a_sentence(qtbot, panel, messages):
    click(qtbot, panel.hide_bar.buttons["clear"])
    click(qtbot, panel.complete_button)
    assert not panel.running
    assert messages[-1][0] == "info"
    assert messages[-1][1].startswith("Nothing is hidden")


def test_an_error_while_drawing_is_said_and_nothing_is_lost(qtbot, panel, messages, monkeypatch):
    def broken(*_):
        raise RuntimeError("The model produced no numbers.")

    before = panel.canvas.sheet
    monkeypatch.setattr("arstudio.sampling.trace.Trace.put", broken)
    complete(qtbot, panel)
    assert messages[-1] == ("error", "The model produced no numbers.")
    assert panel.canvas.sheet.same(before)
    assert not panel.canvas.previewing
    assert panel.side.title.text() == "No completions yet"


def test_hide_buttons_invert_and_clear_are_undoable(qtbot, panel):
    start = panel.canvas.sheet
    states = []
    for name, button in panel.hide_bar.buttons.items():
        click(qtbot, button)
        states.append(panel.canvas.sheet)
        if name in ("top", "left", "right", "bottom", "random", "blob"):
            assert panel.canvas.sheet.hidden.sum() == (26 if name == "blob" else 32)
    hidden = {name: state.hidden for name, state in zip(panel.hide_bar.buttons, states, strict=True)}
    assert hidden["top"][:4].all()
    assert hidden["centre"][2:6, 2:6].sum() == hidden["centre"].sum() == 16
    assert np.array_equal(hidden["invert"], ~hidden["random"])
    assert not hidden["clear"].any()
    while panel.undo_stack.canUndo():
        panel.undo_stack.undo()
    assert panel.canvas.sheet.same(start)


def test_what_is_hidden_grows_and_shrinks_by_a_pixel_a_click(qtbot, panel):
    for name, corner in (("centre", 2), ("grow", 1), ("shrink", 2), ("shrink", 3)):
        click(qtbot, panel.hide_bar.buttons[name])
        assert panel.canvas.sheet.hidden.any(1).argmax() == corner, name
    assert panel.undo_stack.undoText().endswith("Shrink")


def test_keys_choose_tools_sizes_and_inks(qtbot, panel):
    panel.activateWindow()
    panel.canvas.setFocus()
    qtbot.waitUntil(panel.canvas.hasFocus)
    for tool, key in KEYS.items():
        qtbot.keyClick(panel.canvas, key)
        assert panel.canvas.tool == tool
        assert panel.tools.buttons[tool].isChecked()
    qtbot.keyClick(panel.canvas, Qt.Key.Key_BracketRight)
    assert panel.canvas.brush == 2
    assert panel.tools.size.text() == "2 px"
    qtbot.keyClick(panel.canvas, Qt.Key.Key_BracketLeft)
    qtbot.keyClick(panel.canvas, "X")
    assert (panel.canvas.ink, panel.canvas.other_ink) == ((0,), (16,))


def test_the_width_of_the_brush_is_chosen_from_a_menu(qtbot, panel):
    click(qtbot, panel.tools.size)
    menu = panel.tools.sizes
    assert menu.isVisible()
    third = menu.actions()[2]
    qtbot.mouseClick(menu, LEFT, pos=menu.actionGeometry(third).center())
    assert panel.canvas.brush == 3
    assert panel.tools.size.text() == "3 px"


def test_a_tool_button_and_an_ink_from_the_popup(qtbot, panel):
    click(qtbot, panel.tools.buttons["eraser"])
    assert panel.canvas.tool == "eraser"
    click(qtbot, panel.tools.well)
    grid = panel.tools.well.popup.grid
    assert grid.isVisible()
    qtbot.mouseClick(grid, LEFT, pos=grid.rect_of(0, 5).center().toPoint())
    assert not grid.isVisible()
    assert panel.canvas.ink == (5,)
    assert panel.canvas.tool == "brush"
    click(qtbot, panel.tools.well)
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    qtbot.keyClick(grid, Qt.Key.Key_Return)
    assert panel.canvas.ink == (6,)


def test_open_in_generate_shows_the_trace_and_the_chosen_image(qtbot, panel, studio):
    found = complete(qtbot, panel)
    click_thumb(qtbot, panel, 2)
    with qtbot.waitSignal(studio.tab_requested, check_params_cb=lambda name: name == "generate"):
        click(qtbot, panel.side.open)
    assert studio.trace is found.trace
    assert studio.focus == 2


def test_compare_shows_the_original_while_held(qtbot, panel):
    found = complete(qtbot, panel)
    original = panel.canvas.sheet.content
    qtbot.mousePress(panel.side.compare, LEFT)
    assert np.array_equal(panel.canvas.image(), original)
    qtbot.mouseRelease(panel.side.compare, LEFT)
    assert np.array_equal(panel.canvas.image(), found.images[panel.gallery.current])
    panel.cancel()
    assert not panel.canvas.previewing
    assert panel.side.title.text() == "4 completions"


def test_a_model_of_the_same_size_keeps_the_work(qtbot, panel, studio, messages, other_model):
    found = complete(qtbot, panel)
    sheet = panel.canvas.sheet
    studio.use_model(*other_model(panel.canvas.spec))
    assert panel.canvas.sheet is sheet
    assert panel.result is found
    assert "GATED PIXELCNN" in panel.bottom.title.text()
    assert not messages


def test_a_model_of_another_size_begins_with_a_new_picture_and_says_so(qtbot, panel, studio, messages, held, other_model):
    panel.canvas.use((0, 0), (3, 3))
    click(qtbot, panel.complete_button)
    qtbot.waitUntil(lambda: panel.run.trace is not None, timeout=10_000)
    studio.use_model(*other_model(ImageSpec(1, 8, 8, 2), dataset="digits"))
    assert not panel.running
    qtbot.waitUntil(lambda: panel.canvas.spec.levels == 2, timeout=10_000)
    assert panel.canvas.sheet.content.max() == 1
    assert panel.gallery.count == 0
    assert panel.result is None
    assert panel.undo_stack.count() == 0
    assert messages[0][0] == "info"
    assert "begins with a new picture" in messages[0][1]
    held.set()
    assert complete(qtbot, panel).images.max() <= 1


def test_a_colour_model_without_a_dataset_starts_blank(qtbot, panel, studio, messages, other_model):
    studio.use_model(*other_model(ImageSpec(3, 6, 5, 4)))
    qtbot.waitUntil(lambda: panel.canvas.spec.channels == 3, timeout=10_000)
    assert panel.canvas.sheet.hidden.all()
    assert "does not say what it was trained on" in messages[-1][1]
    panel.canvas.use((1, 1), (4, 3))
    found = complete(qtbot, panel)
    assert found.images.shape == (4, 3, 6, 5)
    assert (found.images[:, :, 1, 1] == 3).all()
    click(qtbot, panel.tools.well)
    grid = panel.tools.well.popup.grid
    qtbot.mouseClick(grid, LEFT, pos=grid.rect_of(4, 1).center().toPoint())
    assert panel.canvas.ink == (3, 0, 0)
    panel.undo_stack.undo()
    panel.canvas.use((0, 0), (0, 3))
    click(qtbot, panel.tools.well)
    qtbot.mouseClick(grid, LEFT, pos=grid.rect_of(0, 0).center().toPoint())    # the picture's own colours come first
    assert panel.canvas.ink == (3, 0, 0)


def test_without_a_model_there_is_one_button_and_no_errors(qtbot, messages):
    from arstudio.gui.studio import Studio

    empty = Studio()
    panel = CompletePanel(empty)
    for widget in (panel, panel.side, panel.bottom):
        qtbot.addWidget(widget)
    heard = []
    empty.message.connect(lambda kind, sentence: heard.append(kind))
    panel.show()
    assert panel.empty.button.isVisible()
    panel.complete()
    panel.open_file("x.png")
    panel.new.source.take_from_dataset()
    panel.new_blank()
    panel.hide_part("top")
    panel.copy()
    panel.cancel()
    assert heard == ["info"] * 3


def test_everything_can_be_reached_and_named_from_the_keyboard(panel):
    from PySide6.QtWidgets import QAbstractButton, QComboBox

    for root in (panel.page, panel.fitting, panel.side, panel.bottom):
        for control in [*root.findChildren(QAbstractButton), *root.findChildren(QComboBox)]:
            if control.objectName().startswith("qt_") or not control.isVisibleTo(root):
                continue
            group = control.group() if isinstance(control, QAbstractButton) else None
            stops = group.buttons() if group is not None else [control]    # Tab stops once at a group, arrows move inside it
            assert any(stop.focusPolicy() & Qt.FocusPolicy.TabFocus for stop in stops), control.accessibleName()
            assert control.accessibleName() or control.text(), control
