"""The shelf below the Complete panel: the gallery of completions, how it is ranked, and an invitation while
empty."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from arstudio.gui.widgets.completions import Completions
from arstudio.gui.widgets.controls import Elided, Segmented, label
from arstudio.gui.widgets.gallery import FRAME, Gallery
from arstudio.gui.wording import per_dim


class CompletionShelf(QWidget):
    """Title, ranking, gallery."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("side")
        self.gallery = Gallery()
        self.title = Elided("section")    # the ranking beside it is more use
        self.title.setText(self.tr("Completions").upper())
        self.ranking = Segmented(
            [("probable", self.tr("Most probable")), ("typical", self.tr("Most typical")),
             ("different", self.tr("Most different"))],
            {"probable": self.tr("Highest log p of what was drawn first"),
             "typical": self.tr("log p nearest the mean of all completions first"),
             "different": self.tr("Each one as far as possible from those before it: max min Σ |x − x′|")},
        )
        self.invitation = label(
            self.tr("Hide a part of the picture, then press Complete: what the model draws appears here."),
            "dim", wrap=True,
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(24 - FRAME, 4, 24 - FRAME, 4)
        column.setSpacing(6)
        row = QHBoxLayout()
        row.setContentsMargins(FRAME, 0, FRAME, 0)
        row.addWidget(self.title, 1)
        row.addWidget(self.ranking)
        column.addLayout(row)
        words = QHBoxLayout()
        words.setContentsMargins(FRAME, 0, FRAME, 0)
        words.addWidget(self.invitation)
        column.addLayout(words)
        column.addWidget(self.gallery, 1)
        column.addStretch(0)
        self.set_filled(False)

    def set_filled(self, filled: bool) -> None:
        """Gallery or invitation."""
        self.gallery.setVisible(filled)
        self.invitation.setVisible(not filled)
        self.ranking.setVisible(filled)

    def show_completions(self, found: Completions) -> None:
        """All completions in the chosen ranking."""
        tip, unit = self.tr("log p = {0:.1f} nats, {1:.2f} {2}\nDouble click: use as canvas"), per_dim(found.trace.spec)
        tips = [tip.format(float(found.log_prob[i]), found.bits_per_dim(i), unit) for i in range(found.count)]
        current = self.gallery.current
        self.gallery.show_images(found.images, found.trace.spec, found.order(self.ranking.key()), tips)
        self.gallery.set_current(current)
