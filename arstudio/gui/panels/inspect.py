"""Inspect: the conditional distribution of the selected site at its moment in time, with live numbers.

Distributions come from the trace, where the sampler recorded them; if the trace kept too few, one forward pass gives
them. Both are the model at T = 1. With a temperature, truncation or guidance the distribution drawn from is shown over
its ghost. Of reals the trace keeps the masses of 256 bins, and one forward pass adds the mixture they come from.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QScrollArea, QVBoxLayout, QWidget

from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.gui.widgets.colour_scale import ColourScale
from arstudio.gui.widgets.controls import Field, Figures, Segmented, label, section
from arstudio.gui.widgets.distribution_plot import DistributionPlot

if TYPE_CHECKING:
    import numpy as np

    from arstudio.analysis.conditionals import Conditional
    from arstudio.image import ImageSpec

OVERLAYS = (("none", "None"), ("surprise", "Surprise"), ("entropy", "Entropy"), ("sees", "Sees"))


class InspectPanel(QWidget):
    """The Inspector's page for Generate. `overlay_changed` calls the stage through the window."""

    def __init__(self, studio: Studio, stage: Any) -> None:
        super().__init__()
        self.setObjectName("side")
        self.studio, self.stage = studio, stage
        self._cache: dict[tuple, Conditional] = {}
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
        self._continuous: bool | None = None
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
        self.value = QDoubleSpinBox(decimals=0)
        self.value.setToolTip(self.tr("Give the pixel this value; the past stays, the future is drawn again"))
        self.value.setKeyboardTracking(False)
        self.value.valueChanged.connect(self._value_typed)
        self.what_if = label("", "small", wrap=True)
        self._build()
        self._speak_of(continuous=False)
        self.channels.hide()
        self.value.setEnabled(False)
        self._show_legend("none")
        for signal in (studio.trace_changed, studio.position_changed, studio.selection_changed, studio.settings_changed):
            signal.connect(self.refresh)
        studio.playing_changed.connect(self.refresh)
        studio.selection_changed.connect(self._refresh_sees)
        studio.trace_changed.connect(self._trace_changed)
        studio.hover_changed.connect(self._hover)

    def _build(self) -> None:
        area = QScrollArea()    # from the outside in: whatever gets a parent is styled again with all that it holds
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)
        inner = QWidget()
        inner.setObjectName("side")
        area.setWidget(inner)
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
        self._speak_of(continuous=trace.spec.levels == 0)
        value = trace.values[studio.focus, step].item() if known else None
        found = None if ahead else self._found(step, value)
        shown, ghost = self._as_drawn(found, step)
        self.plot.show_distribution(shown, None if found is None else found.place, ghost)
        self.plot.show_real(trace.spec.levels == 0, value, found.mixture if found else None)
        self._figures(found, trace.spec)
        self._running_sum(step, known, ahead)
        self.value.setEnabled(known)
        self.value.blockSignals(True)
        self.value.setMaximum(trace.spec.top)
        if value is not None and not self.value.hasFocus():
            self.value.setValue(value)
        self.value.blockSignals(False)

    def _speak_of(self, *, continuous: bool) -> None:
        """Names and explanations for levels or for reals."""
        if continuous == self._continuous:
            return
        self._continuous = continuous
        f = self.figures
        f.rename("p", self.tr("Density") if continuous else self.tr("Probability"))
        if continuous:
            f.explain("surprise", "−log₂ of the density at this value, dv in [0, 1]; negative where the density is above 1")
            f.explain("entropy", "−Σₖ p(k) log₂ p(k) over 256 bins of [0, 1], before the value is known")
            f.explain("p", "Density p(xₜ | x<t) of the mixture at T = 1; rank 1 is the most probable of 256 bins")
            f.explain("mean", "Mean and standard deviation of the mixture")
        else:
            f.explain("surprise", "−log₂ p(xₜ | x<t), the bits an ideal code spends on this value")
            f.explain("entropy", "−Σₖ p(k) log₂ p(k), the bits expected before the value is known")
            f.explain("p", "p(xₜ | x<t) under the model at T = 1; rank 1 is the most probable value")
            f.explain("mean", "Mean and standard deviation of the level")
        way = self.tr("Click the curve") if continuous else self.tr("Click a bar")
        words = self.tr("{0} or type a value to give this pixel another one and redraw what follows. The past stays.")
        self.what_if.setText(words.format(way))
        self.value.setDecimals(3 if continuous else 0)
        self.value.setSingleStep(1 / 16 if continuous else 1)

    def _found(self, step: int, value: float | None) -> Conditional | None:
        """The conditional at a step of the focused image, None while it is being computed or not yet known."""
        from dataclasses import replace

        from arstudio.analysis.conditionals import Conditional

        trace, focus = self.studio.trace, self.studio.focus
        if step >= trace.cursor:
            return None
        kept, found = focus < len(trace.pmfs), None
        if not kept or (self._continuous and not self.studio.playing):    # the trace does not know the mixture of a real
            found = self._computed_at(step, int(trace.classes[focus]))
        if found is None:
            if not kept:
                return None
            found = Conditional(trace.pmfs[focus, step], None, step, trace.site(step), self._continuous)
        density = float(trace.log_probs[focus, step]) if self._continuous and value is not None else None
        return replace(found, value=value, log_density=density)

    def _computed_at(self, step: int, y: int) -> Conditional | None:
        """The conditional of class y (−1: none) from one forward pass, None while it is being computed."""
        studio, trace = self.studio, self.studio.trace
        if studio.model is None or studio.trace_card is not studio.card:
            return None
        key = (studio.focus, step, y, trace.values[studio.focus, :step].tobytes())
        if key not in self._cache:
            self._compute(key, step, y)
        return self._cache.get(key)

    def _compute(self, key: tuple, step: int, y: int) -> None:
        if self._task is not None:
            return
        model, trace = self.studio.model, self.studio.trace
        image, site = trace.image(self.studio.focus, step), trace.site(step)

        def work(progress: TaskProgress) -> Any:
            from arstudio.analysis.conditionals import conditional

            return key, conditional(model, image, site, y)

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

    def _as_drawn(self, found: Conditional | None, step: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(distribution drawn from, the T = 1 ghost where it differs)."""
        s, guidance = self.studio.settings, self.studio.guidance
        if found is None:
            return None, None
        without = None
        if guidance and self.studio.trace.classes[self.studio.focus] >= 0:
            without = self._computed_at(step, -1)
        if without is None and s.temperature == 1 and s.top_k == 0 and s.top_p == 1:
            return found.pmf, None
        import numpy as np

        from arstudio.sampling.draw import guide, reshape

        def log(pmf: np.ndarray) -> np.ndarray:
            return np.log(np.maximum(pmf.astype(np.float64), 1e-300))[None]

        log_pmf = log(found.pmf)
        if without is not None:
            log_pmf = guide(log_pmf, log(without.pmf), guidance)
        return reshape(log_pmf, self.studio.sample_settings())[0][0], found.pmf

    def _figures(self, found: Conditional | None, spec: ImageSpec) -> None:
        f = self.figures
        if found is None:
            for key in ("value", "p", "surprise", "entropy", "mean"):
                f.set(key, "–")
            return
        digits = 2 if spec.levels else 3
        f.set("entropy", f"{found.entropy:.3f} bits")
        f.set("mean", f"{found.mean:.{digits}f} ± {found.sd:.{digits}f}")
        if found.value is None:
            f.set("value", self.tr("not drawn yet"), "value")
            f.set("p", "–")
            f.set("surprise", "–")
            return
        p = math.exp(min(found.log_prob, 700))
        f.set("value", str(found.value) if spec.levels else _signed(found.value, 4), "selectedValue")
        f.set("p", f"{p:.4f} · rank {found.rank}" if spec.levels else f"{p:.4g} · rank {found.rank}")
        f.set("surprise", f"{_signed(found.surprise, 3)} bits")

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
        if self.studio.trace is not None:
            self._force(self.studio.trace.spec.value_of(level))

    def _force(self, value: float) -> None:
        step = self.studio.inspected_step()
        if step is not None:
            self.studio.select(self.studio.trace.site(step))
            self.studio.branch(step, value)

    @Slot(float)
    def _value_typed(self, value: float) -> None:
        step, trace = self.studio.inspected_step(), self.studio.trace
        value = int(value) if trace is not None and trace.spec.levels else value
        if step is not None and step < trace.cursor and value != trace.values[self.studio.focus, step]:
            self._force(value)

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
        self.plot.highlight(trace.spec.bin_of(trace.values[self.studio.focus, step].item()) if drawn else None)

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
            most = math.log2(trace.spec.bins) * trace.spec.channels
            self.scale.set_high(most, self.tr("log₂ of the number of values a pixel can take; more is shown as the brightest"))
        self.scale.setVisible(in_bits and trace is not None)
        words = {
            "surprise": self.tr("−log₂ p of the value drawn: what an ideal code would spend on it."),
            "entropy": self.tr("How open each pixel was before it was drawn."),
        }
        if in_bits and trace is not None and trace.spec.levels == 0:
            words[key] += self.tr(" At a precision of 1/256.")
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
        import numpy as np

        with np.errstate(divide="ignore"):
            scaled = np.where(field > 0, np.log10(field), np.nan)
        top = np.nanmax(scaled) if (field > 0).any() else 0.0
        past = trace.order.rank < trace.order.rank[site[1], site[2]]
        seen, past = int((field > 0)[past].sum()), int(past.sum())
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


def _signed(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def _term(value: float) -> str:
    return f"{'+' if value >= 0 else '−'} {abs(value):.3f}"
