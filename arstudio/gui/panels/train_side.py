"""Beside the curves: figures of the run and of its network, and the settings most people leave alone."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QLineEdit,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui import theme
from arstudio.gui.panels.train_live import LiveControls
from arstudio.gui.panels.train_session import Probed, Session
from arstudio.gui.widgets.controls import Figures, label, retint, section
from arstudio.gui.wording import count, duration, size, two_digits
from arstudio.training.expectations import expectation
from arstudio.training.recipes import Recipe
from arstudio.training.runs import RunError

TRAINING = {"learning_rate": "0.002", "batch": "32", "ema": "0.998", "clip": "1", "seed": "0"}
WHOLE = ("batch", "seed")


class TrainSide(QScrollArea):
    """`changed` when a setting did; empty fields mean the value shown in grey."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, QLineEdit] = {}          # of the training
        self.model_fields: dict[str, QLineEdit] = {}    # of the model's config
        self._model = ""
        self._wanted: tuple[str, dict[str, str]] = "", {}      # a model and the settings to be filled in for it
        self._defaults: dict[str, Any] = {}
        self.title = label("", "title", wrap=True)
        self.figures = Figures([
            ("validation", self.tr("Validation")), ("best", self.tr("Best so far")),
            ("epoch", self.tr("Epoch")), ("speed", self.tr("Speed")), ("left", self.tr("Left")),
            ("rate", self.tr("Learning rate")), ("gradient", self.tr("Gradient norm")), ("saved", self.tr("Last saved")),
        ])
        self.network = Figures([
            ("parameters", self.tr("Parameters")), ("memory", self.tr("Memory")),
            ("sees", self.tr("Receptive field")), ("expected", self.tr("Expected")),
        ])
        self.live = LiveControls()
        self.use = self.live.use
        self.toggle = QToolButton(text=self.tr("Advanced"), checkable=True)
        self.toggle.setObjectName("quiet")
        self.toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggle.setToolTip(self.tr("Name, learning rate, batch, EMA, seed; settings of the model"))
        self.advanced = QWidget()
        self.advanced.hide()
        self.classes = QCheckBox(self.tr("Learn the classes, if labelled"))
        self.classes.setChecked(True)
        self.classes.setToolTip(self.tr("Train p(x | class), so that a class can be asked for later"))
        self._grid = QGridLayout(self.advanced)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(0, 1)
        self._model_heading = section(self.tr("Model"))
        self._build_advanced()
        self._explain()
        inner = QWidget()
        inner.setObjectName("side")
        column = QVBoxLayout(inner)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(8)
        column.addWidget(self.title)
        column.addWidget(self.figures)
        column.addSpacing(8)
        column.addWidget(section(self.tr("Network")))
        column.addWidget(self.network)
        column.addSpacing(8)
        column.addWidget(self.live)
        column.addSpacing(8)
        column.addWidget(self.toggle, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.advanced)
        column.addStretch(1)
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.toggle.toggled.connect(self._toggled)
        self.classes.toggled.connect(self.changed)
        self._toggled(False)

    def _build_advanced(self) -> None:
        texts = {
            "name": (self.tr("Name of the run"), self.tr("A new directory for the run gets this name")),
            "learning_rate": (
                self.tr("Learning rate"),
                self.tr("Size η of an Adam step, θ ← θ − η m̂ / (√v̂ + ε); warms up, then falls.\n"
                        "Smaller if training diverges."),
            ),
            "batch": (self.tr("Batch"), self.tr("Images per step; more is steadier and takes more memory")),
            "ema": (
                self.tr("EMA"),
                self.tr("Average of the weights, θ̄ ← ε θ̄ + (1 − ε) θ; validation and samples use θ̄.\n"
                        "0 turns it off."),
            ),
            "clip": (self.tr("Clip"), self.tr("Longest gradient, g ← g · min(1, clip / |g|); 0: off")),
            "seed": (self.tr("Seed"), self.tr("Of the first weights, the order of images, the samples")),
        }
        for row, (key, (text, tip)) in enumerate(texts.items()):
            self.fields[key] = self._line(row, text, tip, TRAINING.get(key, ""))
        self._rows = len(texts)
        self._grid.addWidget(self.classes, self._rows, 0, 1, 2)
        self._grid.addWidget(self._model_heading, self._rows + 1, 0, 1, 2)
        self._model_heading.hide()

    def _line(self, row: int, text: str, tip: str, shown: str) -> QLineEdit:
        name, line = label(text, "dim"), QLineEdit()
        line.setPlaceholderText(shown)
        line.setAccessibleName(text)
        line.setAlignment(Qt.AlignmentFlag.AlignRight)
        line.setMaximumWidth(150)
        line.setToolTip(tip)
        name.setToolTip(tip)
        name.setBuddy(line)
        line.textChanged.connect(self.changed)
        line.setProperty("caption", name)
        self._grid.addWidget(name, row, 0)
        self._grid.addWidget(line, row, 1)
        return line

    def show_recipe(self, recipe: Recipe) -> None:
        """In grey what a recipe says."""
        for key in ("learning_rate", "batch", "ema"):
            self.fields[key].setPlaceholderText(f"{getattr(recipe, key):g}")

    def show_fields(self, probed: Probed, preset: dict[str, Any]) -> None:
        """Fields of the model's config; in grey what the size chosen gives them."""
        if probed.model != self._model:
            for line in self.model_fields.values():
                line.property("caption").deleteLater()
                line.deleteLater()
            self._model, self._defaults, self.model_fields = probed.model, dict(probed.fields), {}
            for i, key in enumerate(probed.fields):
                tip = self.tr("Setting {0} of the model").format(key)
                self.model_fields[key] = self._line(self._rows + 2 + i, _words(key), tip, "")
            self._model_heading.setVisible(bool(probed.fields))
        for key, line in self.model_fields.items():
            value = preset.get(key, self._defaults[key])
            line.setPlaceholderText(_text(value))
        self._fill_model()

    def fill(self, training: dict[str, Any], model: str, settings: dict[str, Any], classes: bool) -> None:
        """Write what another run was told into the fields, those of the model as soon as they are known."""
        for key in TRAINING:
            if key in training:
                self.fields[key].setText(f"{training[key]:g}")
        self.classes.setChecked(classes)
        self._wanted = model, {key: _text(value) for key, value in settings.items()}
        self._fill_model()
        self.toggle.setChecked(True)

    def _fill_model(self) -> None:
        model, settings = self._wanted
        if settings and model == self._model and settings.keys() <= self.model_fields.keys():
            self._wanted = "", {}
            for key, text in settings.items():
                if text != self.model_fields[key].placeholderText():
                    self.model_fields[key].setText(text)

    def model_settings(self, model: str) -> dict[str, str]:
        """Config fields that were filled in, as text."""
        if model == self._wanted[0]:
            return dict(self._wanted[1])
        if model != self._model:
            return {}
        return {key: line.text().strip() for key, line in self.model_fields.items() if line.text().strip()}

    def training(self) -> dict[str, float | int]:
        """Fields of TrainConfig that were filled in. Raises RunError naming a field that is no number."""
        return {key: self.number(key) for key in TRAINING if self.fields[key].text().strip()}

    def number(self, key: str) -> float | int:
        """A field as number, the grey one if it is empty. Raises RunError."""
        line = self.fields[key]
        text = (line.text() or line.placeholderText()).strip()
        whole = key in WHOLE
        try:
            return int(text) if whole else float(text.replace(",", "."))
        except ValueError:
            kind = self.tr("a whole number") if whole else self.tr("a number")
            name = line.accessibleName()
            raise RunError(self.tr("{0} must be {1}, not “{2}”.").format(name, kind, text)) from None

    def show_session(self, session: Session | None, name: str, unit: str, training: bool) -> None:
        """The run's figures in nats or bits per dimension; dashes while there is none."""
        self._set_title(session.name if session else name)
        figures, live = self.figures, session.live if session else None
        self.live.show_session(session, training)
        if live is None:
            for key in ("validation", "best", "epoch", "speed", "left", "rate", "gradient", "saved"):
                figures.set(key, "–", "value")
            return
        points = live.points
        latest_nats = points[-1].validation_nats if points else math.nan
        figures.set("validation", _loss(latest_nats, session, unit), "strong")
        best = _loss(live.best_nats, session, unit)
        latest = latest_nats <= live.best_nats
        figures.set("best", self.tr("{0} now").format(best) if latest and training else best)
        figures.set("epoch", f"{live.epoch:.1f}")
        rate = live.images_per_second
        known = math.isfinite(rate) and rate > 0
        figures.set("speed", self.tr("{0:,.0f} images/s").format(rate) if known else "–")
        figures.set("left", duration(live.eta) if training else "–")
        for key, value in (("rate", live.learning_rate), ("gradient", live.gradient_norm)):
            figures.set(key, two_digits(value) if math.isfinite(value) else "–")
        figures.set("saved", self._saved(session.path))
        self.network.set("parameters", count(session.parameters))

    def _saved(self, path: Path) -> str:
        times = []
        for name in ("latest", "best"):
            try:
                times.append((path / f"{name}.safetensors").stat().st_mtime)
            except OSError:
                continue
        if not times:
            return self.tr("not yet")
        age = max(0.0, time.time() - max(times))
        if age > 86_400:
            return time.strftime("%d.%m.%Y", time.localtime(max(times)))
        return self.tr("{0} ago").format(duration(round(age))) if age >= 1 else self.tr("just now")

    def show_probe(self, probed: Probed | None, passes: float) -> None:
        """What the network will be, as far as measured, and what it may reach after so many passes over the images."""
        self._show_expected(probed, passes)
        found = probed.estimate if probed else None
        self.network.set("parameters", count(found.parameters) if found else "–")
        self.network.set("memory", size(found.bytes) if found else "–")
        if probed is None or probed.sees is None:
            self.network.set("sees", "–")
        elif probed.sees > 0.999:
            self.network.set("sees", self.tr("all of the past"))
        else:
            self.network.set("sees", self.tr("{0:.0f}% of the past").format(100 * probed.sees))

    def _show_expected(self, probed: Probed | None, passes: float) -> None:
        found = None
        if probed is not None and probed.estimate is not None:
            found = expectation(probed.model, probed.dataset, probed.spec, probed.estimate.parameters, passes)
        bits = probed.spec.bits_per_dim(found.nats) if found else math.nan
        self.network.set("expected", self.tr("{0:.2f} bits/dim").format(bits) if found else "–")
        no = self.tr("No such model was measured on such images.")
        self.network.explain("expected", found.sentence(bits) if found else no)

    def _set_title(self, text: str) -> None:
        if self.title.text() != text:
            self.title.setText(text)

    def _explain(self) -> None:
        self.figures.explain("validation", self.tr(
            "Mean −log p(x) of images the model does not learn from.\nbits/dim = nats / (sites · ln 2)\n"
            "Continuous: the bound on p of the native levels L, −log density + sites · ln L"
        ))
        self.figures.explain("best", self.tr("The weights with this figure are kept in best.safetensors"))
        self.figures.explain("epoch", self.tr("Passes over all training images"))
        self.figures.explain("left", self.tr("Time left at the present pace"))
        self.figures.explain("rate", self.tr("Size η of an Adam step now; warms up, then falls along a cosine"))
        self.figures.explain("gradient", self.tr("Length |g| of the gradient before it is clipped"))
        self.figures.explain("saved", self.tr("A crash loses at most what came after this"))
        self.network.explain("parameters", self.tr("Numbers that training adjusts"))
        self.network.explain("memory", self.tr(
            "Images, five copies of the weights (weights, gradient, Adam's two, EMA),\n"
            "and what one batch keeps for the backward pass"
        ))
        self.network.explain("sees", self.tr(
            "Share of the past that the pixel in the middle of the last row can see, from gradients"
        ))

    @Slot(bool)
    def _toggled(self, open_: bool) -> None:
        self.advanced.setVisible(open_)
        self.toggle.setProperty("iconName", "chevron-down" if open_ else "chevron-right")
        self.toggle.setIcon(theme.icon(self.toggle.property("iconName"), "dim"))

    def changeEvent(self, event: QEvent) -> None:
        """A new palette: tint the icons again."""
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "toggle"):
            retint(self)
        super().changeEvent(event)


def _loss(nats: float, session: Session, unit: str) -> str:
    if not math.isfinite(nats):
        return "–"
    if unit == "nats":
        return f"{session.comparable(nats):,.1f} nats"
    return f"{session.bits_per_dim(nats):.3f} bits/dim"


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _words(key: str) -> str:
    return key.replace("_", " ").capitalize()
