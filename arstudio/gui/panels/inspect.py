"""Inspect: the conditional distribution of the selected site at its moment in time, with live numbers.

All figures are the model's at T = 1. With a temperature, truncation or guidance the distribution drawn from is shown over
its ghost; with a changed past (`inspect_past.py`) the distribution that would follow is, over the one that does.
Maps on the image, the changed past, and what concerns the model are sections with files of their own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, Qt, QTimer, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QDoubleSpinBox, QScrollArea, QVBoxLayout, QWidget

from arstudio.gui import theme
from arstudio.gui.panels.inspect_model import DevelopmentSection, LayersSection
from arstudio.gui.panels.inspect_overlays import OverlaySection
from arstudio.gui.panels.inspect_past import PastSection
from arstudio.gui.panels.inspect_pictures import PicturesSection
from arstudio.gui.panels.inspect_reader import Reader
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.controls import Field, Figures, Segmented, label, section
from arstudio.gui.widgets.distribution_plot import DistributionPlot
from arstudio.gui.widgets.fold import Fold

if TYPE_CHECKING:
    import numpy as np

    from arstudio.analysis.conditionals import Conditional
    from arstudio.image import ImageSpec

CHANNELS = (("bad", "p(R | x<t)"), ("good", "p(G | R, x<t)"), ("accent", "p(B | R, G, x<t)"))
GREY = (("accent", ""),)


class InspectPanel(QWidget):
    """The Inspector's page for Generate. Maps go to the stage through `stage.show_overlay`."""

    def __init__(self, studio: Studio, stage: Any) -> None:
        super().__init__()
        self.setObjectName("side")
        self.setAcceptDrops(True)
        self.studio = studio
        self.reader = Reader(studio, self)
        self._continuous: bool | None = None
        self.title = label(self.tr("Pixel"), "title")
        self.title.setToolTip(self.tr("(row, column), counted from 0 at the upper left"))
        self.place = label("", "small")
        self.place.setToolTip(self.tr("A site is one number of the image, counted from 1 in the order in which they are drawn"))
        self.formula = label("", "formula")
        self.formula.setToolTip(self.tr("x<t: every value that comes before site t in the model's order"))
        self.channels = Segmented((("0", "R"), ("1", "G"), ("2", "B")))
        self.channels.setToolTip(self.tr("Inside a pixel the order is R, then G given R, then B given R and G"))
        self.channels.chosen.connect(self._channel_chosen)
        self.plots = [self._make_plot(channel, *look) for channel, look in enumerate((*GREY, *CHANNELS))]
        self.outlines = label("", "small", wrap=True)    # what is drawn solid and what dashed, where both are
        self.outlines.hide()
        self.figures = Figures((
            ("value", self.tr("Drawn value")), ("p", self.tr("Probability")), ("surprise", self.tr("Surprise −log₂\u00a0p")),
            ("entropy", self.tr("Entropy")), ("mean", self.tr("Mean ± sd")),
        ))
        self.top = Figures([(str(k), "–") for k in range(5)])
        self.sum = label("", "formula", wrap=True)
        self.sum.setToolTip(self.tr("The chain rule: log p(x) is the sum of log p(xₜ | x<t) over all sites in order"))
        self.maps = OverlaySection(studio, stage, self.reader)
        self.overlays, self.scale, self.legend = self.maps.choice, self.maps.scale, self.maps.legend
        self._legend_due = QTimer(self, singleShot=True, interval=0)    # when it has its place
        self._legend_due.timeout.connect(self._show_legend)
        self.overlays.chosen.connect(self._legend_due.start)
        self.past = PastSection(studio, self.reader)
        self.past.moved.connect(self.refresh)
        self.development, self.layers = DevelopmentSection(studio, self.reader), LayersSection(studio, self.reader)
        self.pictures = PicturesSection(studio)
        self.value = QDoubleSpinBox(decimals=0)
        self.value.setToolTip(self.tr("Give the pixel this value; the past stays, the future is drawn again"))
        self.value.setKeyboardTracking(False)
        self.value.valueChanged.connect(self._value_typed)
        self.what_if = label("", "small", wrap=True)
        self._make_folds()
        self._build()
        self._speak_of(continuous=False)
        self._show_channels(1)
        self.value.setEnabled(False)
        for signal in (studio.figures_due, studio.selection_changed, studio.settings_changed, self.reader.arrived):
            signal.connect(self.refresh)
        for signal in (studio.figures_due, studio.selection_changed):
            signal.connect(self.development.refresh)
        for signal in (studio.position_changed, studio.figures_due, studio.selection_changed):
            signal.connect(self.maps.follow)
        studio.trace_changed.connect(self.maps.start_over)
        studio.model_changed.connect(self.maps.start_over)
        studio.model_changed.connect(self.layers.refresh)
        studio.drawing_changed.connect(self._ended)
        studio.hover_changed.connect(self._hover)
        self.reader.arrived.connect(self.maps.refresh)

    def _make_plot(self, index: int, tint: str, caption: str) -> DistributionPlot:
        plot = DistributionPlot(tint, caption)
        plot.setProperty("channel", max(index - 1, 0))
        plot.hint = self.tr("Click to force this value and redraw what follows")
        plot.bar_clicked.connect(self._bar_clicked)
        plot.bar_hovered.connect(self._bar_hovered)
        return plot

    def _make_folds(self) -> None:
        fold = Fold
        self.fold_top = fold("top", self.tr("Most probable"), self.top, tooltip=self.tr("The five most probable values"))
        self.fold_past = fold(
            "past", self.tr("What came before"), self.past, open_at_first=True,
            tooltip=self.tr("x<t as a picture. Change a past pixel in it and watch this distribution move."),
        )
        self.fold_value = fold(
            "value", self.tr("Another value"), Field(self.tr("Value"), self.value), self.what_if, open_at_first=True,
            tooltip=self.tr("Give this pixel another value and draw the future again"),
        )
        self.fold_time = fold(
            "time", self.tr("Over time"), self.development,
            tooltip=self.tr("How p of this pixel's value developed as context arrived: p(xₜ | the first k pixels)"),
        )
        self.fold_layers = fold(
            "layers", self.tr("Masks and kernels"), self.layers, tooltip=self.tr("What each layer of the model may look at"),
        )
        self.fold_picture = fold(
            "picture", self.tr("Inspect a picture"), self.pictures, tooltip=self.tr("Any image, not only what was drawn"),
        )
        self.fold_past.unfolded.connect(self.refresh)
        self.fold_top.unfolded.connect(self.refresh)
        self.fold_time.unfolded.connect(self.development.refresh)
        self.fold_layers.unfolded.connect(self.layers.refresh)

    def _build(self) -> None:
        whole = QVBoxLayout(self)    # from the outside in: whatever gets a parent is styled again with all that it holds
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        head, area, inner = QWidget(), QScrollArea(), QWidget()    # the distribution stays in sight while the rest scrolls
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area = area
        whole.addWidget(head)
        whole.addWidget(area, 1)
        inner.setObjectName("side")
        area.setWidget(inner)
        top, column = QVBoxLayout(head), QVBoxLayout(inner)
        top.setContentsMargins(16, 12, 16, 6)
        column.setContentsMargins(16, 0, 16, 12)
        for layout in (top, column):
            layout.setSpacing(6)
        for widget in (self.title, self.place, self.formula, self.channels, *self.plots, self.outlines):
            top.addWidget(widget)
        column.addWidget(self.figures)
        for heading, widget in ((self.tr("So far"), self.sum), (self.tr("Show on the image"), self.maps)):
            column.addSpacing(8)
            column.addWidget(section(heading))
            column.addWidget(widget)
        column.addSpacing(6)
        for fold in (self.fold_top, self.fold_past, self.fold_value, self.fold_time, self.fold_layers, self.fold_picture):
            column.addWidget(fold)
        column.addStretch(1)

    def show_section(self, fold: Fold) -> None:
        """Bring a section into sight."""
        fold.header.setChecked(True)
        self.area.widget().layout().activate()
        self.area.verticalScrollBar().setValue(fold.y())

    @Slot()
    def _show_legend(self) -> None:
        """Bring the scale of the chosen map into sight, and room for the sentence that follows it."""
        self.area.ensureWidgetVisible(self.maps, 0, 64)

    @property
    def plot(self) -> DistributionPlot:
        """The plot of the inspected channel."""
        rgb = self.studio.trace is not None and self.studio.trace.spec.channels == 3
        return self.plots[1 + int(self.channels.key())] if rgb else self.plots[0]

    @Slot()
    def _ended(self) -> None:
        """What is next is certain once nobody draws."""
        if not self.studio.drawing and not self.studio.playing:
            self.refresh()
            self.maps.follow()

    @Slot()
    def refresh(self) -> None:
        """Pull the inspected site's distribution and figures."""
        studio, trace = self.studio, self.studio.trace
        if not self.isVisible():
            return
        step = studio.inspected_step()
        if trace is None or step is None:
            self.title.setText(self.tr("No pixel yet"))
            self.past.show_nothing()
            for plot in self.plots:
                plot.show_distribution(None)
            return
        channel, row, column = trace.site(step)
        shown = self.reader.shown
        self._show_channels(trace.spec.channels)
        self.channels.set_key(str(channel))
        known = step < shown
        following = "" if known or studio.selection else self.tr(" · next")
        self.title.setText(self.tr("Pixel ({0}, {1})").format(row, column) + following)
        self.place.setText(self.tr("site {0} of {1}").format(step + 1, trace.spec.sites))
        ahead = step > shown    # its past is not on the screen yet
        self._speak_of(continuous=trace.spec.levels == 0)
        if self.fold_past.is_open:
            if ahead:
                self.past.show_nothing()
            elif not studio.playing:
                self.past.show_step(step)
        found = self._show_plots(step, channel)
        past = f" | x<sub>&lt;{step + 1}</sub>{self._supposed()}" if step else ""    # sites are counted from 1, as above
        self.formula.setText(f"p(x<sub>{step + 1}</sub>{past})")
        self._figures(found, trace.spec)
        self._running_sum(step, known, ahead)
        self.value.setEnabled(known)
        self.value.blockSignals(True)
        self.value.setMaximum(trace.spec.top)
        if known and not self.value.hasFocus():
            self.value.setValue(trace.values[studio.focus, step].item())
        self.value.blockSignals(False)

    def _show_channels(self, channels: int) -> None:
        rgb = channels == 3
        self.channels.setVisible(rgb)
        for plot in self.plots:
            plot.setVisible((plot is not self.plots[0]) == rgb)

    def _show_plots(self, step: int, channel: int) -> Conditional | None:
        """Draw the distribution of every channel of the pixel; returns that of the inspected one, with its figures."""
        trace, inspected = self.studio.trace, None
        for c in range(trace.spec.channels):
            plot = self.plots[1 + c] if trace.spec.channels == 3 else self.plots[0]
            here = step - channel + c
            ahead = here > self.reader.shown
            plot.empty = self.tr("Known once the pixels before it are drawn") if ahead else self.tr("Computing…")
            own = None if ahead else self.reader.conditional(here)
            moved = self._what_if(own, here) if own is not None else None
            found = moved or own
            shown, ghost = self._as_drawn(found, here, moved=moved is not None)
            if moved is not None:
                ghost = self._as_drawn(own, here)[0]
            plot.choose(c == channel)
            components = found.components if found is not None and ghost is None else None
            plot.show_distribution(shown, None if found is None else found.place, ghost, components)
            plot.show_real(trace.spec.levels == 0, None if found is None else found.value, found.mixture if found else None)
            if c == channel:
                inspected = found
                self._name_outlines(ghost is not None, moved is not None)
                if moved is not None:
                    self.past.say_how_far(own.divergence(moved))
        return inspected

    def _name_outlines(self, both: bool, moved: bool) -> None:
        """Say which distribution is drawn solid and which dashed, and which of them the figures speak of."""
        words = ""
        if both and moved:
            words = self.tr("Solid, with the figures: after the change. Dashed: as it is.")
        elif both:
            words = self.tr("Solid: drawn with {0}. Dashed, with the figures: the model itself.").format(self._settings())
        self.outlines.setText(words)
        self.outlines.setVisible(bool(words))

    def _settings(self) -> str:
        """What makes the distribution drawn from another one than the model's."""
        s, guidance = self.studio.settings, self.studio.guidance
        found = [self.tr("T {0:.2f}").format(s.temperature)] if s.temperature != 1 else []
        found += [self.tr("top {0}").format(s.top_k)] if s.top_k else []
        found += [self.tr("top p {0:.2f}").format(s.top_p)] if s.top_p != 1 else []
        found += [self.tr("guidance {0:.1f}").format(guidance)] if guidance else []
        return ", ".join(found)

    def _what_if(self, own: Conditional, step: int) -> Conditional | None:
        if not self.past.active or self.studio.trace.step(*self.past.site()) >= step:
            return None
        found = self.past.conditional(own)
        if found is None:
            self.past.say_how_far(None)
        return found

    def _supposed(self) -> str:
        """What the formula is conditioned on besides the past as it is."""
        if not self.past.active:
            return ""
        value = self.past.value
        shown = f"{value}" if self.studio.trace.spec.levels else f"{value:.3f}"
        colour, changed = theme.colour("selected").name(), self.studio.trace.step(*self.past.site())
        return f", <b style='color:{colour}'>x<sub>{changed + 1}</sub> ← {shown}</b>"

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

    def _as_drawn(
        self, found: Conditional | None, step: int, *, moved: bool = False
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(distribution drawn from, the T = 1 ghost where it differs)."""
        s, guidance = self.studio.settings, self.studio.guidance
        if found is None:
            return None, None
        without = None
        if guidance and self.reader.label >= 0 and not moved:
            without = self.reader.without_class(step)
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
            for k in range(5):
                self.top.rename(str(k), "–")
                self.top.set(str(k), "")
            return
        digits = 2 if spec.levels else 3
        f.set("entropy", f"{found.entropy:.3f} bits")
        f.set("mean", f"{found.mean:.{digits}f} ± {found.sd:.{digits}f}")
        if self.fold_top.is_open:
            self._most_probable(found, spec)
        if found.value is None:
            f.set("value", self.tr("not drawn yet"), "value")
            f.set("p", "–")
            f.set("surprise", "–")
            return
        p = math.exp(min(found.log_prob, 700))
        f.set("value", str(found.value) if spec.levels else _signed(found.value, 4), "selectedValue")
        f.set("p", f"{p:.4f} · rank {found.rank}" if spec.levels else f"{p:.4g} · rank {found.rank}")
        f.set("surprise", f"{_signed(found.surprise, 3)} bits")

    def _most_probable(self, found: Conditional, spec: ImageSpec) -> None:
        rows = found.top(5)
        for k in range(5):
            if k >= len(rows):
                self.top.rename(str(k), "")
                self.top.set(str(k), "")
                continue
            value, p = rows[k]
            here = found.place is not None and spec.bin_of(value) == found.place
            self.top.rename(str(k), str(value) if spec.levels else self.tr("around {0:.3f}").format(value))
            bits = f" · {-math.log2(p):.2f} bits" if p > 0 else ""
            self.top.set(str(k), f"{p:.4f}{bits}", "selectedValue" if here else "value")

    def _running_sum(self, step: int, known: bool, ahead: bool) -> None:
        trace, focus = self.studio.trace, self.studio.focus
        if ahead:
            self.sum.setText("–")
            return
        before = -trace.nats(focus, step)
        if not known:
            self.sum.setText(f"log p(x<sub>&lt;{step + 1}</sub>)<br>=\u00a0{_signed(before)}\u00a0nats")
            return
        term, colour = float(trace.log_probs[focus, step]), theme.colour("selected").name()
        whole = ""
        if trace.complete and self.reader.shown == trace.spec.sites:
            whole = f"<br>log p(x) = {_signed(-trace.nats(focus))} nats in all"
        self.sum.setText(
            f"log p(x<sub>≤{step + 1}</sub>) = {_signed(before)} <b style='color:{colour}'>{_term(term)}</b>"
            f" =\u00a0{_signed(before + term)}\u00a0nats{whole}"
        )

    @Slot(str)
    def _channel_chosen(self, key: str) -> None:
        step = self.studio.inspected_step()
        if step is not None:
            _, row, column = self.studio.trace.site(step)
            self.studio.select((int(key), row, column))

    @Slot(int)
    def _bar_clicked(self, level: int) -> None:
        trace, step = self.studio.trace, self.studio.inspected_step()
        if step is not None:
            channel, row, column = trace.site(step)
            if trace.spec.channels == 3:
                channel = int(self.sender().property("channel"))
            self._force(trace.step(channel, row, column), trace.spec.value_of(level))

    def _force(self, step: int, value: float) -> None:
        self.studio.select(self.studio.trace.site(step))
        self.studio.branch(step, value)

    @Slot(float)
    def _value_typed(self, value: float) -> None:
        step, trace = self.studio.inspected_step(), self.studio.trace
        value = int(value) if trace is not None and trace.spec.levels else value
        if step is not None and step < trace.cursor and value != trace.values[self.studio.focus, step]:
            self._force(step, value)

    @Slot(int)
    def _bar_hovered(self, level: int) -> None:
        self.studio.point_at(None, level if level >= 0 else None)

    @Slot()
    def _hover(self) -> None:
        hover, trace = self.studio.hover, self.studio.trace
        if hover is None or trace is None:
            if self.studio.hover_value is None:
                for plot in self.plots:
                    plot.highlight(None)
            return
        for c in range(trace.spec.channels):
            plot = self.plots[1 + c] if trace.spec.channels == 3 else self.plots[0]
            step = trace.step(c, *hover)
            drawn = step < self.reader.shown
            plot.highlight(trace.spec.bin_of(trace.values[self.studio.focus, step].item()) if drawn else None)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """A picture dropped anywhere here is inspected."""
        self.pictures.dragEnterEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Inspect it."""
        self.pictures.dropEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """The highlighted term is written in a colour of the palette."""
        if event.type() == QEvent.Type.PaletteChange:
            self.refresh()
        super().changeEvent(event)

    def showEvent(self, event: QEvent) -> None:
        """Catch up."""
        super().showEvent(event)
        self.refresh()
        self.maps.refresh()
        self.layers.refresh()
        self.development.refresh()


def _signed(value: float, digits: int = 2) -> str:
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")    # + 0.0: no −0.00


def _term(value: float) -> str:
    return f"{'+' if value >= 0 else '−'}\u00a0{abs(value):.3f}"    # the sign stays with its figure
