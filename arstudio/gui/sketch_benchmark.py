"""How far the live sketch is behind the pen: real mouse events on the canvas, at the pace of a hand.

    lifted    from the end of a stroke to the completion of exactly that sheet on the canvas
    moving    the oldest a completion on the canvas gets while a stroke is under way: from the sheet it was made of to
              the next one that replaces it
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import time

MODELS = ("digits-gated", "mnist-gated")
STROKES, MOVES, PACE = 6, 20, 16      # strokes of so many moves, so many milliseconds apart


def measure_all() -> None:
    """In a child process: print {model: {"lifted": median ms, "lifted_max": ms, "moving_max": ms}} as JSON."""
    from arstudio.gui.app import make_application, private_settings

    private_settings(os.environ["ARSTUDIO_BENCH"])
    make_application()
    print(json.dumps({name: measure(name) for name in MODELS}), flush=True)


def measure(name: str, strokes: int = STROKES) -> dict[str, float]:
    """Draw strokes on a blank canvas of a model with the live sketch on. Figures in milliseconds."""
    from PySide6.QtCore import QEventLoop, Qt, QTimer
    from PySide6.QtTest import QTest

    from arstudio.gui.panels.complete import CompletePanel
    from arstudio.gui.studio import Studio
    from arstudio.models import load_frozen

    studio = Studio()
    studio.autoplay = False
    panel = CompletePanel(studio)
    studio.use_model(*load_frozen(name))
    panel.resize(800, 600)
    panel.show()
    canvas, shown = panel.canvas, []      # (when shown, sheet, when its run began)
    began: dict[int, float] = {}
    start = panel.run.start

    def started(sheet: object, plan: object) -> None:
        began[id(sheet)] = time.perf_counter()
        start(sheet, plan)

    panel.run.start = started

    def until(done: object) -> None:
        loop, clock = QEventLoop(), QTimer(interval=1)
        clock.timeout.connect(lambda: loop.quit() if done() else None)
        clock.start()
        loop.exec()

    until(lambda: canvas.sheet is not None)
    panel.new_blank()
    panel.page.live.setChecked(True)
    until(lambda: panel.result is not None and not panel.running)
    canvas.set_tool("brush")
    lifted = []

    def seen() -> None:
        if panel.result is not None and (not shown or shown[-1][1] is not panel.result.sheet):
            shown.append((time.perf_counter(), panel.result.sheet, began[id(panel.result.sheet)]))

    panel.run.ended.connect(seen)
    height, width = canvas.spec.height, canvas.spec.width
    moving = 0.0
    for stroke in range(strokes):
        row = 1 + stroke * (height - 2) // strokes

        def at(column: int, row: int = row) -> object:
            return canvas.rect_of(row, column).center().toPoint()

        first = len(shown)
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at(1))
        for move in range(MOVES):
            QTest.mouseMove(canvas, at(1 + move * (width - 2) // MOVES), PACE)
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at(width - 2))
        end, sheet = time.perf_counter(), canvas.sheet
        until(lambda sheet=sheet: panel.result is not None and panel.result.sheet is sheet)
        lifted.append(time.perf_counter() - end)
        during = shown[first:]
        moving = max([moving, *(after[0] - before[2] for before, after in itertools.pairwise(during))])
    panel.page.live.setChecked(False)
    panel.run.abandon()
    panel.close()
    return {
        "lifted": round(1000 * statistics.median(lifted)), "lifted_max": round(1000 * max(lifted)),
        "moving_max": round(1000 * moving),
    }
