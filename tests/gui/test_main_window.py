"""The window as a whole: tabs, docks, themes, files, closing."""

import numpy as np
import pytest
import torch
from hands import turns
from PySide6.QtCore import QMimeData, QSettings, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import QPushButton

from arstudio.gui import tasks, theme


def test_tabs_change_stage_inspector_and_bottom_together(qtbot, window):
    for index, name in enumerate(("generate", "complete", "train")):
        window.tabs.setCurrentIndex(index)
        assert window.job == name
        assert window.stack.currentIndex() == window.docks.side.currentIndex() == window.docks.bottom.currentIndex() == index


@pytest.mark.parametrize("name", ["dark", "light"])
def test_a_theme_is_applied_at_once_and_remembered(window, name):
    window.choose_theme(name)
    assert theme.colours().name == name
    assert QSettings().value("scheme") == name
    image = window.grab().toImage()
    corner = image.pixelColor(4, image.height() - 4)
    assert (corner.lightness() > 128) == (name == "light")


def test_hidden_docks_come_back_with_reset_layout(window):
    for dock in window.docks.by_name.values():
        dock.close()
    window.reset_layout()
    assert all(dock.isVisible() for dock in window.docks.by_name.values())


def test_the_layout_survives_a_restart(qtbot, window, studio):
    from arstudio.gui.main_window import MainWindow

    window.docks.by_name["library"].hide()
    window.close()
    again = MainWindow(studio)
    qtbot.addWidget(again)
    with qtbot.waitExposed(again):
        again.show()
    assert not again.docks.by_name["library"].isVisible()
    assert again.docks.by_name["inspector"].isVisible()


def test_every_action_has_a_text_and_no_shortcut_is_taken_twice(window):
    keys = []
    for action in window.actions_by_slot.values():
        assert action.text()
        keys += [key.toString() for key in action.shortcuts()]
    assert len(keys) == len(set(keys)), "a key is taken twice"
    assert {"Ctrl+Shift+S", "Ctrl+Q", "Ctrl+O", "Ctrl+Return", "F11", "Ctrl+Shift+P"} <= set(keys)


def test_the_command_palette_finds_and_runs_an_action(qtbot, window):
    from arstudio.gui.actions import CommandPalette

    palette = CommandPalette(window, window.actions_by_slot)
    qtbot.addWidget(palette)
    palette.chosen.connect(window._run_action)
    qtbot.keyClicks(palette.field, "train")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.job == "train"


def test_the_command_palette_is_walked_by_arrows_and_knows_what_is_not_there(qtbot, window):
    from arstudio.gui.actions import CommandPalette

    palette, ran = CommandPalette(window, window.actions_by_slot), []
    qtbot.addWidget(palette)
    palette.chosen.connect(ran.append)
    qtbot.keyClicks(palette.field, "no such command")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert ran == []
    palette.field.setText("row")
    names = [palette.list.topLevelItem(i).text(0) for i in range(palette.list.topLevelItemCount())]
    assert len(names) >= 2
    qtbot.keyClick(palette.field, Qt.Key.Key_Up)
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert [window.actions_by_slot[slot].text().replace("&", "") for slot in ran] == names[1:2]


def test_a_saved_picture_carries_its_settings_and_reads_back_exactly(qtbot, window, drawn, tmp_path):
    from arstudio.image import load_levels
    from arstudio.sampling.export import read_info

    path = tmp_path / "drawing.png"
    with qtbot.waitSignal(window.files.beside.written, timeout=10_000):
        window.files.write_picture(path)
    assert read_info(path)["settings"]["seed"] == 42
    from PIL import Image

    small = Image.open(path).resize((8, 8), Image.Resampling.NEAREST)
    small.save(tmp_path / "small.png")
    assert np.array_equal(load_levels(tmp_path / "small.png", drawn.trace.spec), drawn.trace.image(0))


def test_a_place_that_cannot_be_written_gives_a_sentence(qtbot, window, drawn, tmp_path):
    with qtbot.waitSignal(window.files.beside.failed, timeout=10_000):
        window.files.write_picture(tmp_path / "missing" / "x.png")
    assert window.notice.isVisibleTo(window)
    assert "could not be written" in window.notice.text.text()


@pytest.mark.parametrize("wide", [1280, 1024])
def test_a_message_moves_nothing_and_leaves_the_tabs_free(qtbot, window, drawn, wide):
    window.resize(wide, 700)
    view, before = window.generate_panel.view, []
    qtbot.waitUntil(lambda: window.width() == wide)
    before = view.mapTo(window, view.rect().topLeft()), view.size()
    sentence = "The picture could not be written: there is no room left on the disk, so nothing of it was changed."
    window.studio.message.emit("error", sentence)
    assert window.notice.isVisible()
    assert (view.mapTo(window, view.rect().topLeft()), view.size()) == before
    assert not window.notice.geometry().intersects(window.tabs.geometry())
    words = window.notice.text
    assert words.height() >= words.heightForWidth(words.width()), "all of the sentence can be read"
    qtbot.mouseClick(window.notice.findChild(QPushButton), Qt.MouseButton.LeftButton)
    assert not window.notice.isVisible()


def test_the_model_can_be_saved_and_opened_again(qtbot, window, studio, tmp_path, monkeypatch):
    path = tmp_path / "mine.safetensors"
    monkeypatch.setattr(window.files, "ask", lambda *_: path)
    with qtbot.waitSignal(window.files.beside.written, timeout=10_000):
        window.actions_by_slot["save_model_as"].trigger()
    before, spec = studio.model, studio.card.spec
    with qtbot.waitSignal(studio.model_changed, timeout=10_000):
        window.files.open_path(path)
    after = studio.model
    assert after is not before
    assert after.state_dict().keys() == before.state_dict().keys()
    x, y = torch.randint(0, spec.levels, (3, *spec.shape)), 0 if before.num_classes else None
    with torch.inference_mode():
        assert torch.equal(after.frozen().log_prob(x, y), before.frozen().log_prob(x, y))
    assert str(path) in window.files.recent()


def test_saving_on_a_slow_disk_blocks_nobody_and_the_later_save_stays(qtbot, window, drawn, tmp_path, monkeypatch, slow):
    from arstudio.models import modelfile
    from arstudio.sampling.export import read_info

    path = tmp_path / "mine.png"
    monkeypatch.setattr(window.files, "ask", lambda *_: path)
    disk, calls = slow(modelfile, "write_atomically")
    qtbot.keyClick(window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: len(calls) == 1)
    drawn.select_image(2)    # the first save is of what was shown when it was asked for
    qtbot.keyClick(window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    turns(qtbot)
    assert window.files.beside.busy
    assert len(calls) == 1, "the second save of a file waits for the first"
    assert not path.exists()
    disk.set()
    qtbot.waitUntil(lambda: not window.files.beside.busy, timeout=10_000)
    saved = [data for _, data in calls]
    assert len(saved) == 2
    assert path.read_bytes() == saved[1]
    (tmp_path / "first.png").write_bytes(saved[0])
    assert [read_info(p)["image"] for p in (tmp_path / "first.png", path)] == [0, 2]
    assert window.notice.text.text() == f"Saved {path}"


@pytest.mark.parametrize("action", ["save_picture_as", "save_model_as"])
def test_closing_while_a_slow_disk_saves_waits_for_it(qtbot, window, drawn, tmp_path, monkeypatch, slow, action):
    from arstudio.models import modelfile

    path = tmp_path / "mine.file"
    monkeypatch.setattr(window.files, "ask", lambda *_: path)
    disk, calls = slow(modelfile, "write_atomically")
    window.actions_by_slot[action].trigger()
    window.actions_by_slot[action].trigger()
    qtbot.waitUntil(lambda: len(calls) == 1)
    seen = []
    QTimer.singleShot(0, window, lambda: (seen.append(path.exists()), disk.set()))    # the closing window still turns
    assert window.close()
    assert seen == [False]
    assert len(calls) == 2
    assert path.read_bytes() == calls[1][1]
    assert not window.files.beside.busy


def test_a_save_that_fails_leaves_the_file_and_lets_the_next_one_through(qtbot, window, drawn, tmp_path, monkeypatch, messages):
    from arstudio.models import modelfile

    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"before")
    monkeypatch.setattr(window.files, "ask", lambda *_: path)
    qtbot.waitUntil(lambda: not tasks.running(), timeout=10_000)    # the history writes, too
    with monkeypatch.context() as full:
        full.setattr(modelfile.os, "fsync", lambda _file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with qtbot.waitSignal(window.files.beside.failed, timeout=10_000):
            window.actions_by_slot["save_model_as"].trigger()
    sentence = f"{path} could not be written (No space left on device); what was there before is unchanged."
    assert messages[-1] == ("error", sentence)
    assert path.read_bytes() == b"before"
    with qtbot.waitSignal(window.files.beside.written, timeout=10_000):
        window.actions_by_slot["save_model_as"].trigger()
    assert path.stat().st_size > 1000


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def without_a_tensor(path):
    """As another program might write it: the card can be read, the weights do not fit the model."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(path, "np") as file:
        names, facts = list(file.keys()), file.metadata()
        save_file({name: file.get_tensor(name) for name in names[1:]}, path, facts)


def text(path):
    path.write_text("# notes")


@pytest.mark.parametrize("spoil", [text, cut, without_a_tensor])
def test_a_model_file_that_cannot_be_opened_leaves_everybody_where_they_are(qtbot, window, studio, messages, tmp_path, spoil):
    from arstudio.gui.exporting import model_bytes

    path, model = tmp_path / "mine.safetensors", studio.model
    path.write_bytes(model_bytes(studio.model, studio.card))
    spoil(path)
    window.show_complete()
    qtbot.waitUntil(lambda: window.complete.canvas.sheet is not None, timeout=10_000)
    sheet = window.complete.canvas.sheet
    messages.clear()
    window.files.open_path(path)
    qtbot.waitUntil(lambda: bool(messages) and not studio.loading, timeout=10_000)
    assert window.job == "complete"
    assert [kind for kind, _ in messages] == ["error"]
    assert "mine.safetensors" in messages[0][1]
    assert window.notice.text.text() == messages[0][1]
    assert window.notice.isVisible()
    assert (studio.model, window.complete.canvas.sheet) == (model, sheet)
    path.write_bytes(model_bytes(studio.model, studio.card))
    window.files.open_path(path)
    qtbot.waitUntil(lambda: window.job == "generate", timeout=10_000)
    assert studio.card.name == "mine"


def test_dropping_a_picture_opens_it_in_complete(window, studio, tmp_path):
    from arstudio.image import to_pil

    path = tmp_path / "dropped.png"
    x = np.arange(64).reshape(1, 8, 8) % 17
    to_pil(x, studio.card.spec).save(path)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        window.rect().center(), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    window.dropEvent(event)
    assert window.job == "complete"


def test_copying_puts_the_image_on_the_clipboard(window, drawn):
    window.files.copy_image()
    image = QGuiApplication.clipboard().image()
    assert (image.width(), image.height()) == (64, 64)


def test_the_library_lists_bundled_models_and_datasets_and_opens_one(qtbot, window, studio):
    window.library.fill()
    window.library.fill_datasets()
    assert set(window.library.datasets) >= {"digits", "mnist", "fashion", "emoji"}
    name, row = next(iter(window.library.models.items()))
    with qtbot.waitSignal(studio.model_changed, timeout=20_000):
        qtbot.mouseClick(row, Qt.MouseButton.LeftButton)
    assert studio.card.name == name
    assert row.isChecked()


def test_history_thumbnails_restore_a_drawing(qtbot, window, drawn):
    first = drawn.trace
    drawn.set(seed=43)
    drawn.generate()
    qtbot.waitUntil(lambda: drawn.trace is not first and not drawn.drawing, timeout=10_000)
    grid = window.library.history.grid
    assert grid.count() == 2
    qtbot.mouseClick(grid, Qt.MouseButton.LeftButton, pos=grid.rect_of(1).center().toPoint())
    assert drawn.trace is first


def test_closing_stops_drawing_and_ends_every_thread(qtbot, window, studio):
    from arstudio.gui import tasks

    studio.set(count=64)
    studio.generate()
    window.close()
    assert not tasks.running()
    assert not window.isVisible()


def test_every_control_has_a_name_for_screen_readers(qtbot, window, drawn):
    from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QSlider

    panel = window.generate_panel
    panel.brush.button.click()
    drawn.compare(True)
    qtbot.waitUntil(lambda: drawn.comparison.ready and not drawn.drawing, timeout=20_000)
    nameless = [
        w for root in (window.toolbar, panel, panel.bottom, window.library)
        for kind in (QAbstractButton, QComboBox, QSlider, QLineEdit, QAbstractSpinBox) for w in root.findChildren(kind)
        if w.isVisible() and not isinstance(w.parent(), (QLineEdit, QAbstractSpinBox))    # Qt's own parts of a control
        and not (w.accessibleName() or (isinstance(w, QAbstractButton) and w.text()))
    ]
    assert not nameless


def test_who_turns_to_another_job_has_read_the_message(qtbot, window):
    train = window.tabs.tabRect(2).center()
    for turn in (
        lambda: qtbot.mouseClick(window.tabs, Qt.MouseButton.LeftButton, pos=train),
        window.actions_by_slot["show_complete"].trigger,
    ):
        window.studio.message.emit("error", "notes.txt is not a picture.")
        assert window.notice.isVisible()
        turn()
        assert not window.notice.isVisible()
    window.studio.message.emit("error", "notes.txt is not a picture.")
    window.show_generate()
    assert window.notice.isVisible(), "the program turned, not the person"


def test_what_has_a_formula_says_it_in_its_tooltip(window):
    figures, toolbar = window.inspector.figures, window.toolbar
    told = {key: figures._values[key].toolTip() for key in ("surprise", "entropy", "p")}
    assert "−log₂ p(xₜ | x<t)" in told["surprise"]
    assert "−Σₖ p(k) log₂ p(k)" in told["entropy"]
    assert "p(xₜ | x<t)" in told["p"]
    assert "p(x)^(1/T)" in toolbar.temperature.parent().toolTip()
    assert "p(x | class)" in toolbar.classes.parent().toolTip()
    for key in ("surprise", "entropy", "argmax", "expectation", "error", "sees", "depends", "attention"):
        assert window.inspector.overlays.button(key).toolTip(), key


def test_every_button_that_is_only_a_picture_says_what_it_does(window):
    from PySide6.QtWidgets import QAbstractButton, QLineEdit

    mute = [
        b for b in window.findChildren(QAbstractButton)
        if not b.text() and not b.icon().isNull() and not b.toolTip() and not isinstance(b.parent(), QLineEdit)
        and not b.objectName().startswith("qt_")
    ]
    assert not mute


def test_open_recent_lists_what_was_opened_and_can_be_cleared(window, studio, tmp_path):
    from arstudio.image import to_pil

    menu = window.recent_menu
    menu.aboutToShow.emit()
    assert [action.isEnabled() for action in menu.actions()] == [False]
    for name in ("one.png", "two.png"):
        to_pil(np.zeros((1, 8, 8), int), studio.card.spec).save(tmp_path / name)
        window.files.open_path(tmp_path / name)
    menu.aboutToShow.emit()
    assert [action.text() for action in menu.actions()] == ["two.png", "one.png", "", "Clear menu"]
    menu.actions()[1].trigger()
    assert window.files.recent()[0] == str(tmp_path / "one.png")
    menu.aboutToShow.emit()
    menu.actions()[-1].trigger()
    assert window.files.recent() == []


def test_tab_goes_through_the_library_from_top_to_bottom_and_rests_on_nothing_else(qtbot, window, drawn):
    from PySide6.QtWidgets import QScrollArea

    library = window.library
    library.fill()
    library.fill_datasets()
    stops, stop = [], window.toolbar.model
    for _ in range(10_000):
        stop = stop.nextInFocusChain()
        if stop.focusPolicy() & Qt.FocusPolicy.TabFocus and stop.isVisible() and stop.isEnabled():
            stops.append(stop)
        if stop is window.toolbar.model:
            break
    assert not [s for s in stops if isinstance(s, QScrollArea)]
    mine = [s for s in stops if library.isAncestorOf(s)]
    heights = [s.mapTo(library, s.rect().topLeft()).y() for s in mine]
    assert len(mine) >= 8
    assert heights == sorted(heights)
    first = stops.index(mine[0])
    assert stops[first:first + len(mine)] == mine, "without a detour"
