"""What a person's hands do: choose, click, wait for what a training does."""

from PySide6.QtCore import Qt

WAIT = 30_000


def choose(box, key) -> None:
    """Choose an entry of a combo box by its data, as a click in its list does."""
    index = box.findData(key)
    assert index >= 0
    box.setCurrentIndex(index)
    box.activated.emit(index)


def click(qtbot, button) -> None:
    """Click a button a person could click."""
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def begin(qtbot, panel, minutes: float) -> None:
    """Start a training and wait for its first steps."""
    panel.choices.choose_minutes(minutes)
    click(qtbot, panel.choices.start)
    qtbot.waitUntil(lambda: panel.session.live is not None and panel.session.live.step > 2, timeout=WAIT)


def finish(qtbot, panel) -> None:
    """Wait until the outcome is there."""
    qtbot.waitUntil(lambda: not panel.training, timeout=WAIT)
