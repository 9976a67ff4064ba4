"""`arstudio bench gui`: start-up and smoothness of the window, measured in fresh processes.

    import arstudio       wall time of the import in a fresh interpreter, minus the interpreter's own start
    first window          from just before the process is made to the end of the first paint event, median of `repeats`
    live sketch           how far completions are behind the pen; see sketch_benchmark.py
    event-loop lag        lateness of a 5 ms precise heartbeat while 16 images are drawn and played at full speed

The machine's load average is reported with them: a busy machine gives worse figures. So does one that keeps no bytecode
(PYTHONDONTWRITEBYTECODE), because every child then compiles the program again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arstudio.gui.main_window import MainWindow

_IMPORT = "import time; t=time.perf_counter(); import arstudio; print(time.perf_counter()-t)"
_PAINT = "from arstudio.gui.benchmark import paint_once; paint_once()"
_LAG = "from arstudio.gui.benchmark import heartbeat; heartbeat()"
_SKETCH = "from arstudio.gui.sketch_benchmark import measure_all; measure_all()"


@dataclass(frozen=True)
class GuiBench:
    """Seconds for start-up, milliseconds for lag."""

    import_seconds: float
    import_loads_torch_or_qt: bool
    first_paint_seconds: float
    first_paint_all: tuple[float, ...]
    lag_p99_ms: float
    lag_max_ms: float
    drawing_seconds: float
    sketch_ms: dict[str, dict[str, float]]     # a model's lifted, lifted_max, moving_max: see sketch_benchmark.py
    platform: str
    load_average: float


def measure(repeats: int = 5) -> GuiBench:
    """Run everything. Takes about half a minute on an idle machine."""
    # what only this function needs stays out of the children's way
    import statistics
    import tempfile

    from arstudio.gui.app import display_missing

    env = dict(os.environ)
    if display_missing():
        env["QT_QPA_PLATFORM"] = "offscreen"
    private = tempfile.TemporaryDirectory(prefix="arstudio-bench-")
    env["ARSTUDIO_BENCH"] = private.name    # settings of its own for every child
    imports = [float(_child(_IMPORT, env)) for _ in range(repeats)]
    clean = _child("import sys, arstudio; print(int('torch' in sys.modules or 'PySide6' in sys.modules))", env)
    paints = []
    for _ in range(repeats):
        started = time.time()
        paints.append(float(_child(_PAINT, env)) - started)
    lag = json.loads(_child(_LAG, env))
    return GuiBench(
        statistics.median(imports), clean.strip() == "1", statistics.median(paints), tuple(paints),
        lag["p99"], lag["max"], lag["seconds"], json.loads(_child(_SKETCH, env)), env.get("QT_QPA_PLATFORM", "display"),
        os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
    )


def run(as_json: bool = False) -> None:
    """Print the figures as JSON or as lines for people."""
    found = measure()
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
        return
    loaded = "loads torch or Qt" if found.import_loads_torch_or_qt else "loads neither torch nor Qt"
    print("\n".join((
        f"import arstudio     {found.import_seconds:.3f} s, {loaded}",
        f"first window        {found.first_paint_seconds:.2f} s (median of {len(found.first_paint_all)})",
        f"event-loop lag      p99 {found.lag_p99_ms:.1f} ms, max {found.lag_max_ms:.1f} ms while drawing 16 images "
        f"in {found.drawing_seconds:.1f} s",
        *(f"sketch, {name:<11} {ms['lifted']:.0f} ms behind the lifted pen (at most {ms['lifted_max']:.0f}), at most "
          f"{ms['moving_max']:.0f} ms behind the moving one" for name, ms in found.sketch_ms.items()),
        f"platform {found.platform}, load average {found.load_average:.1f}",
    )))


def _child(code: str, env: dict[str, str]) -> str:
    import subprocess

    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    if result.returncode:
        raise RuntimeError(f"The measurement failed: {result.stderr.strip().splitlines()[-1:]}")
    return result.stdout.strip().splitlines()[-1]


def paint_once() -> None:
    """In a child process: start as `arstudio` does, print the time when the first paint has ended, close."""
    from arstudio.gui.app import main, private_settings

    private_settings(os.environ["ARSTUDIO_BENCH"])

    def painted(window: MainWindow) -> None:
        print(time.time(), flush=True)
        window.close()

    main(painted)


def heartbeat() -> None:
    """In a child process: lateness of a 5 ms heartbeat while the window draws 16 images of the first bundled model."""
    from arstudio.gui.app import Health, make_application, private_settings

    private_settings(os.environ["ARSTUDIO_BENCH"])
    app = make_application()
    from PySide6.QtCore import QElapsedTimer, Qt, QTimer

    from arstudio.gui import tasks
    from arstudio.gui.main_window import MainWindow
    from arstudio.gui.playhead import FULL_SPEED
    from arstudio.gui.studio import Studio

    studio = Studio()
    studio.autoplay = False
    studio.set(count=16)
    window = MainWindow(studio)
    window.health = Health(studio, Path(os.environ["ARSTUDIO_BENCH"]))
    window.show()
    window.complete_start()
    clock, late, state = QElapsedTimer(), [], {"last": 0, "start": 0}

    def beat() -> None:
        now = clock.nsecsElapsed()
        late.append((now - state["last"]) / 1e6 - 5)
        state["last"] = now

    timer = QTimer(interval=5)
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(beat)

    def begin() -> None:
        window.toolbar.speed.setCurrentIndex(window.toolbar.speed.count() - 1)
        studio.set_speed(FULL_SPEED)
        clock.start()
        state["last"] = state["start"] = clock.nsecsElapsed()
        timer.start()
        studio.generate()

    def ended() -> None:
        if studio.drawing or studio.trace is None or not studio.trace.complete:
            return
        timer.stop()
        seconds = (clock.nsecsElapsed() - state["start"]) / 1e9
        late.sort()
        print(json.dumps({"p99": late[int(len(late) * 0.99)], "max": late[-1], "seconds": seconds}), flush=True)
        app.exit()

    studio.model_changed.connect(lambda: QTimer.singleShot(200, begin))
    studio.drawing_changed.connect(ended)
    app.exec()
    tasks.shut_down()
