"""The Library: bundled models, runs, datasets and the history of drawings; a click opens each where it belongs."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from arstudio.gui.panels.library_history import HistorySection
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Latest, TaskProgress
from arstudio.gui.widgets.controls import label, section
from arstudio.gui.widgets.library_row import FIGURE_EDGE, LibraryRow
from arstudio.gui.wording import state_words
from arstudio.models.modelfile import ModelCard, bundled_models

if TYPE_CHECKING:
    from arstudio.training.runs import Run

FIRST_SHOWN = 6
RUNS_SHOWN = 5


class LibraryPanel(QWidget):
    """`dataset_chosen(name)` asks the window to show a dataset in Train."""

    dataset_chosen = Signal(str)

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("side")
        self.studio = studio
        self._all = False
        self._units: list[QLabel] = []    # over the figures of models and of runs
        self.models: dict[str, LibraryRow] = {}
        self.datasets: dict[str, LibraryRow] = {}
        self._model_box = QVBoxLayout()
        self._run_box = QVBoxLayout()
        self._data_box = QVBoxLayout()
        self.history = HistorySection(studio)
        self.no_runs = label(self.tr("What you train appears here."), "small", wrap=True)
        inner = QWidget()
        inner.setObjectName("side")
        column = QVBoxLayout(inner)
        column.setContentsMargins(12, 8, 4, 12)
        column.setSpacing(4)
        self.more = QPushButton()
        self.more.setObjectName("link")
        self.more.clicked.connect(self._show_all)
        self.more.hide()
        for heading, box in ((self.tr("Models"), self._model_box), (self.tr("Runs"), self._run_box)):
            box.setSpacing(0)
            column.addLayout(self._over_figures(heading))
            column.addLayout(box)
            if box is self._model_box:
                column.addWidget(self.more)
            column.addSpacing(8)
        column.addWidget(self.history)
        column.addSpacing(8)
        column.addWidget(section(self.tr("Datasets")))
        self._data_box.setSpacing(0)
        column.addLayout(self._data_box)
        column.addStretch(1)
        self._run_box.addWidget(self.no_runs)
        self._units[-1].hide()
        area = QScrollArea()
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)    # what lies in it has the focus
        area.setWidget(inner)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)
        self.cards: list[ModelCard] = []
        studio.model_changed.connect(self._mark_model)
        studio.runs_changed.connect(self.show_runs)
        self._reader = Latest(self, "read runs")
        self._reader.done.connect(self._show)

    def _over_figures(self, heading: str) -> QHBoxLayout:
        """The heading, and over the figures their unit."""
        unit = label(self.tr("bits/dim"), "small")
        self._units.append(unit)
        unit.setToolTip(self.tr("−log₂ p per value, mean over test images: less is better.\n"
                                "Compare only models of the same images and levels."))
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, FIGURE_EDGE, 0)
        row.addWidget(section(heading), 1)
        row.addWidget(unit)
        return row

    def fill(self) -> None:
        """List what is bundled: file headers only, no weights, no torch."""
        self.cards = bundled_models()
        for card in self.cards:
            figure = f"{card.facts.bits_per_dim:.2f}" if card.facts.bits_per_dim is not None else ""
            row = LibraryRow(card.title, card.kind, card.path.with_suffix(".png"), "model", figure)
            row.setToolTip(_tip(card))
            row.clicked.connect(lambda _=False, name=card.name: self.studio.open_model(name))
            self.models[card.name] = row
            self._model_box.addWidget(row)
        self.order_stops()
        self._show_few()

    def order_stops(self) -> None:
        """Tab goes from top to bottom, whenever a row was made."""
        runs = [self._run_box.itemAt(i).widget() for i in range(self._run_box.count())]
        rows = [row for row in runs if isinstance(row, LibraryRow)]
        past = self.history
        stops = [
            *self.models.values(), self.more, *rows, past.search, past.grid, past.pin, past.bin, *self.datasets.values(),
        ]
        for before, after in pairwise(stops):
            QWidget.setTabOrder(before, after)

    def _show_few(self) -> None:
        """The best models and the one in use; the others behind a link."""
        for i, row in enumerate(self.models.values()):
            row.setVisible(self._all or i < FIRST_SHOWN or row.isChecked())
        self.more.setVisible(len(self.models) > FIRST_SHOWN)
        text = self.tr("Fewer models") if self._all else self.tr("All {0} models…").format(len(self.models))
        self.more.setText(text)

    def _show_all(self) -> None:
        self._all = not self._all
        self._show_few()

    def fill_datasets(self) -> None:
        """List the bundled datasets from their cards."""
        from arstudio.data import bundled

        for info in bundled():
            row = LibraryRow(info.name, str(info.spec), None, "dataset")
            row.setCheckable(False)
            row.setToolTip(f"{info.title}\n{sum(info.splits.values()):,} images · {info.licence}\n{info.source}")
            row.clicked.connect(lambda _=False, name=info.name: self.dataset_chosen.emit(name))
            self.datasets[info.name] = row
            self._data_box.addWidget(row)
        self.order_stops()

    @Slot()
    def show_runs(self) -> None:
        """List the newest runs of the runs directory, read beside the window."""
        self._reader.ask(_newest_runs)

    @Slot(object)
    def _show(self, runs: list[tuple[Run, str]]) -> None:
        while self._run_box.count():
            item = self._run_box.takeAt(0)
            if item.widget() is not self.no_runs:
                item.widget().deleteLater()
        self.no_runs.setVisible(not runs)
        self._units[-1].setVisible(bool(runs))
        self._run_box.addWidget(self.no_runs)
        for run, words in runs:
            best = run.record.get("best_bits_per_dim")
            row = LibraryRow(run.path.name, words, None, "run", f"{best:.2f}" if best else "")
            row.setCheckable(False)
            row.setToolTip(self.tr("{0}\nA click draws with its best weights.").format(run.path.name))
            row.clicked.connect(lambda _=False, path=run.path: self.studio.open_model(path, turn=True))
            self._run_box.addWidget(row)
        self.order_stops()

    @Slot()
    def _mark_model(self) -> None:
        current = self.studio.card.name if self.studio.card and self.studio.card.path else ""
        for name, row in self.models.items():
            row.setChecked(name == current)
        self._show_few()


def _tip(card: ModelCard) -> str:
    facts = card.facts
    lines = [f"{card.title} on {facts.dataset}", str(card.spec), facts.protocol]
    if facts.nats is not None:
        lines.append(f"{facts.split}: {facts.nats:.2f} nats, {facts.bits_per_dim:.3f} bits/dim ({facts.images} images)")
    return "\n".join(line for line in lines if line)


def _newest_runs(progress: TaskProgress) -> list[tuple[Run, str]]:
    """The newest runs, and in words how each stands; whether this window or another program trains one is no matter here."""
    from arstudio.training.lock import state_of
    from arstudio.training.places import runs_root
    from arstudio.training.runs import list_runs

    runs = list_runs(runs_root())[:RUNS_SHOWN]
    states = ["training" if (state := state_of(run)) == "elsewhere" else state for run in runs]
    return list(zip(runs, map(state_words, states), strict=True))
