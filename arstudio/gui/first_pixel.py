"""The pixel that the Inspector shows when the first drawing is done: the one the model was least sure of.

The playhead rests on the last pixel then, often a corner of which everything was known and nothing can be learned.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from arstudio.gui.studio import Studio


class FirstPixel(QObject):
    """Selects a pixel once, unless a person has; lets go of it as soon as the playhead moves, so that the Inspector follows
    what is drawn next."""

    def __init__(self, studio: Studio) -> None:
        super().__init__(studio)
        self.studio = studio
        self._offered: tuple[int, int, int] | None = None
        for signal in (studio.playing_changed, studio.selection_changed, studio.trace_changed):
            signal.connect(self._look)

    @Slot()
    def _look(self) -> None:
        studio, trace = self.studio, self.studio.trace
        if studio.selection != self._offered:    # a person has chosen
            self._end()
        elif self._offered is not None:
            self._moved()
        elif trace is not None and trace.complete and not studio.playing and studio.position >= trace.spec.sites:
            self._offered = trace.site(int(trace.entropies[studio.focus].argmax()))
            studio.position_changed.connect(self._moved)
            studio.select(self._offered)

    @Slot()
    def _moved(self) -> None:
        if self.studio.position < self.studio.trace.spec.sites:
            self._end()
            self.studio.select(None)

    def _end(self) -> None:
        for signal in (self.studio.playing_changed, self.studio.selection_changed, self.studio.trace_changed):
            signal.disconnect(self._look)
        if self._offered is not None:
            self.studio.position_changed.disconnect(self._moved)
        self.deleteLater()
