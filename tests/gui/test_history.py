"""The history as a person uses it: restored by a click, pinned, deleted, searched, and there again after a restart."""

import numpy as np
import pytest
from PySide6.QtCore import Qt

from arstudio.gui.history import history_folder


def wait_written(qtbot, count):
    qtbot.waitUntil(lambda: len(list(history_folder().glob("*.safetensors"))) == count, timeout=10_000)


def draw(qtbot, studio, **settings):
    studio.set(**settings)
    before = studio.trace
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not before and studio.trace.complete and not studio.drawing, timeout=20_000)


def click(qtbot, widget, point=None):
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton, pos=widget.rect().center() if point is None else point.toPoint())


@pytest.fixture
def digits(qtbot, studio):
    """The studio with a bundled model of a file, and three drawings from it."""
    studio.open_model("digits-nade")
    qtbot.waitUntil(lambda: not studio.loading, timeout=20_000)
    studio.set(class_index=-1, count=1)
    studio.set_speed(float("inf"))
    for seed in (1, 2, 3):
        draw(qtbot, studio, seed=seed)
    wait_written(qtbot, 3)
    return studio


def restarted(qtbot):
    """A fresh window over the same history."""
    from arstudio.gui.main_window import MainWindow
    from arstudio.gui.studio import Studio

    again = Studio()
    again.autoplay = False
    window = MainWindow(again)
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    with qtbot.waitSignal(again.history_changed, timeout=10_000):
        again.history.load()
    return window


def test_drawings_are_there_after_a_restart_with_model_seed_and_settings(qtbot, window, digits):
    values = [item.trace.values.copy() for item in digits.history]
    window.close()
    again = restarted(qtbot)
    grid, studio = again.library.history.grid, again.studio
    assert grid.count() == 3
    studio.set_speed(float("inf"))
    click(qtbot, grid, grid.rect_of(1).center())
    qtbot.waitUntil(lambda: not studio.loading, timeout=20_000)
    assert np.array_equal(studio.trace.values, values[1])
    assert studio.settings.seed == 2
    assert studio.card.name == "digits-nade"
    assert again.toolbar.seed.text() == "2"
    studio.branch(5, 3)
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing and not studio.playing, timeout=10_000)
    assert studio.trace.values[0, 5] == 3
    assert np.array_equal(studio.tree.recipe_of(studio.tree.current).draw(studio.model).trace.values, studio.trace.values)
    studio.pause()


def test_the_same_drawing_made_again_is_kept_once(qtbot, window, digits):
    draw(qtbot, digits, seed=2)
    assert [item.settings.seed for item in digits.history] == [2, 3, 1]
    wait_written(qtbot, 3)


def test_search_finds_by_words(qtbot, window, digits):
    section = window.library.history
    assert section.grid.count() == 3
    qtbot.keyClicks(section.search, "nade seed 2")
    assert [item.settings.seed for item in section.items] == [2]
    section.search.clear()
    qtbot.keyClicks(section.search, "snail")
    assert section.grid.count() == 0
    assert section.empty.isVisible()


def test_pinned_drawings_come_first_and_stay_pinned(qtbot, window, digits):
    section = window.library.history
    click(qtbot, section.grid, section.grid.rect_of(2).center())
    click(qtbot, section.pin)
    assert section.items[0].settings.seed == 1
    assert section.grid.marked == {0}
    from arstudio.gui import tasks
    qtbot.waitUntil(lambda: not tasks.running(), timeout=10_000)
    window.close()
    assert restarted(qtbot).library.history.items[0].pinned


def test_a_deleted_drawing_is_gone_from_the_disk(qtbot, window, digits):
    section = window.library.history
    click(qtbot, section.grid, section.grid.rect_of(0).center())
    qtbot.keyClick(section.grid, Qt.Key.Key_Delete)
    assert [item.settings.seed for item in section.items] == [2, 1]
    wait_written(qtbot, 2)
    section.menu_of(0).actions()[2].trigger()
    wait_written(qtbot, 1)


def test_the_oldest_unpinned_drawings_go_when_the_budget_is_full(qtbot, window, digits, monkeypatch):
    from arstudio.gui import history

    size = next(history_folder().glob("*.safetensors")).stat().st_size
    monkeypatch.setattr(history, "HISTORY_BYTES", int(size * 2.5))
    digits.history.pin(digits.history[2], True)
    draw(qtbot, digits, seed=4)
    wait_written(qtbot, 2)
    qtbot.waitUntil(lambda: len(digits.history) == 2, timeout=5_000)
    assert sorted(item.settings.seed for item in digits.history) == [1, 4]


def test_old_drawings_leave_memory_and_are_read_again(qtbot, window, digits, monkeypatch):
    from arstudio.gui import history

    values = digits.history[2].trace.values.copy()
    monkeypatch.setattr(history, "MEMORY_BYTES", int(digits.history[0].size * 1.5))
    draw(qtbot, digits, seed=4)
    assert [item.kept is None for item in digits.history] == [False, True, True, True]
    digits.recall(digits.history[3])
    assert np.array_equal(digits.trace.values, values)


def test_a_damaged_file_is_left_out_and_left_alone(qtbot, window, digits):
    path = history_folder() / "0-broken.safetensors"
    path.write_bytes(b"no drawing")
    window.close()
    again = restarted(qtbot)
    assert again.library.history.grid.count() == 3
    assert path.read_bytes() == b"no drawing"


def test_a_file_that_vanished_gives_a_sentence(qtbot, window, digits):
    item = digits.history[2]
    item.kept = item.tree = None
    item.path.unlink()
    shown = digits.trace
    with qtbot.waitSignal(digits.message) as said:
        digits.recall(item)
    assert said.args[0] == "error"
    assert digits.trace is shown


def test_a_place_that_cannot_be_written_is_said_once(qtbot, studio, drawn, tmp_path, monkeypatch):
    from arstudio.gui import tasks

    qtbot.waitUntil(lambda: not tasks.running(), timeout=10_000)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ARSTUDIO_HISTORY", str(tmp_path / "file" / "history"))
    said = []
    studio.message.connect(lambda kind, sentence: said.append((kind, sentence)))
    for seed in (5, 6):
        draw(qtbot, studio, seed=seed)
    qtbot.waitUntil(lambda: not tasks.running(), timeout=10_000)
    assert len(said) == 1
    assert said[0][1].startswith("The history cannot be kept on disk")
    assert len(studio.history) == 3


def test_a_run_that_is_still_training_draws_from_the_library(qtbot, window, studio):
    from arstudio.gui.widgets.library_row import LibraryRow

    window.ask_before_closing = False
    window.show_train()
    choices = window.train.choices
    choices.choose_dataset("digits")
    choices.model.setCurrentIndex(choices.model.findData("fvsbn"))
    choices.model.activated.emit(choices.model.currentIndex())
    choices.choose_minutes(1.0)
    click(qtbot, choices.start)
    from arstudio.training.places import runs_root

    qtbot.waitUntil(lambda: any(runs_root().glob("*/*.safetensors")), timeout=60_000)

    def rows():
        places = window.library._run_box
        found = [places.itemAt(i).widget() for i in range(places.count())]
        return [row for row in found if isinstance(row, LibraryRow)]

    qtbot.waitUntil(lambda: [row.accessibleName().split(", ")[1] for row in rows()] == ["training"], timeout=20_000)
    with qtbot.waitSignal(window.library._reader.done, timeout=20_000):
        window.library.show_runs()
    row, = rows()
    name = row.text()
    assert row.toolTip().startswith(name), "however narrow the row is"
    assert window.library._units[-1].isVisible(), "over its figure"
    studio.set(class_index=-1, count=1)
    studio.autoplay = True
    click(qtbot, row)
    qtbot.waitUntil(lambda: not studio.loading and studio.card.name == name, timeout=20_000)
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.complete and not studio.drawing, timeout=20_000)
    assert window.train.training
    assert window.job == "generate"
    assert studio.trace.spec.height == 8
    window.train.stop()
    qtbot.waitUntil(lambda: not window.train.training, timeout=60_000)


@pytest.mark.parametrize(("status", "words"), [
    ("new", "not begun"), ("training", "interrupted, can resume"),
    ("early", "stopped early"), ("diverged", "diverged, best kept"),
])
def test_the_library_says_how_a_run_stands_in_the_words_of_the_run_list(qtbot, window, status, words):
    """A run marked as training that nobody writes was interrupted."""
    from arstudio.gui.widgets.library_row import LibraryRow
    from arstudio.training.places import runs_root
    from arstudio.training.runs import Run

    Run.new(runs_root() / "left", {"status": status, "best_bits_per_dim": 1.234})
    with qtbot.waitSignal(window.library._reader.done, timeout=20_000):
        window.library.show_runs()
    row = next(row for row in window.library.findChildren(LibraryRow) if row.text() == "left")
    assert row.accessibleName() == f"left, {words}, 1.23"
