"""Ten minutes of valid actions in random order, from a fixed seed: no exception, no Qt warning, no thread left behind."""

import gc
import random
import time

import pytest
from PySide6.QtCore import QPoint, Qt

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
