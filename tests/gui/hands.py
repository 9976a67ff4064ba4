"""What a person's hands do: choose, click, draw on a canvas, wait for what a training or a completion does."""

from PySide6.QtCore import Qt, QTimer

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
WAIT = 30_000


def choose(box, key) -> None:
    """Choose an entry of a combo box by its data, as a click in its list does."""
    index = box.findData(key)
    assert index >= 0
    box.setCurrentIndex(index)
    box.activated.emit(index)


def click(qtbot, button) -> None:
    """Click a button a person could click, once it is laid out."""
    assert button.isEnabled()
    qtbot.waitUntil(lambda: not button.isVisible() or button.height() > 0)
    qtbot.mouseClick(button, LEFT)


def begin(qtbot, panel, minutes: float) -> None:
    """Start a training and wait for its first steps."""
    panel.choices.choose_minutes(minutes)
    click(qtbot, panel.choices.start)
    qtbot.waitUntil(lambda: panel.session.live is not None and panel.session.live.step > 2, timeout=WAIT)


def finish(qtbot, panel) -> None:
    """Wait until the outcome is there, and listed."""
    qtbot.waitUntil(lambda: not panel.training and not panel.bottom.busy, timeout=WAIT)


def read(qtbot, panel) -> None:
    """Read the runs on disk again, and wait until they are listed."""
    panel.read_runs()
    qtbot.waitUntil(lambda: not panel.bottom.busy, timeout=WAIT)


def settle(qtbot, panel) -> None:
    """Wait until whatever was asked of runs on disk is read and shown, or written."""
    busy = (lambda: panel.reading, lambda: panel.bottom.busy, lambda: panel.writer.busy)
    qtbot.waitUntil(lambda: not any(b() for b in busy), timeout=WAIT)


def turns(qtbot) -> None:
    """Wait until the event loop has come round, as it does while nothing blocks the window."""
    came = []
    QTimer.singleShot(0, lambda: came.append(True))
    qtbot.waitUntil(lambda: bool(came), timeout=WAIT)


def complete(qtbot, panel):
    """Complete what is on the canvas -> the Completions, None after an error."""
    click(qtbot, panel.complete_button)
    qtbot.waitUntil(lambda: not panel.running, timeout=WAIT)
    return panel.result


def at(canvas, row, column):
    """Where a pixel is on a canvas."""
    return canvas.rect_of(row, column).center().toPoint()
