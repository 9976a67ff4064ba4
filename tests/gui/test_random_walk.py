"""Ten minutes of valid actions in random order, from a fixed seed: no exception, no Qt warning, no thread left behind.

One walk goes through Generate and knows what it does; the other presses and turns whatever it finds in any panel.
"""

import gc
import random
import time

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QMessageBox,
    QPushButton,
    QToolButton,
)

SECONDS = 600


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
def test_a_long_walk_through_generate(qtbot, window, drawn, qtlog):
    from arstudio.gui import tasks

    walk, studio, panel = random.Random(7), drawn, window.generate_panel
    studio.autoplay = True

    def settled():
        return not studio.drawing and not studio.loading

    def somewhere(widget):
        return QPoint(walk.randrange(max(widget.width(), 1)), walk.randrange(max(widget.height(), 1)))

    def click(widget, button=Qt.MouseButton.LeftButton):
        if widget.isVisible() and widget.isEnabled():
            qtbot.mouseClick(widget, button, pos=somewhere(widget))

    def press(key, modifier=Qt.KeyboardModifier.NoModifier):
        panel.view.setFocus()
        qtbot.keyClick(window, key, modifier)

    def choose(box):
        if box.isVisible() and box.isEnabled() and box.count():
            box.setCurrentIndex(walk.randrange(box.count()))

    def stroke():
        begin, end = somewhere(panel.view), somewhere(panel.view)
        qtbot.mousePress(panel.view, Qt.MouseButton.LeftButton, pos=begin)
        qtbot.mouseMove(panel.view, end)
        qtbot.mouseRelease(panel.view, Qt.MouseButton.LeftButton, pos=end)

    def recall():
        if len(studio.history):
            studio.recall(walk.choice(studio.history.items))

    def lane():
        if studio.comparison is not None:
            walk.choice((studio.comparison.add, lambda: studio.comparison.remove(0),
                         lambda: studio.comparison.focus_on(walk.randrange(len(studio.comparison.lanes)))))()

    k = Qt.Key
    keys = (k.Key_Space, k.Key_Left, k.Key_Right, k.Key_Home, k.Key_End, k.Key_B, k.Key_Escape)
    held = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.AltModifier,
            Qt.KeyboardModifier.ControlModifier)
    strip, bar = panel.bottom, window.toolbar
    actions = (
        lambda: press(walk.choice(keys), walk.choice(held)),
        lambda: press(walk.choice((k.Key_Up, k.Key_Down)), Qt.KeyboardModifier.AltModifier),
        lambda: click(panel.view), lambda: click(window.inspector.plot), lambda: click(panel.grid),
        lambda: click(strip.timeline),
        lambda: click(strip.timeline, Qt.MouseButton.RightButton), lambda: click(strip.lanes.tree), lambda: click(strip.mark),
        lambda: click(strip.loop), lambda: click(strip.beside), lambda: click(panel.draw_button),
        lambda: click(panel.branch_button), lambda: click(panel.brush.button), lambda: click(panel.compare_button),
        stroke, lane, recall, lambda: choose(panel.count), lambda: choose(panel.order.kind), lambda: choose(bar.classes),
        lambda: choose(bar.speed), lambda: click(bar.dice), lambda: click(bar.lock),
        lambda: bar.temperature.setValue(walk.randrange(201)), lambda: bar.advanced.popup.top_k.setValue(walk.randrange(5)),
        lambda: click(walk.choice(list(window.inspector.overlays._buttons.values()))),
        lambda: studio.open_model(walk.choice(["digits-nade", "digits-gated", "digits-fvsbn"])),
        lambda: window.choose_theme(walk.choice(["dark", "light"])),
        lambda: window.resize(walk.choice([880, 1024, 1280]), walk.choice([600, 700, 800])),
    )
    end, done = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        walk.choice(actions)()
        done += 1
        if done % 100 == 0:
            gc.collect()    # as the program does from a timer
        if done % 5 == 0:
            qtbot.wait(walk.randrange(40))    # as a person pauses; sometimes in the middle of a drawing
    window.cancel()
    qtbot.waitUntil(lambda: settled() and not tasks.running(), timeout=60_000)
    studio.pause()
    warnings = [record.message for record in qtlog.records if not record.message.startswith("This plugin")]
    assert not warnings
    assert done > SECONDS


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 180)
def test_a_long_walk_through_every_panel(qtbot, window, drawn, qtlog, monkeypatch):
    from arstudio.gui import tasks
    from arstudio.gui.widgets.picture_grid import PictureGrid
    from arstudio.gui.widgets.pixel_view import PixelView

    for ask, nothing in (("getOpenFileName", ("", "")), ("getSaveFileName", ("", "")), ("getExistingDirectory", "")):
        monkeypatch.setattr(QFileDialog, ask, lambda *_args, nothing=nothing, **_named: nothing)
    monkeypatch.setattr(QMessageBox, "exec", lambda _box: QMessageBox.StandardButton.Cancel)
    walk, studio, done, seen = random.Random(11), drawn, 0, set()
    studio.autoplay = True

    def somewhere(widget):
        return QPoint(walk.randrange(max(widget.width(), 1)), walk.randrange(max(widget.height(), 1)))

    def found(*kinds):
        here = [w for kind in kinds for w in window.findChildren(kind) if w.isVisible() and w.isEnabled()]
        return [w for w in here if not w.visibleRegion().isEmpty()]

    def press_a_button():
        buttons = [b for b in found(QAbstractButton) if not (isinstance(b, (QPushButton, QToolButton)) and b.menu())]
        buttons = [b for b in buttons if "etch" not in b.text() and "ownload" not in b.text()]    # nothing from the network
        if buttons:
            button = walk.choice(buttons)
            seen.add((window.job, button.text() or button.toolTip()))
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def turn_something():
        controls = found(QComboBox, QAbstractSlider, QAbstractSpinBox)
        if not controls:
            return
        control = walk.choice(controls)
        if isinstance(control, QComboBox):
            if control.count():
                control.setCurrentIndex(walk.randrange(control.count()))
        elif isinstance(control, QAbstractSlider):
            control.setValue(walk.randint(control.minimum(), control.maximum()))
        else:
            control.stepBy(walk.choice((-3, -1, 1, 3)))

    def stroke():
        views = [*found(PixelView, PictureGrid)]
        if window.complete.canvas.isVisible():
            views += [window.complete.canvas] * 3
        if views:
            view = walk.choice(views)
            qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=somewhere(view))
            for _ in range(walk.randrange(4)):
                qtbot.mouseMove(view, somewhere(view))
            qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=somewhere(view))

    def press_a_key():
        k, target = Qt.Key, QApplication.focusWidget() or window
        held = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier)
        keys = (k.Key_Space, k.Key_Left, k.Key_Right, k.Key_Up, k.Key_Down, k.Key_Home, k.Key_End, k.Key_Tab, k.Key_B, k.Key_E,
                k.Key_X, k.Key_Z, k.Key_Escape, k.Key_BracketLeft, k.Key_BracketRight)
        qtbot.keyClick(target, walk.choice(keys), walk.choice(held))

    def another_job():
        window.show_job(walk.choice(("generate", "complete", "train")))

    def open_something():
        names = ["digits-nade", "digits-gated", "digits-fvsbn", "digits-pixelcnn"]
        studio.open_model(walk.choice(names), draw=walk.random() < 0.5)

    def look_different():
        window.choose_theme(walk.choice(["dark", "light"]))
        window.resize(walk.choice([880, 1024, 1280]), walk.choice([600, 700, 800]))

    actions = [press_a_button] * 6 + [turn_something] * 4 + [stroke] * 4 + [press_a_key] * 4 + [
        window.go, another_job, another_job, open_something, look_different, window.cancel]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        walk.choice(actions)()
        done += 1
        while (dialog := QApplication.activeModalWidget()) is not None:
            dialog.reject() if isinstance(dialog, QDialog) else dialog.close()
            qtbot.wait(1)
        while (popup := QApplication.activePopupWidget()) is not None:
            popup.close()
        for other in QApplication.topLevelWidgets():
            if other is not window and isinstance(other, QDialog) and other.isVisible():
                other.reject()
        if done % 100 == 0:
            gc.collect()    # as the program does from a timer
        if done % 4 == 0:
            qtbot.wait(walk.randrange(60))    # as a person pauses
    window.show_job("train")
    window.cancel()
    window.show_job("complete")
    window.cancel()
    qtbot.waitUntil(lambda: not studio.drawing and not studio.loading and not tasks.running(), timeout=120_000)
    studio.pause()
    assert window.isVisible()
    warnings = [record.message for record in qtlog.records if not record.message.startswith("This plugin")]
    assert not warnings
    assert done > SECONDS
    assert {job for job, _ in seen} == {"generate", "complete", "train"}
