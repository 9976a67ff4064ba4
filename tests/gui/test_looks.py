"""What a stranger sees: lists that can be read, room that is used, words that say what is shown, contrast by WCAG."""

import numpy as np
import pytest
from hands import begin, click, complete, finish
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics
from PySide6.QtWidgets import QApplication, QComboBox, QScrollArea, QTableWidgetItem, QToolButton

from arstudio.gui import theme
from arstudio.gui.widgets.controls import BESIDE, Choice, Field
from arstudio.gui.widgets.library_row import FIGURE_EDGE, LEFT, SECOND, TITLE, fitting
from arstudio.gui.wording import two_digits


def array(image):
    """A QImage as (H, W, 4) bytes."""
    image = image.convertToFormat(image.Format.Format_RGB32)
    return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4).copy()


def listed(qtbot, kind, words, room=0):
    """The open list of a combo box in a field, photographed; `room` makes it wide enough in any case."""
    box = kind()
    box.addItems(words)
    field = Field("Images", box)
    qtbot.addWidget(field)
    field.show()
    if room:
        box.view().setMinimumWidth(room)
    QComboBox.showPopup(box) if room else box.showPopup()
    picture = array(box.view().viewport().grab().toImage())
    width = max(box.view().fontMetrics().horizontalAdvance(word) for word in words)
    box.hidePopup()
    return picture[:, :width + 16]    # 8 pixels at both sides of the words, within what is never cut


@pytest.mark.parametrize("words", [("1", "4", "9", "16"), ("small", "medium"), ("Auto", "Particles · 2,048")])
def test_lists_of_choices_show_their_entries_in_full(qtbot, words):
    whole = listed(qtbot, QComboBox, words, 400)
    np.testing.assert_array_equal(listed(qtbot, Choice, words), whole)
    assert not np.array_equal(listed(qtbot, QComboBox, words)[:, :whole.shape[1]], whole), "else there was nothing to mend"


def test_every_combo_box_of_the_window_is_of_that_kind(window):
    assert {type(box) for box in window.findChildren(QComboBox)} == {Choice}


def test_a_long_file_name_does_not_push_the_docks_away(qtbot, complete_panel, tmp_path):
    from PIL import Image

    before = complete_panel.minimumSizeHint().width()
    path = tmp_path / f"{'a very long name ' * 9}.png"
    Image.new("RGB", (40, 30), "teal").save(path)
    complete_panel.open_file(path)
    qtbot.waitUntil(lambda: complete_panel.fitting.incoming is not None, timeout=10_000)
    assert complete_panel.minimumSizeHint().width() <= before
    assert complete_panel.fitting.title.toolTip() == f"Fit {path.name}"


def test_the_transport_rests_where_its_drawing_is_not_in_sight_and_says_so(qtbot, window, drawn):
    play, tip = window.toolbar.transport["toggle"], window.toolbar.transport["toggle"].toolTip()
    for job in ("complete", "train"):
        window.show_job(job)
        assert not play.isEnabled()
        assert not window.toolbar.speed.isEnabled()
        assert "Generate" in play.toolTip()
        drawn.seek(5)
        qtbot.keyClick(window, Qt.Key.Key_Space)
        assert not drawn.playing
    window.show_generate()
    assert play.isEnabled()
    assert play.toolTip() == tip
    qtbot.keyClick(window, Qt.Key.Key_Space)
    assert drawn.playing


@pytest.mark.parametrize("width", [900, 1024, 1280])
def test_a_seed_of_five_digits_is_seen_whole(width, window, studio):
    window.resize(width, 700)
    studio.set(seed=90_990)
    seed = window.toolbar.seed
    seed.setCursorPosition(0)
    first = seed.cursorRect().center().x()
    seed.setCursorPosition(5)
    free = seed.width() - (24 if window.toolbar.copy.isVisible() else 0)      # the button that copies lies inside
    assert seed.text() == "90990"
    assert 0 <= first < seed.cursorRect().center().x() <= free
    assert seed.cursorRect().center().x() - first >= seed.fontMetrics().horizontalAdvance("90990") - 2


@pytest.mark.parametrize("width", [900, 960, 1024, 1280])
def test_the_whole_toolbar_is_in_sight_on_half_a_screen_too(qtbot, window, studio, width):
    with qtbot.waitSignal(studio.model_changed, timeout=20_000):
        studio.open_model("fashion-gated")    # the longest class names, guidance
    window.resize(width, 700)
    bar = window.toolbar
    qtbot.waitUntil(lambda: bar.width() == width and bar.rect().contains(bar.speed.geometry()), timeout=5_000)
    assert bar.speed.isVisible()
    assert bar.speed.geometry().left() > bar.transport["to_end"].geometry().right()
    assert bar.guidance_action.isVisible() == (width >= 1000)
    studio.set(class_index=2, guidance=1.0)
    assert bar.guidance_action.isVisible(), "what is set can be seen"


def test_the_keys_go_to_the_page_that_is_turned_to(window):
    window.generate_panel.setFocus()
    for job, place in (("complete", window.complete.canvas), ("train", window.train.choices.data)):
        window.show_job(job)
        assert QApplication.focusWidget() is place
    window.show_generate()
    assert QApplication.focusWidget() is window.generate_panel.view


def test_resetting_the_layout_leaves_the_focus_in_a_dock(window, drawn):
    window.inspector.past.view.setFocus()
    window.reset_layout()
    assert QApplication.focusWidget() is window.inspector.past.view


def test_sites_are_counted_from_one_in_every_formula(window, drawn):
    inspector = window.inspector
    drawn.select((0, 0, 0))
    assert (inspector.place.text(), inspector.formula.text()) == ("site 1 of 64", "p(x<sub>1</sub>)")
    drawn.select((0, 1, 2))
    assert inspector.place.text() == "site 11 of 64"
    assert inspector.formula.text() == "p(x<sub>11</sub> | x<sub>&lt;11</sub>)"
    assert "x<sub>≤11</sub>" in inspector.sum.text()
    drawn.select(None)
    drawn.seek(0)
    assert inspector.sum.text().replace("\u00a0", " ") == "log p(x<sub>&lt;1</sub>)<br>= 0.00 nats"


def test_solid_and_dashed_are_named_where_both_are_drawn(qtbot, window, drawn):
    inspector = window.inspector
    drawn.select((0, 4, 4))
    assert inspector.plot.ghost() is None
    assert inspector.outlines.isHidden()
    drawn.set(temperature=0.6, top_k=5)
    assert inspector.plot.ghost() is not None
    assert "T 0.60, top 5" in inspector.outlines.text()
    assert not inspector.outlines.isHidden()
    drawn.set(temperature=1.0, top_k=0)
    assert inspector.outlines.isHidden()


def test_the_scale_of_a_chosen_map_comes_into_sight(qtbot, window, drawn):
    window.resize(1024, 700)
    inspector = window.inspector
    inspector.area.verticalScrollBar().setValue(0)
    qtbot.mouseClick(inspector.overlays.button("depends"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not inspector.maps.busy, timeout=10_000)
    assert inspector.scale.isVisible()

    def in_sight():
        bottom = inspector.scale.mapTo(inspector.area.viewport(), inspector.scale.rect().bottomLeft()).y()
        return bottom < inspector.area.viewport().height()

    qtbot.waitUntil(in_sight, timeout=5_000)


def test_a_scale_that_cuts_off_says_so(window, drawn):
    window.inspector.overlays.button("surprise").click()
    assert window.inspector.scale.ends == ("0", "≥ 4.1 bits")
    window.inspector.overlays.button("entropy").click()
    assert window.inspector.scale.ends == ("0", "4.1 bits")


@pytest.mark.parametrize("size", [(1024, 700), (1920, 1080)])
def test_the_images_beside_the_large_one_use_the_room_there_is(qtbot, window, drawn, size):
    drawn.set(count=9)
    drawn.generate()
    qtbot.waitUntil(lambda: drawn.trace.count == 9 and not drawn.drawing, timeout=20_000)
    window.resize(*size)
    panel = window.generate_panel
    qtbot.waitUntil(lambda: panel.grid.width() > 0, timeout=1_000)
    columns, unit = panel.grid.layout_of(9)
    assert columns == 3
    assert unit * 8 >= (48 if size == (1024, 700) else 140)


def test_models_are_listed_with_their_levels_and_the_one_in_use_is_ticked(qtbot, window, studio):
    window.library.fill()
    window.toolbar.list_models(window.library.cards, window.actions_by_slot["open_model_file"])
    row = window.library.models["fashion-pixelcnn-pp"]
    assert row.accessibleName() == "PixelCNN++, fashion · 256 levels, 2.87"
    with qtbot.waitSignal(studio.model_changed, timeout=20_000):
        studio.open_model("digits-fvsbn")
    window.toolbar.model_menu.aboutToShow.emit()
    ticked = [action.text() for action in window.toolbar.model_menu.actions() if action.isChecked()]
    assert ticked == ["FVSBN\tdigits · 17 levels"]


def test_pointing_at_a_peak_of_the_timeline_shows_its_pixel(qtbot, window, drawn):
    timeline, trace = window.generate_panel.bottom.timeline, drawn.trace
    bits = trace.pixel_bits(0)
    rank = int(np.argmax(bits))
    _, row, column = trace.site(rank)
    qtbot.mouseMove(timeline, QPoint(int(timeline.x_of(rank + 0.5)), 40))
    assert drawn.hover == (row, column)
    assert timeline.toolTip().startswith(f"row {row}, column {column} · {bits[rank]:.2f} bits\n")
    drawn.seek(5)
    qtbot.mouseMove(timeline, QPoint(int(timeline.x_of(40)), 41))
    assert drawn.hover is None, "what is not drawn is not pointed at"
    timeline.resize(20, 96)
    drawn.seek(64)
    x = timeline.x_of(rank + 0.5)
    assert bits[timeline.drawn_near(x)] >= bits[rank], "of many in a screen column the dearest"
    assert timeline.drawn_near(-5) == -1


def test_the_end_of_a_training_in_sight_is_said_once(qtbot, panel, messages):
    with qtbot.waitExposed(panel):
        panel.show()
    begin(qtbot, panel, 0.02)
    finish(qtbot, panel)
    assert panel.cost.text.text().startswith("Finished after")
    assert not messages


def test_in_a_small_presentation_the_figures_of_a_completion_scroll_and_are_not_squeezed(qtbot, window, drawn):
    panel = window.complete
    window.resize(1024, 700)
    window.show_complete()
    qtbot.waitUntil(lambda: panel.canvas.sheet is not None, timeout=10_000)
    panel.page.count.setCurrentText("4")
    complete(qtbot, panel)
    window.presentation.toggle()
    inner = panel.side.widget()
    qtbot.waitUntil(lambda: inner.height() >= inner.minimumSizeHint().height(), timeout=5_000)
    for words in (panel.side.sentence, panel.side.gauge.words):
        assert words.height() >= words.heightForWidth(words.width())
    window.presentation.toggle()


@pytest.mark.parametrize(("number", "shown"), [
    (0.00004, "0.00004"), (0.324, "0.32"), (123.4, "120"), (0, "0"), (3.2e-7, "3.2e-07"),
])
def test_small_and_large_figures_are_written_out(number, shown):
    assert two_digits(number) == shown


def contrast(a, b):
    """WCAG 2.1, 1.4.3."""
    def light(name):
        parts = [QColor(name).redF(), QColor(name).greenF(), QColor(name).blueF()]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((light(a), light(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [theme.DARK, theme.LIGHT], ids=["dark", "light"])
def test_words_have_the_contrast_of_wcag_aa(colours):
    grounds = {"text": ("stage", "panel", "raised", "hover"), "dim": ("stage", "panel", "raised"),
               "accent": ("stage", "panel", "raised"), "selected": ("stage", "panel"), "on_accent": ("accent",)}
    for ink, papers in grounds.items():
        for paper in papers:
            assert contrast(getattr(colours, ink), getattr(colours, paper)) >= 4.5, (ink, paper)


LONG = "The canvas in Complete held 28×28 · 8 levels; this model draws 28×28 · 2 levels, so it begins with a new picture."


def in_window(window, widget):
    return widget.rect().translated(widget.mapTo(window, widget.rect().topLeft()))


def test_a_long_message_covers_no_tool_and_no_button_of_complete(qtbot, window, drawn):
    window.resize(1024, 700)
    window.reset_layout()
    window.show_complete()
    page, notice = window.complete.page, window.notice
    qtbot.waitUntil(lambda: window.width() == 1024 and page.go.isVisible())
    window.studio.message.emit("info", LONG)
    place, words = notice.geometry(), notice.text
    assert words.height() >= words.heightForWidth(words.width())
    for widget in (window.tabs, page.tools, page.easel, page.hide_bar, page.go, page.new, window.library, window.docks.side):
        assert not place.intersects(in_window(window, widget)), widget
    assert in_window(window, window.docks.foot).contains(place)
    window.docks.by_name["timeline"].hide()
    window.studio.message.emit("info", LONG)
    assert in_window(window, window.stack).top() < notice.geometry().bottom() < window.height() / 2, "below the tabs then"


@pytest.mark.parametrize("wide", [960, 880])
def test_complete_never_scrolls_sideways(qtbot, window, drawn, wide):
    window.show_complete()
    window.resize(wide, 640)
    panel = window.complete
    bar = panel.hide_bar
    qtbot.waitUntil(lambda: bar.list.isVisible())
    qtbot.waitUntil(lambda: panel._scrolled.horizontalScrollBar().maximum() == 0)
    before = panel.canvas.sheet
    centre = next(entry for entry in bar.menu.actions() if entry.text() == "Centre")
    centre.trigger()
    assert not panel.canvas.sheet.same(before)
    assert panel.canvas.sheet.hidden.sum() == 16
    window.resize(1280, 800)
    qtbot.waitUntil(lambda: bar.buttons["top"].isVisible() and not bar.list.isVisible())
    assert panel.page._act.indexOf(panel.page.new) > 0


def test_docks_beside_the_stage_are_as_wide_again_when_the_window_is(qtbot, window, drawn):
    docks = [window.docks.by_name[name] for name in ("library", "inspector")]
    window.reset_layout()
    qtbot.waitUntil(lambda: [dock.width() for dock in docks] == [224, 300])
    window.resize(880, 600)
    qtbot.waitUntil(lambda: docks[1].width() < 260)
    window.resize(1280, 800)
    qtbot.waitUntil(lambda: [dock.width() for dock in docks] == [224, 300])


@pytest.mark.parametrize("wide", [880, 1024, 1280])
def test_the_library_shows_what_models_learned_in_full(qtbot, window, drawn, wide):
    window.library.fill()
    window.resize(wide, 700)
    window.reset_layout()
    qtbot.waitUntil(lambda: window.docks.by_name["library"].width() == {880: 200, 1024: 214, 1280: 224}[wide])
    font = QFont(window.font())
    font.setPixelSize(11)
    click(qtbot, window.library.more)
    rows, small = window.library.models.values(), []
    view = window.library.findChild(QScrollArea)
    qtbot.waitUntil(lambda: view.verticalScrollBar().isVisible() and all(row.isVisible() for row in rows))
    qtbot.waitUntil(lambda: all(row.width() <= view.viewport().width() - 16 for row in rows))
    for row in rows:
        second, figure = [*row.accessibleName().split(", ")[1:], ""][:2]
        room = row.width() - LEFT - FIGURE_EDGE - (QFontMetrics(font).horizontalAdvance(figure) + FIGURE_EDGE if figure else 0)
        used = fitting(font, SECOND, second, room)
        assert QFontMetrics(used).horizontalAdvance(second) <= room, row.accessibleName()
        small += [second] if used.pixelSize() != 11 else []
        room = row.width() - LEFT - FIGURE_EDGE
        title = QFontMetrics(fitting(window.font(), TITLE, row.text(), room)).horizontalAdvance(row.text())
        assert title <= room or wide == 880, row.text()
    assert bool(small) == (wide == 880)


@pytest.mark.parametrize("key", ["none", "argmax", "depends"])
@pytest.mark.parametrize(("wide", "columns"), [(880, 2), (1024, 3), (1280, 3)])
def test_every_map_is_named_in_full(qtbot, window, drawn, wide, columns, key):
    window.resize(wide, 700)
    window.reset_layout()
    choice = window.inspector.overlays
    shown = [button for button in choice.findChildren(QToolButton) if not button.isHidden()]
    qtbot.mouseClick(choice.button(key), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len({button.x() for button in shown}) == columns)
    for button in shown:
        assert button.fontMetrics().horizontalAdvance(button.text()) <= button.width() - BESIDE, button.text()


def test_in_the_smallest_window_what_is_chosen_is_whole(qtbot, window, drawn):
    window.resize(880, 600)
    window.show_train()
    choices, dock, side = window.train.choices, window.docks.by_name["timeline"], window.docks.by_name["inspector"]
    qtbot.waitUntil(lambda: window.width() == 880 and not choices._sources[0].caption.isVisible())
    room = choices.data.fontMetrics().horizontalAdvance(choices.data.currentText())
    assert choices.data.width() >= room + 20
    qtbot.waitUntil(lambda: in_window(window, dock).right() < in_window(window, side).left(), timeout=5_000)
    empty = window.train.view.empty
    qtbot.waitUntil(lambda: empty.isVisible() and empty.rect().contains(empty.sentence.geometry()))
    assert empty.sentence.height() >= empty.sentence.heightForWidth(empty.sentence.width())
    window.show_generate()
    field = window.generate_panel.count_field
    qtbot.waitUntil(lambda: field.isVisible() and field.width() >= field.sizeHint().width())


def test_in_the_smallest_window_the_speed_has_its_place(qtbot, window, drawn):
    window.studio.open_model("fashion-gated")
    qtbot.waitUntil(lambda: not window.studio.loading, timeout=20_000)
    window.resize(880, 600)
    bar, speed = window.toolbar, window.toolbar.speed
    qtbot.waitUntil(lambda: bar.width() == 880 and speed.isVisible() and speed.width() >= speed.sizeHint().width())


def test_headers_of_runs_stand_over_their_rows(qtbot, panel):
    table = panel.bottom.table
    table.setRowCount(1)
    table.setItem(0, 0, QTableWidgetItem("III"))
    table.horizontalHeaderItem(0).setText("III")
    table.horizontalHeader().show()
    table.setVisible(True)
    panel.bottom.show()
    qtbot.waitUntil(table.isVisible)

    def first(widget):
        rgb = array(widget.grab().toImage())[..., :3].astype(int)
        differs = (abs(rgb - rgb[rgb.shape[0] // 2, 1]).sum(-1) > 60)[2:-2, 2:60]
        return int(differs.any(0).argmax())

    cell = table.visualItemRect(table.item(0, 0))
    rows = array(table.viewport().grab(cell).toImage())[..., :3].astype(int)
    text = int((abs(rows - rows[2, 1]).sum(-1) > 60)[2:-2, 2:60].any(0).argmax())
    assert abs(first(table.horizontalHeader().viewport()) - text) <= 1
