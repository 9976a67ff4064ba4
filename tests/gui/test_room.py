"""Where there is little room, or letters are large, nothing is cut off, and what made room gives it back."""

from dataclasses import replace

import pytest
from PySide6.QtCore import QSettings, QSize, Qt
from PySide6.QtWidgets import QToolButton


@pytest.fixture
def presented(qtbot, window, drawn):
    """The window at 1024×700 in presentation mode."""
    window.resize(1024, 700)
    window.reset_layout()
    window.present()
    qtbot.waitUntil(lambda: not window.menuBar().isVisible())
    yield window
    if window.presentation.on:
        window.present()


def test_presentation_mode_cuts_no_figure_of_the_inspector(qtbot, presented):
    area = presented.inspector.area
    qtbot.waitUntil(lambda: area.widget().minimumSizeHint().width() <= area.viewport().width())


def test_presentation_mode_says_which_model_draws(presented):
    assert presented.toolbar.model.isVisible()
    assert presented.studio.card.title in presented.toolbar.model.text()
    assert not presented.toolbar.temperature.isVisible()


def test_the_way_out_of_a_presentation_covers_nothing_and_is_read_as_a_whole(qtbot, presented):
    words = presented.toolbar.words
    assert words.isVisible()
    assert words.fontMetrics().horizontalAdvance(words.text()) <= words.width()
    assert not presented.notice.isVisible()
    presented.presentation._read.setInterval(1)
    qtbot.waitUntil(lambda: not words.text())


def test_four_lanes_can_be_told_apart_and_read_in_letters_of_any_size(qtbot, presented, studio):
    studio.compare(True)
    for lanes in (2, 3, 4):
        qtbot.waitUntil(lambda: studio.comparison.ready and not studio.drawing, timeout=20_000)
        if lanes < 4:
            studio.comparison.add()
    heads = presented.generate_panel.heads[:4]
    qtbot.waitUntil(lambda: all(head.isVisible() for head in heads))
    card = studio.comparison.lanes[3].card
    named = replace(card, facts=replace(card.facts, dataset="drawings-of-my-neighbourhood-in-winter"))
    studio.comparison.change(3, card=named, model=studio.model)
    qtbot.waitUntil(lambda: not studio.drawing and "winter" in heads[3].model.toolTip(), timeout=20_000)
    data = heads[3].model.text().splitlines()[1]
    assert data.startswith("draw")
    assert data.endswith("ter")
    assert "…" in data
    for head in heads:
        spin = head.temperature
        needed = spin.fontMetrics().horizontalAdvance(spin.text())
        assert spin.lineEdit().width() >= needed


def test_the_brush_shows_its_width_in_letters_of_any_size(presented):
    size = presented.complete.tools.size
    presented.complete.canvas.set_brush(2)
    assert size.text() == "2"
    presented.present()
    assert size.text() == "2 px"
    assert size.fontMetrics().horizontalAdvance(size.text()) < size.width()


def test_an_empty_state_has_room_for_its_words_in_letters_of_any_size(presented):
    sentence = presented.complete.empty.sentence
    assert sentence.minimumHeight() == sentence.heightForWidth(400)


def test_after_a_presentation_the_docks_and_tabs_are_as_wide_as_before(qtbot, window, drawn):
    window.resize(1024, 700)
    window.reset_layout()
    docks = window.docks.by_name
    before = {name: docks[name].width() for name in ("library", "inspector")}
    window.present()
    window.show_train()
    qtbot.waitUntil(lambda: docks["inspector"].width() > before["inspector"])
    window.present()
    qtbot.waitUntil(lambda: {name: docks[name].width() for name in before} == before)
    assert not window.notice.isVisible()
    for show in (window.show_complete, window.show_generate, window.show_train):
        show()
        qtbot.waitUntil(lambda: window.tabs.width() >= window.tabs.sizeHint().width())
        assert not [button for button in window.tabs.findChildren(QToolButton) if button.isVisible()]


def branches(qtbot, studio):
    """Three branches of the drawing."""
    for step in (10, 20, 30):
        studio.branch(step, int((studio.trace.values[0, step] + 1) % 17))
        qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing and not studio.playing, timeout=20_000)
    assert len(studio.tree.branches()) == 4


@pytest.mark.parametrize("given", [150, 300])
def test_the_timeline_gives_back_what_branches_took_and_no_more(qtbot, window, drawn, given):
    dock, button = window.docks.by_name["timeline"], window.generate_panel.draw_button
    window.resizeDocks([dock], [given], Qt.Orientation.Vertical)
    qtbot.waitUntil(lambda: dock.height() == given)
    for through_a_presentation in (False, True):
        branches(qtbot, drawn)
        qtbot.waitUntil(lambda: dock.height() == max(given, dock.minimumSizeHint().height()))
        assert (dock.height() > given) == (given == 150), "in the small one branches need more"
        if through_a_presentation:
            window.present()
            qtbot.waitUntil(lambda: not window.menuBar().isVisible())
            window.present()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: len(drawn.tree.branches()) == 1, timeout=20_000)
        qtbot.waitUntil(lambda: dock.height() == given)
        qtbot.waitUntil(lambda: drawn.trace.complete and not drawn.drawing and not drawn.playing, timeout=20_000)


def test_the_room_of_branches_is_not_taken_again_after_a_restart(qtbot, window, drawn, studio):
    from arstudio.gui.main_window import MainWindow
    from arstudio.gui.studio import Studio

    dock = window.docks.by_name["timeline"]
    window.resizeDocks([dock], [150], Qt.Orientation.Vertical)
    qtbot.waitUntil(lambda: dock.height() == 150)
    branches(qtbot, drawn)
    qtbot.waitUntil(lambda: dock.height() > 150)
    window.close()
    QSettings().setValue("layout/size", QSize(0, 0))    # whatever screen this is: docks are not arranged anew
    again = MainWindow(Studio())
    qtbot.addWidget(again)
    with qtbot.waitExposed(again):
        again.show()
    qtbot.waitUntil(lambda: again.docks.by_name["timeline"].height() == 150)
    again.close()


def test_docks_from_a_larger_screen_are_arranged_anew(qtbot, window):
    timeline = window.docks.by_name["timeline"]
    window.resizeDocks([timeline], [320], Qt.Orientation.Vertical)
    qtbot.waitUntil(lambda: timeline.height() == 320)
    window.docks.save()
    window.docks.restore()
    assert timeline.height() > 280, "on the same screen they are about as they were left"
    QSettings().setValue("layout/size", QSize(4000, 2500))
    window.docks.restore()
    qtbot.waitUntil(lambda: timeline.height() < 240)


def test_the_buttons_of_complete_come_before_a_high_dock(qtbot, window, drawn):
    window.resize(1024, 700)
    window.reset_layout()
    window.resizeDocks([window.docks.by_name["timeline"]], [260], Qt.Orientation.Vertical)
    window.show_complete()
    page, go = window.complete.page, window.complete.complete_button
    qtbot.waitUntil(lambda: go.isVisible() and go.visibleRegion().boundingRect().size() == go.size())
    assert not window.complete.cramped
    assert page.isVisible()


def test_the_first_window_is_no_larger_than_the_screen(qtbot, window):
    room = window.screen().availableSize()
    window.resize(room.width() + 600, room.height() + 100)
    window.docks.fit_screen()
    assert window.size() == room.expandedTo(window.minimumSize())
    window.docks.fit_screen()
    assert window.size() == room.expandedTo(window.minimumSize())
