"""The status line: what runs, how far it is and its Cancel button; the likelihood of what is shown; the device."""

from __future__ import annotations

import math
import time

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QPushButton, QStatusBar

from arstudio.gui.studio import Studio
from arstudio.gui.widgets.controls import Reading
from arstudio.gui.widgets.thin_bar import ThinBar
from arstudio.gui.wording import per_dim


class StatusLine(QStatusBar):
    """`cancel_wanted`: the person wants what runs to stop."""

    cancel_wanted = Signal()

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.studio = studio
        self.text = Reading("dim")
        self.progress = ThinBar()
        self.progress.setAccessibleName(self.tr("Progress"))
        self.cancel = QPushButton(self.tr("Cancel"))
        self.cancel.setObjectName("quiet")
        self.cancel.clicked.connect(self.cancel_wanted)
        self.likelihood = Reading("value")
        self.likelihood.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.likelihood.setToolTip(self.tr("−log p of what the large image shows so far, and per site in bits"))
        self.device = QLabel("CPU")
        self.device.setObjectName("dim")
        self.setSizeGripEnabled(False)
        for widget in (self.text, self.progress, self.cancel):
            self.addWidget(widget)
        self.addPermanentWidget(self.likelihood)
        self.addPermanentWidget(self.device)
        self.setContentsMargins(8, 0, 8, 0)
        self.with_likelihood = True
        self._busy = self._endless = None
        self._shown = 0.0
        self.show_work("", None)
        studio.status.connect(self.show_work)
        studio.words_due.connect(self.show_likelihood)

    @Slot(str, object)
    def show_work(self, text: str, fraction: float | None) -> None:
        """Say what runs; fraction None: nobody knows how far it is. "" when idle."""
        now = time.monotonic()
        same = bool(text) == self._busy and (fraction is None) == self._endless
        if same and (not text or now - self._shown < 0.25):    # text costs a layout of the bar, four a second are plenty
            return
        self._shown = now
        self.text.setText(text)
        self.text.setToolTip(self.studio.way[1])
        if not same:
            self._busy, self._endless = bool(text), fraction is None
            self.progress.setVisible(bool(text))
            self.cancel.setVisible(bool(text) and fraction is not None)
        self.progress.show_share(fraction)

    def follow(self, likelihood: bool) -> None:
        """Show the likelihood of the drawing, or not where another job is in front."""
        self.with_likelihood = likelihood
        self.show_likelihood()

    @Slot()
    def show_likelihood(self) -> None:
        """Pull the figures of what the large image shows."""
        trace = self.studio.trace
        if trace is None or not self.with_likelihood:
            self.likelihood.setText("")
            return
        position = min(self.studio.position, trace.cursor)
        nats = trace.nats(self.studio.focus, position)
        per = nats / (max(position, 1) * math.log(2))
        self.likelihood.setText(f"{nats:,.2f} nats · {per:.3f} {per_dim(trace.spec)}".replace("-", "−"))
