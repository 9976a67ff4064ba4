"""Inspect: the conditional distribution of the selected site at its moment in time, with live numbers.

Distributions come from the trace, where the sampler recorded them; if the trace kept too few, one forward pass gives
them. Both are the model at T = 1. With a temperature or truncation the distribution drawn from is shown over its ghost.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtWidgets import QScrollArea, QSpinBox, QVBoxLayout, QWidget

from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.gui.widgets.colour_scale import ColourScale
from arstudio.gui.widgets.controls import Field, Figures, Segmented, label, section
from arstudio.gui.widgets.distribution_plot import DistributionPlot

OVERLAYS = (("none", "None"), ("surprise", "Surprise"), ("entropy", "Entropy"), ("sees", "Sees"))


class InspectPanel(QWidget):
    """The Inspector's page for Generate. `overlay_changed` calls the stage through the window."""

    def __init__(self, studio: Studio, stage: Any) -> None:
        super().__init__()
        self.setObjectName("side")
        self.studio, self.stage = studio, stage
        self._cache: dict[tuple, np.ndarray] = {}
        self._trace: Any = None
        self._task: Task | None = None
        self._sees_task: Task | None = None
        self.title = label(self.tr("Pixel"), "title")
        self.place = label("", "small")
        self.formula = label("", "formula")
        self.channels = Segmented((("0", "R"), ("1", "G"), ("2", "B")))
        self.channels.setToolTip(self.tr("Inside a pixel the order is R, then G given R, then B given R and G"))
        self.channels.chosen.connect(self._channel_chosen)
        self.plot = DistributionPlot()
        self.plot.hint = self.tr("Click to force this value and redraw what follows")
        self.plot.bar_clicked.connect(self._bar_clicked)
        self.plot.bar_hovered.connect(self._bar_hovered)
        self.figures = Figures((
            ("value", self.tr("Drawn value")), ("p", self.tr("Probability")), ("surprise", self.tr("Surprise −log₂ p")),
            ("entropy", self.tr("Entropy")), ("mean", self.tr("Mean ± sd")),
        ))
        self.figures.explain("surprise", "−log₂ p(xₜ | x<t), the bits an ideal code spends on this value")
        self.figures.explain("entropy", "−Σₖ p(k) log₂ p(k), the bits expected before the value is known")
        self.figures.explain("p", "p(xₜ | x<t) under the model at T = 1; rank 1 is the most probable value")
        self.sum = label("", "formula", wrap=True)
        self.sum.setToolTip(self.tr("The chain rule: log p(x) is the sum of log p(xₜ | x<t) over all sites in order"))
        self.overlays = Segmented(OVERLAYS, {
            "surprise": self.tr("−log₂ p of each pixel's value, in bits"),
            "entropy": self.tr("Entropy of each pixel's distribution, in bits"),
            "sees": self.tr("Which pixels can influence this one: |∂ params / ∂ x|, exactly 0 where there is no path"),
        })
        self.overlays.chosen.connect(self._overlay_chosen)
        self.scale = ColourScale()
        self.legend = label("", "small", wrap=True)
        self.value = QSpinBox()
        self.value.setToolTip(self.tr("Give the pixel this value; the past stays, the future is drawn again"))
        self.value.setKeyboardTracking(False)
        self.value.valueChanged.connect(self._value_typed)
        self.what_if = label(
            self.tr("Click a bar or type a value to give this pixel another one and redraw what follows. The past stays."),
            "small", wrap=True,
        )
        self._build()
        self.channels.hide()
        self.value.setEnabled(False)
        self._show_legend("none")
        for signal in (studio.trace_changed, studio.position_changed, studio.selection_changed, studio.settings_changed):
            signal.connect(self.refresh)
        studio.selection_changed.connect(self._refresh_sees)
        studio.trace_changed.connect(self._trace_changed)
        studio.hover_changed.connect(self._hover)

    def _build(self) -> None:
        inner = QWidget()
        inner.setObjectName("side")
        column = QVBoxLayout(inner)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(6)
        column.addWidget(self.title)
        column.addWidget(self.place)
        column.addSpacing(4)
        column.addWidget(self.formula)
        column.addWidget(self.channels)
        column.addWidget(self.plot)
        column.addWidget(self.figures)
        for heading, *widgets in (
            (self.tr("So far"), self.sum),
            (self.tr("Show on the image"), self.overlays, self.scale, self.legend),
            (self.tr("What if"), Field(self.tr("Value"), self.value), self.what_if),
        ):
            column.addSpacing(10)
            column.addWidget(section(heading))
            for widget in widgets:
                column.addWidget(widget)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidget(inner)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)

    # -- reading --------------------------------------------------------------------------------------------

    @Slot()
    def refresh(self) -> None:
        """Pull the inspected site's distribution and figures."""
        studio, trace = self.studio, self.studio.trace
        if not self.isVisible():
            return
        step = studio.inspected_step()
        if trace is None or step is None:
            self.title.setText(self.tr("No pixel yet"))
            self.plot.show_distribution(None)
            return
        channel, row, column = trace.site(step)
        self.channels.setVisible(trace.spec.channels == 3)
        self.channels.set_key(str(channel))
        known = step < min(studio.position, trace.cursor)
        following = "" if known or studio.selection else self.tr(" · next")
        self.title.setText(self.tr("Pixel ({0}, {1})").format(row, column) + following)
        self.place.setText(self.tr("site {0} of {1}").format(step + 1, trace.spec.sites))
        self.formula.setText(f"p(x<sub>{step}</sub> | x<sub>&lt;{step}</sub>)")
        ahead = step > min(studio.position, trace.cursor)    # its past is not on the screen yet
        self.plot.empty = self.tr("Known once the pixels before it are drawn") if ahead else self.tr("Computing…")
        pmf = None if ahead else self.distribution(step)
        value = int(trace.values[studio.focus, step]) if known else None
        shown, ghost = self._as_drawn(pmf)
        self.plot.show_distribution(shown, value, ghost)
        self._figures(pmf, value)
        self._running_sum(step, known, ahead)
        self.value.setEnabled(known)
        self.value.blockSignals(True)
        self.value.setMaximum(max(trace.spec.levels - 1, 1))
        if value is not None and not self.value.hasFocus():
            self.value.setValue(value)
        self.value.blockSignals(False)

    def distribution(self, step: int) -> np.ndarray | None:
        """(levels,) probabilities at a step of the focused image, None while they are being computed or not yet known."""
        studio, trace = self.studio, self.studio.trace
        if step < trace.cursor and studio.focus < len(trace.pmfs):
            return trace.pmfs[studio.focus, step]
        if step >= trace.cursor or studio.model is None or studio.trace_card is not studio.card:
            return None
        key = (studio.focus, step, trace.values[studio.focus, :step].tobytes())
        if key in self._cache:
            return self._cache[key]
        self._compute(key, step)
        return None

    def _compute(self, key: tuple, step: int) -> None:
        if self._task is not None:
            return
        model, trace = self.studio.model, self.studio.trace
        image, site = np.maximum(trace.image(self.studio.focus, step), 0), trace.site(step)
        y = int(trace.classes[self.studio.focus])

        def work(progress: TaskProgress) -> Any:
            from arstudio.analysis.conditionals import conditional

            return key, conditional(model, image, site, y).pmf

        self._task = Task(work, "inspect")
        self._task.done.connect(self._computed)
        self._task.failed.connect(self._compute_failed)
        self._task.start()

    @Slot(object)
    def _computed(self, result: tuple) -> None:
        self._task = None
        if len(self._cache) > 512:
            self._cache.clear()
        self._cache[result[0]] = result[1]
        self.refresh()

    @Slot(str, str)
    def _compute_failed(self, sentence: str, _trace: str) -> None:
        self._task = None
        self.studio.message.emit("error", sentence)

    def _as_drawn(self, pmf: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(distribution drawn from, the T = 1 ghost where it differs)."""
        s = self.studio.settings
        if pmf is None or (s.temperature == 1 and s.top_k == 0 and s.top_p == 1):
            return pmf, None
        import torch

        from arstudio.sampling.draw import reshape

        log_pmf = torch.from_numpy(np.log(np.maximum(pmf.astype(np.float64), 1e-300)))[None]
        return reshape(log_pmf, self.studio.sample_settings())[0][0].numpy(), pmf

    def _figures(self, pmf: np.ndarray | None, value: int | None) -> None:
        f = self.figures
        if pmf is None:
            for key in ("value", "p", "surprise", "entropy", "mean"):
                f.set(key, "–")
            return
        p = pmf[pmf > 0].astype(np.float64)
        levels = np.arange(len(pmf))
        mean = float((levels * pmf).sum())
        sd = math.sqrt(max(0.0, float(((levels - mean) ** 2 * pmf).sum())))
        f.set("entropy", f"{float(-(p * np.log2(p)).sum()):.3f} bits")
        f.set("mean", f"{mean:.2f} ± {sd:.2f}")
        if value is None:
            f.set("value", self.tr("not drawn yet"), "value")
            f.set("p", "–")
            f.set("surprise", "–")
            return
        rank = int((pmf > pmf[value]).sum()) + 1
        f.set("value", str(value), "selectedValue")
        f.set("p", f"{float(pmf[value]):.4f} · rank {rank}")
        f.set("surprise", f"{-math.log2(max(float(pmf[value]), 1e-300)):.3f} bits")

    def _running_sum(self, step: int, known: bool, ahead: bool) -> None:
        trace, focus = self.studio.trace, self.studio.focus
        if ahead:
            self.sum.setText("–")
        elif known:
            before, term = -trace.nats(focus, step), float(trace.log_probs[focus, step])
            self.sum.setText(
                f"log p(x<sub>≤{step}</sub>) = {_signed(before)} <b>{_term(term)}</b><br>= {_signed(before + term)} nats"
            )
        else:
            self.sum.setText(f"log p(x<sub>&lt;{step}</sub>) = {_signed(-trace.nats(focus, step))}<br>nats")

    # -- acting ---------------------------------------------------------------------------------------------

    @Slot(str)
    def _channel_chosen(self, key: str) -> None:
        step = self.studio.inspected_step()
        if step is not None:
            _, row, column = self.studio.trace.site(step)
            self.studio.select((int(key), row, column))

    @Slot(int)
    def _bar_clicked(self, level: int) -> None:
        step = self.studio.inspected_step()
        if step is not None:
            self.studio.select(self.studio.trace.site(step))
            self.studio.branch(step, level)

    @Slot(int)
    def _value_typed(self, value: int) -> None:
        step, trace = self.studio.inspected_step(), self.studio.trace
        if step is not None and step < trace.cursor and value != int(trace.values[self.studio.focus, step]):
            self._bar_clicked(value)

    @Slot(int)
    def _bar_hovered(self, level: int) -> None:
        self.studio.point_at(None, level if level >= 0 else None)

    @Slot()
    def _hover(self) -> None:
        hover, trace = self.studio.hover, self.studio.trace
        if hover is None or trace is None:
            if self.studio.hover_value is None:
                self.plot.highlight(None)
            return
        channel = self.studio.selection[0] if self.studio.selection else 0
        step = trace.step(channel, *hover)
        drawn = step < min(self.studio.position, trace.cursor)
        self.plot.highlight(int(trace.values[self.studio.focus, step]) if drawn else None)

    @Slot(str)
    def _overlay_chosen(self, key: str) -> None:
        self._show_legend(key)
        self.stage.show_overlay(key)
        self._refresh_sees()

    def _show_legend(self, key: str) -> None:
        """Scale and words for the map on the image."""
        trace = self.studio.trace
        in_bits = key in ("surprise", "entropy")
        if in_bits and trace is not None:
            most = math.log2(max(trace.spec.levels, 2)) * trace.spec.channels
            self.scale.set_high(most, self.tr("log₂ of the number of values a pixel can take; more is shown as the brightest"))
        self.scale.setVisible(in_bits and trace is not None)
        words = {
            "surprise": self.tr("−log₂ p of the value drawn: what an ideal code would spend on it."),
            "entropy": self.tr("How open each pixel was before it was drawn."),
        }
        self.legend.setText(words.get(key, ""))
        self.legend.setVisible(key != "none")

    @Slot()
    def _trace_changed(self) -> None:
        if self.studio.trace is not self._trace:    # not only another image of the same drawing
            self._trace = self.studio.trace
            self._cache.clear()
        self._show_legend(self.overlays.key())
        self._refresh_sees()

    @Slot()
    def _refresh_sees(self) -> None:
        """Compute the receptive field of the inspected site when it is asked for."""
        studio = self.studio
        trace, model = studio.trace, studio.model
        if self.overlays.key() != "sees" or trace is None:
            return
        if model is None or studio.trace_card is not studio.card:
            self.stage.show_overlay("sees")
            self.legend.setText(self.tr("Open the model of this drawing to see what its pixels can see."))
            return
        if self._sees_task is not None:
            return
        step = self.studio.inspected_step()
        site = trace.site(step)

        def work(progress: TaskProgress) -> Any:
            from arstudio.analysis.maps import sees

            return trace, site, sees(model, site).sum(0)

        self._sees_task = Task(work, "receptive field")
        self._sees_task.done.connect(self._show_sees)
        self._sees_task.failed.connect(self._sees_failed)
        self._sees_task.start()

    @Slot(object)
    def _show_sees(self, result: tuple) -> None:
        self._sees_task = None
        trace, site, field = result
        if self.overlays.key() != "sees":
            return
        if trace is not self.studio.trace:
            self._refresh_sees()
            return
        with np.errstate(divide="ignore"):
            scaled = np.where(field > 0, np.log10(field), np.nan)
        top = np.nanmax(scaled) if (field > 0).any() else 0.0
        seen, past = int((field > 0).sum()), int(self.studio.trace.order.rank[site[1], site[2]])
        self.legend.setText(
            self.tr("Pixel ({0}, {1}) can see {2} of {3} past pixels. Bright: strong influence; uncoloured: none.").format(
                site[1], site[2], seen, past
            )
        )
        self.stage.show_overlay("sees", (scaled, top - 4, top))
        if self.studio.inspected_step() != self.studio.trace.step(*site) and self.studio.selection is not None:
            self._refresh_sees()

    @Slot(str, str)
    def _sees_failed(self, sentence: str, _trace: str) -> None:
        self._sees_task = None
        self.studio.message.emit("error", sentence)

    def showEvent(self, event: QEvent) -> None:
        """Catch up."""
        super().showEvent(event)
        self.refresh()


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _term(value: float) -> str:
    return f"{'+' if value >= 0 else '−'} {abs(value):.3f}"
