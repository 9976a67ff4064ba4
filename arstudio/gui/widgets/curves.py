"""Learning curves: validation in the accent, training quiet behind it, baselines dashed, other runs each in a colour.
Painted with QPainter, and only when something changed.

The ranges are steady: x is the whole budget from the start; y begins between the baselines, opens downwards
in whole steps as the model learns, and glides when it does. Figures come in nats per image and are divided by
`per_unit`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, QVariantAnimation
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from arstudio.gui import theme
from arstudio.gui.wording import duration

GUTTER, ROW, AXIS = 44, 18, 24      # pixels left of the plot, of a line of the legend, below the plot
EDGE = 6            # pixels that a line's end and its dot reach beyond their place
OTHERS = ("#d55e00", "#56b4e9", "#009e73", "#e69f00", "#cc79a7")      # of Okabe & Ito 2008, safe for the colour-blind
_TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200)   # seconds


@dataclass(frozen=True)
class OtherRun:
    """A run to compare with: `points` (n, 2) are seconds of training and nats, `colour` its place in OTHERS."""

    name: str
    points: np.ndarray
    colour: int


class CurvePlot(QWidget):
    """`show_frame` once per run or change of unit, `show_curves` whenever there is more."""

    def __init__(self) -> None:
        super().__init__()
        self._train = self._validation = self._raw = np.zeros((0, 2))
        self._others: list[OtherRun] = []
        self._entries: list[tuple[float, int, str, str]] = []
        self._top = 6 + ROW
        self._epochs: list[float] = []
        self._baselines: dict[str, float] = {}
        self._limit, self._per_unit, self._unit = 60.0, 1.0, "nats"
        self._low, self._high = 0.0, 1.0           # shown, nats
        self._goal = (0.0, 1.0)
        self._from = (0.0, 1.0)
        self._hover: float | None = None
        self._glide = QVariantAnimation(self, startValue=0.0, endValue=1.0, duration=240)
        self._glide.valueChanged.connect(self._glided)
        self.setMouseTracking(True)
        self.setMinimumHeight(132)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Learning curves"))

    def sizeHint(self) -> QSize:
        """Wide rather than high."""
        return QSize(640, 260)

    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, 2) seconds and nats of training and validation, as shown."""
        return self._train, self._validation

    def show_frame(self, limit: float, baselines: dict[str, float], per_unit: float, unit: str) -> None:
        """Axis of `limit` seconds, dashed lines in nats by name, `per_unit` nats making one `unit`."""
        if limit > 0:
            self._limit = limit
        if (baselines, per_unit) != (self._baselines, self._per_unit):
            self._baselines, self._per_unit, self._unit = dict(baselines), per_unit, unit
            self._set_range(*self._wanted(self._per_unit), glide=False)
            self._lay_out()
        self.update()

    def resizeEvent(self, event: object) -> None:
        """The legend may need more lines, or fewer."""
        self._lay_out()

    def show_others(self, others: list[OtherRun]) -> None:
        """Runs to compare with."""
        self._others = list(others)
        self._limit = max([self._limit, *(run.points[-1, 0] for run in others if len(run.points))])
        self._set_range(*self._wanted(self._per_unit), glide=True)
        self._lay_out()
        self.update()

    def others(self) -> list[OtherRun]:
        """Runs compared with, as shown."""
        return list(self._others)

    def show_curves(self, train: np.ndarray, validation: np.ndarray, raw: np.ndarray, epochs: list[float]) -> None:
        """(n, 2) seconds and nats each of training, of the averaged weights and of the weights themselves on validation
        images; `epochs` of the validation points, for the tooltip."""
        before, frame = (self._train, self._validation, self._raw), (self._limit, self._low, self._high)
        fresh = not len(self._validation) and not len(self._train)
        known = np.isfinite(self._raw[:, 1]).any()
        self._train, self._validation, self._raw, self._epochs = train, validation, raw, epochs
        self._limit = max([self._limit, *train[-1:, 0], *validation[-1:, 0]])
        self._set_range(*self._wanted(self._per_unit), glide=not fresh)
        legend = np.isfinite(raw[:, 1]).any() != known
        if legend:
            self._lay_out()
        self._describe()
        if legend or fresh or frame != (self._limit, self._low, self._high):
            self.update()
        else:
            self._update_between([_changed(*pair) for pair in zip(before, (train, validation, raw), strict=True)])

    def _update_between(self, spans: list[tuple[float, float] | None]) -> None:
        """Have the plot painted again where curves changed, between pairs of seconds."""
        changed = [span for span in spans if span is not None]
        if changed:
            left, right = self._x(min(first for first, _ in changed)), self._x(max(last for _, last in changed))
            area = self.area()
            self.update(QRect(
                int(left) - EDGE, int(area.top()) - 1, int(right - left) + 2 * EDGE + 1, int(area.height()) + 4
            ))

    def clear(self) -> None:
        """Forget the curves, for another run."""
        self._train = self._validation = self._raw = np.zeros((0, 2))
        self._others = []
        self._epochs, self._baselines, self._hover, self._limit = [], {}, None, 0.0
        self._lay_out()
        self.update()

    def _wanted(self, per_unit: float) -> tuple[float, float]:
        """(low, high) in nats. High is the uniform baseline; once the model beats the histogram, a far-off
        uniform leaves. Low takes whole steps."""
        values = np.concatenate([self._validation[:, 1], self._smooth(), *(run.points[:, 1] for run in self._others)])
        values = values[np.isfinite(values)]
        uniform = self._baselines.get("uniform")
        histogram = self._baselines.get("histogram")
        if uniform is None:
            high = float(values.max()) * 1.02 if len(values) else 1.0
        elif histogram is None or uniform <= 2 * histogram or not (values < histogram).any():
            high = uniform * 1.04
        else:
            high = histogram * 1.5
        middle = high / 2 if histogram is None else histogram - 0.5 * (high - histogram)
        least = float(values.min()) if len(values) else high
        low = min(middle, least - 0.1 * (high - least))
        step = _nice((high - max(low, 0)) / per_unit / 4) * per_unit / 2
        return max(0.0, math.floor(low / step) * step), high

    def _smooth(self) -> np.ndarray:
        """Training curve without its noise: means of eight neighbours."""
        whole = len(self._train) // 8 * 8
        return self._train[:whole, 1].reshape(-1, 8).mean(1)

    def _set_range(self, low: float, high: float, *, glide: bool) -> None:
        if (low, high) == self._goal:
            return
        self._goal, self._from = (low, high), (self._low, self._high)
        self._glide.stop()
        if glide and self.isVisible():
            self._glide.start()
        else:
            self._low, self._high = low, high

    def _glided(self, share: float) -> None:
        eased = share * share * (3 - 2 * share)
        self._low = self._from[0] + (self._goal[0] - self._from[0]) * eased
        self._high = self._from[1] + (self._goal[1] - self._from[1]) * eased
        self.update()

    def area(self) -> QRectF:
        """Rectangle of the plot itself."""
        width, height = self.width() - GUTTER - 4, self.height() - self._top - AXIS
        return QRectF(GUTTER, self._top, max(width, 1), max(height, 1))

    def _lay_out(self) -> None:
        """The legend again, and the room it takes; for what changes seldom."""
        self._entries = self._legend()
        self._top = 6 + ROW * (1 + max(row for _, row, _, _ in self._entries))

    def _x(self, seconds: float) -> float:
        area = self.area()
        return area.left() + seconds / max(self._limit, 1e-9) * area.width()

    def _y(self, nats: float) -> float:
        area = self.area()
        return area.bottom() - (nats - self._low) / max(self._high - self._low, 1e-12) * area.height()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Read the validation nearest to the mouse."""
        if not len(self._validation):
            return
        area = self.area()
        at = (event.position().x() - area.left()) / area.width() * self._limit
        index = int(np.argmin(np.abs(self._validation[:, 0] - at)))
        seconds, nats = self._validation[index]
        if seconds != self._hover:
            self._hover = seconds
            self.update()
        lines = [self.tr("validation {0:.3f} {1}").format(nats / self._per_unit, self._unit)]
        if index < len(self._raw) and np.isfinite(self._raw[index, 1]):
            lines.append(self.tr("unaveraged {0:.3f} {1}").format(self._raw[index, 1] / self._per_unit, self._unit))
        if len(self._train):
            i = min(bisect_left(self._train[:, 0].tolist(), seconds), len(self._train) - 1)
            lines.append(self.tr("train {0:.3f} {1}").format(self._train[i, 1] / self._per_unit, self._unit))
        lines.append(self.tr("after {0}, epoch {1:.1f}").format(duration(seconds), self._epochs[index]))
        QToolTip.showText(event.globalPosition().toPoint(), "\n".join(lines), self)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left."""
        self._hover = None
        self.update()

    def _describe(self) -> None:
        if len(self._validation):
            text = self.tr("Validation {0:.3f} {1} after {2}").format(
                self._validation[-1, 1] / self._per_unit, self._unit, duration(self._validation[-1, 0])
            )
            self.setAccessibleDescription(text)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Grid, baselines, curves, legend."""
        painter, part = QPainter(self), event.rect()
        painter.setFont(self._font())
        self._draw_axes(painter, part)
        area = self.area()
        painter.setClipRect(area.adjusted(-1, -1, 5, 2))
        for name, nats in self._baselines.items():
            pen = QPen(self._colour(name), 1, Qt.PenStyle.CustomDashLine)
            pen.setDashPattern([4, 4])
            painter.setPen(pen)
            painter.drawLine(QPointF(area.left(), self._y(nats)), QPointF(area.right(), self._y(nats)))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)      # curves only: level lines are sharper without
        self._draw_curve(painter, self._train, self._colour("train"), 1.2)
        for run in self._others:
            self._draw_curve(painter, run.points, QColor(OTHERS[run.colour % len(OTHERS)]), 1.8)
        self._draw_curve(painter, self._raw, self._colour("raw"), 1.2)
        self._draw_curve(painter, self._validation, self._colour("validation"), 2.4)
        if self._hover is not None:
            painter.setPen(QPen(theme.colour("dim", 0.6), 1))
            x = self._x(self._hover)
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        painter.setClipping(False)
        if part.top() < area.top() - 1:
            self._draw_legend(painter)

    @staticmethod
    def _colour(name: str) -> QColor:
        return {
            "validation": theme.colour("accent"), "raw": theme.colour("accent", 0.55), "train": theme.colour("dim", 0.75),
            "uniform": theme.colour("dim", 0.8), "histogram": theme.colour("selected", 0.9),
            "gzip": QColor(OTHERS[2]), "PNG": QColor(OTHERS[4]),
        }.get(name, theme.colour("dim"))

    def _draw_curve(self, painter: QPainter, points: np.ndarray, colour: QColor, width: float) -> None:
        points = points[np.isfinite(points).all(1)]
        if not len(points):
            return
        area = self.area()
        x = area.left() + points[:, 0] / max(self._limit, 1e-9) * area.width()
        share = (points[:, 1] - self._low) / max(self._high - self._low, 1e-12)
        y = area.bottom() - np.clip(share, -9, 9) * area.height()      # Qt draws slowly what is far outside
        shown = QPolygonF([QPointF(*p) for p in np.column_stack([x, y]).tolist()])
        round_ = Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
        painter.setPen(QPen(colour, width, Qt.PenStyle.SolidLine, *round_))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(shown)
        if points[-1, 0] == self._validation[-1:, 0] and width > 2:      # the latest figure, also while there is only one
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            painter.drawEllipse(shown[len(shown) - 1], 3.2, 3.2)

    def _draw_axes(self, painter: QPainter, part: QRect) -> None:
        area = self.area()
        low, high = self._low / self._per_unit, self._high / self._per_unit
        step = _nice((high - low) / max(2, min(6, area.height() / 36)))
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        for i in range(math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6) + 1):
            y = self._y(i * step * self._per_unit)
            painter.setPen(QPen(theme.colour("line"), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            if part.left() >= GUTTER:
                continue
            painter.setPen(theme.colour("dim"))
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, y - 8, GUTTER - 10, 16), right, f"{i * step:.{digits}f}")
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        if self._limit <= 0 or part.bottom() < area.bottom() + 4:
            return
        painter.setPen(theme.colour("dim"))
        metrics = QFontMetricsF(painter.font())
        most = max(2.0, area.width() / 110)
        step = next((t for t in _TICKS if self._limit / t <= most), self._limit)
        for i in range(math.floor(self._limit / step + 1e-6) + 1):
            x, text = self._x(i * step), duration(i * step) if i else "0"
            wide = metrics.horizontalAdvance(text)
            left = min(max(x - wide / 2, area.left() - 2), area.right() - wide + 2)
            painter.drawText(QPointF(left, area.bottom() + 17), text)

    def _legend(self) -> list[tuple[float, int, str, str]]:
        """(x, line, key, text) of all that is drawn; a key of a number is the place of another run."""
        metrics, found = QFontMetricsF(self._font()), []
        names = {"validation": self.tr("validation"), "raw": self.tr("unaveraged"), "train": self.tr("train")}
        if not np.isfinite(self._raw[:, 1]).any():
            del names["raw"]
        texts = {"uniform": self.tr("uniform"), "histogram": self.tr("histogram")}
        for key, nats in self._baselines.items():
            names[key] = f"{texts.get(key, key)} {nats / self._per_unit:.2f}"
        names |= {str(i): run.name for i, run in enumerate(self._others)}
        x, row = float(GUTTER), 0
        for key, text in names.items():
            text = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, 170)
            wide = 20 + metrics.horizontalAdvance(text)
            if x > GUTTER and x + wide > self.width():
                x, row = float(GUTTER), row + 1
            found.append((x, row, key, text))
            x += wide + 16
        return found

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(11)
        return font

    def _draw_legend(self, painter: QPainter) -> None:
        for x, row, key, text in self._entries:
            other = self._others[int(key)] if key.isdigit() else None
            colour = QColor(OTHERS[other.colour % len(OTHERS)]) if other else self._colour(key)
            pen = QPen(colour, 2.4 if key == "validation" else 1.6)
            if key in self._baselines:
                pen.setDashPattern([2, 1.6])
            y = ROW * row + 8.0
            painter.setPen(pen)
            painter.drawLine(QPointF(x, y), QPointF(x + 14, y))
            painter.setPen(theme.colour("dim"))
            painter.drawText(QPointF(x + 20, y + 4), text)


def _changed(old: np.ndarray, new: np.ndarray) -> tuple[float, float] | None:
    """Between which seconds two curves (n, 2) differ, with the points before and after; None if they do not."""
    count = min(len(old), len(new))
    differ = ((old[:count] != new[:count]) & ~(np.isnan(old[:count]) & np.isnan(new[:count]))).any(1)
    if not differ.any() and len(old) == len(new):
        return None
    first = int(differ.argmax()) if differ.any() else count
    ends = [x for points in (old, new) for x in points[max(first - 1, 0):, 0].tolist()]
    return min(ends), max(ends)


def _nice(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if not value > 0 or not math.isfinite(value):
        return 1.0
    base = 10 ** math.floor(math.log10(value))
    return next(m * base for m in (1, 2, 5, 10) if m * base >= value * 0.999)
