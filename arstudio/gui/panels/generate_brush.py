"""Painting on a drawing: a stroke over drawn pixels becomes a branch in which they hold the ink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Slot
from PySide6.QtWidgets import QHBoxLayout, QWidget

from arstudio.gui.studio import Studio
from arstudio.gui.widgets.controls import icon_button
from arstudio.gui.widgets.side_by_side import SideBySide

if TYPE_CHECKING:
    from arstudio.gui.widgets.ink import InkWell


class PaintTool(QObject):
    """The brush of Generate: `row` holds its button and, once it is in hand, the well with its ink."""

    def __init__(self, studio: Studio, sides: SideBySide) -> None:
        super().__init__(sides)
        self.studio, self.sides = studio, sides
        self._ink: tuple[float, ...] = ()
        self._other: tuple[float, ...] = ()
        self.size = 1
        self._stroke: dict[tuple[int, int], None] = {}
        self.button = icon_button(
            "brush", self.tr("Brush (B): paint over drawn pixels; the past stays, the future is drawn again\n"
                             "[ and ] change its width, X exchanges the inks"), checkable=True
        )
        self.button.toggled.connect(self._toggled)
        self.well: InkWell | None = None
        self.row = QHBoxLayout()
        self.row.addWidget(self.button)
        for view in sides.views:
            view.painted.connect(self._painted)
            view.stroke_ended.connect(self._ended)
        studio.trace_changed.connect(self._fit)

    @property
    def on(self) -> bool:
        """True while the brush is in hand."""
        return self.button.isChecked()

    def _toggled(self, on: bool) -> None:
        if self.well is None:    # made when first needed: it loads NumPy
            from arstudio.gui.widgets.ink import InkWell

            self.well = InkWell()
            self.well.chosen.connect(self._take)
            self.row.addWidget(self.well)
            QWidget.setTabOrder(self.button, self.well)
        self._fit()
        self.well.setVisible(on)
        for view in self.sides.views:
            view.brush = on
            view.setCursor(Qt.CursorShape.CrossCursor) if on else view.unsetCursor()
        self.studio.branches_changed.emit()

    @Slot()
    def _fit(self) -> None:
        """An ink that the model has: the brightest at first."""
        trace = self.studio.trace
        if trace is None or self.well is None:
            return
        spec = trace.spec
        if len(self._ink) != spec.channels or max(self._ink) > spec.top:
            self._ink, self._other = (spec.top,) * spec.channels, (0,) * spec.channels
        self._show()

    def _show(self) -> None:
        spec = self.studio.trace.spec
        self.well.show_inks(self._ink, self._other, spec)

    @Slot(object)
    def _take(self, ink: tuple[float, ...]) -> None:
        self._ink = tuple(ink)
        self._show()

    @Slot()
    def swap(self) -> None:
        """Exchange the two inks."""
        if self.on:
            self._ink, self._other = self._other, self._ink
            self._show()

    @Slot()
    def wider(self) -> None:
        """One pixel wider."""
        self._resize(1)

    @Slot()
    def narrower(self) -> None:
        """One pixel narrower."""
        self._resize(-1)

    def _resize(self, step: int) -> None:
        if self.on:
            self.size = min(max(self.size + step, 1), 9)
            self.studio.branches_changed.emit()

    @Slot(int, int)
    def _painted(self, row: int, column: int) -> None:
        """Remember the pixels under the brush that are drawn already, and show them."""
        from arstudio.gui.widgets.sheet import disc

        studio, trace, view = self.studio, self.studio.trace, self.sides.view
        shown, spec, image = min(studio.position, trace.cursor), trace.spec, view.image().copy()
        for at in zip(*disc((row, column), self.size, (spec.height, spec.width)).nonzero(), strict=True):
            pixel = int(at[0]), int(at[1])
            if trace.step(spec.channels - 1, *pixel) < shown:
                self._stroke[pixel] = None
                image[:, pixel[0], pixel[1]] = self._ink
        view.show_image(image, spec)

    @Slot()
    def _ended(self) -> None:
        from arstudio.sampling import Change

        stroke, self._stroke = list(self._stroke), {}
        trace, focus = self.studio.trace, self.studio.focus
        edits = [
            Change(focus, trace.step(channel, row, column), value)
            for row, column in stroke for channel, value in enumerate(self._ink)
        ]
        if edits:
            self.studio.grow(edits)
        else:
            self.studio.message.emit("info", self.tr("Only pixels that are drawn can be painted: move the playhead on first."))
