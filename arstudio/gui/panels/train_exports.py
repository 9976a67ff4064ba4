"""What can leave a run: its model file, its figures, the picture of its curve, a page about it."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui.widgets.curves import CurvePlot
from arstudio.training.differences import differences
from arstudio.training.report import report_html
from arstudio.training.runs import Run, RunError

CURVE = 1200, 600      # pixels of the picture of a curve, before twice as many are drawn
ENDINGS = {"model": "safetensors", "csv": "csv", "png": "png", "html": "html"}


def ask_where(parent: QWidget, title: str, name: str, kind: str) -> Path | None:
    """Where to save; None if the person thought better of it."""
    ending = ENDINGS[kind]
    path, _ = QFileDialog.getSaveFileName(parent, title, f"{name}.{ending}", f"*.{ending}")
    if not path:
        return None
    return Path(path) if Path(path).suffix else Path(f"{path}.{ending}")


def bytes_of(path: Path, kind: str) -> bytes:
    """A run on disk as its model file, csv or html. Raises RunError with one sentence."""
    run = Run.open(path)
    if kind == "html":
        return report_html(run).encode()
    name, sentence = {
        "model": ("best.safetensors", "It has no weights yet."), "csv": ("metrics.csv", "It has no figures yet."),
    }[kind]
    return _file(run, name, sentence)


def _file(run: Run, name: str, sentence: str) -> bytes:
    try:
        with (run.path / name).open("rb") as file:
            buffer = io.BytesIO()
            shutil.copyfileobj(file, buffer)
            return buffer.getvalue()
    except FileNotFoundError:
        raise RunError(f"{run.path.name} cannot be exported: {sentence}") from None
    except OSError as error:
        raise RunError(f"{run.path / name} cannot be read ({error.strerror or error}).") from None


def picture_of(plot: CurvePlot) -> bytes:
    """The curve as it is on screen, larger, as PNG."""
    picture = QPixmap(2 * CURVE[0], 2 * CURVE[1])
    picture.setDevicePixelRatio(2)
    picture.fill(plot.palette().color(plot.backgroundRole()))
    size = plot.size()
    plot.resize(*CURVE)
    plot.render(picture)
    plot.resize(size)
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    return bytes(data)


class DifferencesDialog(QDialog):
    """What runs were told differently, a row for each setting."""

    def __init__(self, parent: QWidget, runs: list[Run]) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Settings compared"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(620, 420)
        rows = differences(runs)
        words = self.tr("{0} settings differ; all others are the same.").format(len(rows))
        self.sentence = QLabel(words if rows else self.tr("These runs were told the same in every setting."))
        self.table = QTableWidget(len(rows), 1 + len(runs))
        self.table.setAccessibleName(self.tr("Settings that differ"))
        self.table.setHorizontalHeaderLabels([self.tr("Setting"), *(run.path.name for run in runs)])
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        for i, (name, values) in enumerate(rows):
            for column, text in enumerate((name.replace("_", " "), *values)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.table.setItem(i, column, item)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 16)
        column.setSpacing(12)
        column.addWidget(self.sentence)
        column.addWidget(self.table, 1)
        column.addWidget(buttons)
        self.table.setVisible(bool(rows))
