"""What can be done with a run while it trains, or afterwards: use its weights, change the learning rate, keep a snapshot."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from arstudio.gui.panels.train_session import Session
from arstudio.gui.widgets.controls import Choice, Field, label, section
from arstudio.gui.widgets.loss_map import LossMap
from arstudio.training.runs import RunError

NOW, BEST = "now", "best"


class LiveControls(QWidget):
    """`rate_wanted(text)`, `snapshot_wanted()` and `weights_wanted(NOW, BEST or a Path)`."""

    rate_wanted = Signal(str)
    snapshot_wanted = Signal()
    weights_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._offered: list[object] = []
        self.weights = Choice()
        self.weights.setAccessibleName(self.tr("Which weights"))
        self.weights.setToolTip(self.tr(
            "now: the average of the weights at this moment; best: those with the lowest validation figure;\n"
            "snapshots: those you kept"
        ))
        self.use = QPushButton(self.tr("Use these weights in Generate"))
        self.use.setToolTip(self.tr("Draw with them, and look at every pixel in the Inspector; training goes on"))
        self.rate = QLineEdit()
        self.rate.setFixedWidth(72)
        self.rate.setAccessibleName(self.tr("Learning rate"))
        self.change = QPushButton(self.tr("Change"))
        self.change.setToolTip(self.tr("Go on with this learning rate at its highest, from the next step"))
        self.snapshot = QPushButton(self.tr("Take a snapshot"))
        self.snapshot.setToolTip(self.tr("Measure the weights as they are now and keep them as a model file in the run"))
        self.while_training = QWidget()
        self.map_heading = section(self.tr("Bits per pixel"))
        self.map = LossMap()
        row, inner = QHBoxLayout(), QVBoxLayout(self.while_training)
        row.setSpacing(6)
        row.addWidget(Field(self.tr("Rate"), self.rate))
        row.addWidget(self.change, 1)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(8)
        inner.addLayout(row)
        inner.addWidget(self.snapshot)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for widget in (self.weights, self.use, self.while_training, self.map_heading, self.map):
            column.addWidget(widget)
        self.none = label(self.tr("There are no weights yet: the first are kept at the first validation."), "small", wrap=True)
        column.insertWidget(0, self.none)
        self.use.clicked.connect(self._use)
        self.change.clicked.connect(self._change)
        self.rate.returnPressed.connect(self._change)
        self.snapshot.clicked.connect(self.snapshot_wanted)
        self.show_session(None, False)

    def show_session(self, session: Session | None, training: bool) -> None:
        """What there is to use of a run; nothing is touched that has not changed."""
        live = session.live if session else None
        offered: list[object] = [NOW] if training and live is not None else []
        if session is not None:
            offered += [BEST] if session.has_best else []
            offered += reversed(live.snapshots) if live is not None else []
        if offered != self._offered:
            self._offer(offered)
        self.use.setVisible(bool(offered))
        self.none.setVisible(session is not None and not offered)
        self.weights.setVisible(len(offered) > 1)
        self.while_training.setVisible(training and live is not None)
        if live is not None and not self.rate.hasFocus() and session.trainer is not None:
            rate = f"{session.trainer.rate_scale * session.trainer.config.learning_rate:.3g}"
            if self.rate.text() != rate:
                self.rate.setText(rate)
        bits = live.loss_map if live is not None else None
        self.map_heading.setVisible(bits is not None)
        self.map.show_map(bits)

    def _offer(self, offered: list[object]) -> None:
        keep = self.weights.currentData()
        self.weights.clear()
        for which in offered:
            texts = {NOW: self.tr("weights of now"), BEST: self.tr("best weights")}
            text = texts[which] if which in texts else self.tr("snapshot of step {0:,}").format(int(Path(which).stem))
            self.weights.addItem(text, which)
        self._offered = list(offered)
        self.weights.setCurrentIndex(offered.index(keep) if keep in offered else 0)

    @Slot()
    def _use(self) -> None:
        self.weights_wanted.emit(self.weights.currentData())

    @Slot()
    def _change(self) -> None:
        self.rate_wanted.emit(self.rate.text())
        self.rate.clearFocus()


def rate_of(text: str) -> float:
    """A learning rate as a person writes it. Raises RunError."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise RunError(f"Learning rate must be a number, not “{text}”.") from None
