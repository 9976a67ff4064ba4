"""The tour and the lessons in the real window with bundled models, and presentation mode."""

import re

import pytest
from PySide6.QtCore import QSettings, Qt

from arstudio.gui import theme
from arstudio.gui.lessons import LESSONS, TOUR, lesson
from arstudio.gui.teacher import PLACES, Teacher
from arstudio.models.modelfile import bundled_models


@pytest.mark.parametrize("name", [TOUR, *LESSONS])
def test_a_lesson_names_only_what_there_is(name):
    found = lesson(name)
    assert found.models <= {card.name for card in bundled_models()}
    for step in found.steps:
        assert step.point in PLACES
        assert all(hasattr(Teacher, f"_{verb}") for verb, *_ in step.do)
        assert set(re.findall(r"{(\w+)}", step.text)) <= {"bits", "nats", "bits_per_dim", "p", "differing"}
        assert len(step.text) < 420


def test_the_tour_has_six_steps_and_there_are_five_lessons():
    assert len(lesson(TOUR).steps) == 6
    assert len(LESSONS) == 5


@pytest.mark.parametrize("name", [TOUR, *LESSONS])
def test_every_step_of_a_lesson_does_what_it_says_and_points_at_something(qtbot, window, name):
    teacher = window.teacher
    mine = window.studio.settings
    teacher.begin_named(name)
    seen = []
    for _ in lesson(name).steps:
        qtbot.waitUntil(lambda: not teacher.busy, timeout=100_000)
        assert window.notice.property("kind") != "error", window.notice.text.text()
        assert teacher.ring.isVisible()
        assert teacher.card.isVisible()
        assert window.rect().contains(teacher.card.geometry())
        text = teacher.card.text.text()
        assert "{" not in text
        assert "–" not in text
        seen.append(text)
        qtbot.mouseClick(teacher.card.next_button, Qt.MouseButton.LeftButton)
    assert len(set(seen)) == len(seen)
    assert teacher.lesson is None
    assert not teacher.card.isVisible()
    assert window.studio.settings == mine
    assert window.inspector.overlays.key() == "none"


def test_a_step_back_shows_the_step_before_again(qtbot, window):
    teacher = window.teacher
    teacher.begin_named("chain-rule")
    qtbot.waitUntil(lambda: not teacher.busy, timeout=100_000)
    first = teacher.card.title.text()
    assert not teacher.card.back_button.isVisible()
    qtbot.mouseClick(teacher.card.next_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not teacher.busy, timeout=100_000)
    assert teacher.card.title.text() != first
    qtbot.mouseClick(teacher.card.back_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not teacher.busy, timeout=100_000)
    assert teacher.card.title.text() == first
    qtbot.mouseClick(teacher.card.close_button, Qt.MouseButton.LeftButton)
    assert teacher.lesson is None


def test_a_lesson_whose_model_is_missing_says_so_and_ends(qtbot, window, monkeypatch):
    from arstudio.gui import opening
    from arstudio.models.modelfile import ModelFileError

    def missing(which):
        raise ModelFileError(f"There is no model {which}.")

    monkeypatch.setattr(opening, "find_model", missing)
    window.teacher.begin_named("temperature")
    qtbot.waitUntil(lambda: window.teacher.lesson is None, timeout=10_000)
    assert window.notice.text.text() == "There is no model mnist-gated."


def test_the_tour_is_offered_once(qtbot, window, drawn):
    window.teacher.offer_tour()
    assert window.teacher.lesson.name == TOUR
    window.teacher.end()
    assert QSettings().value("tour/seen") == "true"
    window.teacher.offer_tour()
    assert window.teacher.lesson is None
    window.actions_by_slot["take_tour"].trigger()
    assert window.teacher.lesson.name == TOUR
    window.teacher.end()


def test_the_list_of_lessons_begins_the_one_that_is_clicked(qtbot, window):
    from arstudio.gui.dialogs import LessonList

    window.actions_by_slot["show_lessons"].trigger()
    (chooser,) = window.findChildren(LessonList)
    qtbot.mouseClick(chooser.buttons["why-mask"], Qt.MouseButton.LeftButton)
    assert window.teacher.lesson.name == "why-mask"
    qtbot.waitUntil(lambda: not window.teacher.busy, timeout=100_000)
    window.teacher.end()


def test_presentation_mode_leaves_stage_inspector_and_transport_and_gives_all_back(qtbot, window, drawn):
    def shown():
        docks = window.docks.by_name
        return {
            "menu": window.menuBar().isVisible(), "tabs": window.tabs.isVisible(), "library": docks["library"].isVisible(),
            "inspector": docks["inspector"].isVisible(), "timeline": docks["timeline"].isVisible(),
            "play": window.toolbar.transport["toggle"].isVisible(), "seed": window.toolbar.seed.isVisible(),
            "stage": window.generate_panel.view.isVisible(),
        }

    before, size = shown(), theme.px(20)
    assert all(before.values())
    qtbot.keyClick(window, Qt.Key.Key_F5)
    assert "Esc" in window.toolbar.words.text(), "a person must know the way out"
    assert not window.notice.isVisible(), "but not over the pictures"
    qtbot.waitUntil(lambda: {name for name, there in shown().items() if there} == {"inspector", "timeline", "play", "stage"})
    assert theme.px(20) > size
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: shown() == before)
    assert theme.px(20) == size
    assert not window.toolbar.words.text()


def test_the_card_covers_what_costs_least_and_of_equals_the_nearest():
    from PySide6.QtCore import QRect, QSize

    from arstudio.gui.widgets.coach import best_place

    room, size = QRect(0, 0, 900, 600), QSize(300, 180)
    picture, plot = QRect(200, 40, 380, 380), QRect(640, 40, 240, 160)
    place = QRect(best_place(size, plot, room, [(picture, 3.0), (plot, 3.0)]), size)
    assert room.contains(place)
    assert not place.intersects(picture)
    assert not place.intersects(plot)
    assert place.left() >= picture.right(), "beside the plot, not on the other side of the picture"
    narrow = QRect(0, 0, 480, 300)
    place = QRect(best_place(size, QRect(), narrow, [(QRect(0, 0, 480, 300), 1.0), (QRect(0, 0, 240, 300), 3.0)]), size)
    assert place.right() >= 460, "where everything is in use, what is worth least is covered"


def test_words_that_are_being_read_move_only_where_that_is_much_better():
    from PySide6.QtCore import QPoint, QRect, QSize

    from arstudio.gui.widgets.coach import best_place

    room, size, plot = QRect(0, 0, 900, 600), QSize(300, 180), QRect(640, 40, 240, 160)
    first = best_place(size, plot, room, [(plot, 3.0)])
    beside = QRect(first.x() + 120, first.y() + 160, 60, 60)    # a line of text has come up under the card's lower edge
    assert best_place(size, plot, room, [(plot, 3.0), (beside, 1.0)]) != first
    assert best_place(size, plot, room, [(plot, 3.0), (beside, 1.0)], first) == first
    picture = QRect(first, size)
    assert best_place(size, plot, room, [(plot, 3.0), (picture, 3.0)], first) != first
    assert room.contains(QRect(best_place(size, plot, room, [(plot, 3.0)], QPoint(800, 500)), size)), "it fits after a resize"


def test_what_a_step_speaks_of_is_scrolled_into_sight_and_framed_where_it_is(qtbot, window):
    window.resize(1024, 700)
    inspector, teacher = window.inspector, window.teacher
    teacher.begin_named("chain-rule")
    qtbot.waitUntil(lambda: not teacher.busy, timeout=100_000)
    area = inspector.area
    inspector.fold_past.header.setChecked(True)
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > inspector.sum.y())
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    while teacher.lesson.steps[teacher.index].point != "sum":
        qtbot.mouseClick(teacher.card.next_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not teacher.busy, timeout=100_000)

    def framed():
        there, shown = inspector.sum.rect(), area.viewport()
        ring = teacher.ring.geometry()
        seen = shown.rect().contains(there.translated(inspector.sum.mapTo(shown, there.topLeft())))
        return seen and ring.contains(there.translated(inspector.sum.mapTo(window, there.topLeft())))

    qtbot.waitUntil(framed)
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    qtbot.waitUntil(lambda: not framed())    # the frame does not lie on what has taken its place
    teacher.end()
