"""The Inspector of the Complete panel: figures of the chosen completion, the method in words, what to do with
it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from arstudio.gui.widgets.completions import Completions
from arstudio.gui.widgets.controls import Figures, label, section
from arstudio.gui.widgets.trust import TrustGauge
from arstudio.gui.wording import per_dim


class CompletionSide(QScrollArea):
    """`taken`, `opened`, `more_wanted`: buttons; `compared(bool)`: held and let go."""

    taken = Signal()
    opened = Signal()
    compared = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("side")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inner = QWidget()
        inner.setObjectName("side")
        self.setWidget(inner)
        column = QVBoxLayout(inner)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(8)
        self.title = label("", "title")
        self.note = label("", "dim", wrap=True)
        self.figures = Figures((
            ("log_prob", self.tr("log p(hidden | known)")), ("bits", self.tr("Per hidden site")),
            ("hidden", self.tr("Hidden pixels")), ("evidence", self.tr("Counts as evidence")),
            ("time", self.tr("Time")),
        ))
        self.figures.explain("bits", self.tr("−log₂ p / number of hidden sites"))
        self.figures.explain("evidence", self.tr(
            "How many known pixels a hidden one takes into account, on average.\n"
            "Clamping ignores those that come after it in the model's order."
        ))
        self.method = section(self.tr("Method"))
        self.sentence = label("", "small", wrap=True)
        self.gauge = TrustGauge()
        self.more_wanted = self.gauge.more_wanted
        self.take = QPushButton(self.tr("Use as canvas"))
        self.take.setToolTip(self.tr("Put this completion on the canvas, all of it known, and go on"))
        self.compare = QPushButton(self.tr("Compare"))
        self.compare.setToolTip(self.tr("Hold to see the picture as it was, without the mask"))
        self.open = QPushButton(self.tr("Open in Generate"))
        self.open.setToolTip(self.tr("Watch how it was drawn, pixel by pixel, and read every conditional"))
        column.addWidget(self.title)
        column.addWidget(self.note)
        column.addWidget(self.figures)
        column.addSpacing(8)
        column.addWidget(self.method)
        column.addWidget(self.sentence)
        column.addSpacing(8)
        column.addWidget(self.gauge)
        column.addSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.take)
        row.addWidget(self.compare)
        row.addStretch()
        column.addLayout(row)
        last = QHBoxLayout()
        last.addWidget(self.open)
        last.addStretch()
        column.addLayout(last)
        column.addStretch()
        self.take.clicked.connect(self.taken)
        self.open.clicked.connect(self.opened)
        self.compare.pressed.connect(lambda: self.compared.emit(True))
        self.compare.released.connect(lambda: self.compared.emit(False))

    def show_words(self, title: str, note: str) -> None:
        """Nothing to show figures of: a title and a sentence."""
        self.title.setText(title)
        self.note.setText(note)
        self._reveal(figures=False)

    def show_completion(
        self, found: Completions, index: int, rank: int, note: str = "", offer: str = ""
    ) -> None:
        """Figures of one completion, `rank` from 1; `offer` is what the button for more particles says."""
        self.title.setText(self.tr("Completion {0} of {1}").format(rank, found.count))
        self.note.setText(note)
        given, drawn = found.known_pixels, found.drawn_pixels
        nats = f"{float(found.log_prob[index]):.1f}".replace("-0.0", "0.0").replace("-", "−")
        self.figures.set("log_prob", self.tr("{0} nats").format(nats), "strong")
        name, formula = self._log_prob(found)
        self.figures.rename("log_prob", name)
        self.figures.explain("log_prob", formula)
        self.figures.set("bits", f"{found.bits_per_dim(index):.2f} {per_dim(found.trace.spec)}".replace("-", "−"))
        drawn_of = (found.hidden_pixels, found.hidden_pixels + given) if found.finished else (drawn, found.hidden_pixels)
        self.figures.rename("hidden", self.tr("Hidden pixels") if found.finished else self.tr("Drawn so far"))
        self.figures.set("hidden", self.tr("{0} of {1}").format(*drawn_of))
        evidence = self.tr("all {0}").format(given)
        if found.found.ignored:
            evidence = self.tr("~{0} of {1}").format(round(found.evidence()), given)
        self.figures.set("evidence", evidence if given else self.tr("nothing is known"))
        self.figures.set("time", self.tr("{0:.1f} s").format(found.seconds))
        self.sentence.setText(f"{found.found.sentence} {found.found.reason} {self._class(found)}".replace("  ", " ").strip())
        self.gauge.show_completion(found.found, offer)
        self._reveal(figures=True)

    def _class(self, found: Completions) -> str:
        """What class was given, of models that know classes."""
        index, names = int(found.trace.classes[0]), found.card.class_names
        if not found.card.num_classes:
            return ""
        if index < 0:
            return self.tr("The class is left open.")
        return self.tr("Given class {0}.").format(names[index] if index < len(names) else index)

    def _log_prob(self, found: Completions) -> tuple[str, str]:
        """What the log p of a method is, and its formula."""
        if found.found.method == "particles":
            return self.tr("log p(hidden | known)"), self.tr(
                "log p(x) − log Ẑ: what the model gives the whole image, less the particles' estimate of what it gives the "
                "known pixels.\nToo large until there are enough particles."
            )
        if found.found.method == "exact" or not found.found.ignored:
            return self.tr("log p(hidden | known)"), self.tr("Σ log p(xₜ | x₍<t₎) over the hidden sites, at T = 1")
        return self.tr("log p(hidden | past)"), self.tr(
            "Σ log p(xₜ | x₍<t₎) over the hidden sites, at T = 1; known pixels that come later do not count"
        )

    def _reveal(self, *, figures: bool) -> None:
        self.note.setVisible(bool(self.note.text()))
        for widget in (
            self.figures, self.method, self.sentence, self.gauge, self.take, self.compare, self.open
        ):
            widget.setVisible(figures)
