"""`arstudio bench gui`: start-up and smoothness of the window, measured in fresh processes.

    import arstudio       wall time of the import in a fresh interpreter, minus the interpreter's own start
    first window          from just before the process is made to the end of the first paint event, median of `repeats`
    live sketch           how far completions are behind the pen; see sketch_benchmark.py
    event-loop lag        lateness of a 5 ms precise heartbeat while 16 images are drawn at full speed, inspector and
                          timeline open; over several drawings, the first and its start included
    click                 from a mouse click on a pixel to the end of the paint that shows its distribution: of a drawing,
                          and the first click, 0.1 s after it was chosen, on an image nobody has read yet
    frames                different pictures painted a second while one image is drawn at full speed, and how much longer
                          it takes than without a window, medians of interleaved pairs
    training              images a second of a training that the window shows, and lag meanwhile; see training_benchmark.py
    memory                resident memory before and after generations of a small model, with history

The machine's load average is reported with them: a busy machine gives worse figures. So does one that keeps no bytecode
(PYTHONDONTWRITEBYTECODE), because every child then compiles the program again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arstudio.gui.main_window import MainWindow

_IMPORT = "import time; t=time.perf_counter(); import arstudio; print(time.perf_counter()-t)"
_PAINT = "from arstudio.gui.benchmark import paint_once; paint_once()"
_SKETCH = "from arstudio.gui.sketch_benchmark import measure_all; measure_all()"
_PARTS = ("lag", "clicks", "frames", "training", "memory")
DRAWINGS = 5         # drawings of 16 images in the measurement of lag
CLICKS = 60
PAIRS = 25           # drawings with and without a window
GENERATIONS = 200


@dataclass(frozen=True)
class Clicks:
    """Milliseconds from a click to the painted distribution, for one model."""

    model: str
    parameters: int
    p50_ms: float
    p95_ms: float
    unread_p95_ms: float
    clicks: int                # half of them on images nobody had read


@dataclass(frozen=True)
class GuiBench:
    """Seconds for start-up and drawing, milliseconds for lag and clicks, megabytes for memory."""

    import_seconds: float
    import_loads_torch_or_qt: bool
    first_paint_seconds: float
    first_paint_all: tuple[float, ...]
    lag_p99_ms: float
    lag_max_ms: float
    drawing_seconds: float
    clicks: tuple[Clicks, ...]
    frames_per_second: float
    headless_seconds: float
    shown_seconds: float
    drawing_overhead: float
    training_share: float      # images a second with the window over those without
    training_shown: float
    training_headless: float
    training_lag_p99_ms: float
    training_lag_max_ms: float
    training_frames: int
    memory_before_mb: float
    memory_after_mb: float
    generations: int
    sketch_ms: dict[str, dict[str, float]]     # a model's lifted, lifted_max, moving_max: see sketch_benchmark.py
    platform: str
    load_average: float


def measure(repeats: int = 5, part: str = "", found: dict[str, Any] | None = None) -> GuiBench | dict[str, Any]:
    """Run everything, in about five minutes on an idle machine, or one of `_PARTS`, whose figures come as they are. `found`
    takes each part as it is done."""
    # what only this function needs stays out of the children's way
    import statistics
    import tempfile

    from arstudio.gui.app import display_missing

    env = dict(os.environ)
    if display_missing():
        env["QT_QPA_PLATFORM"] = "offscreen"
    private = tempfile.TemporaryDirectory(prefix="arstudio-bench-")
    env["ARSTUDIO_BENCH"] = private.name    # settings of its own for every child
    if part:
        return _part(part, env)
    imports = [float(_child(_IMPORT, env)) for _ in range(repeats)]
    clean = _child("import sys, arstudio; print(int('torch' in sys.modules or 'PySide6' in sys.modules))", env)
    paints = []
    for _ in range(repeats):
        started = time.time()
        paints.append(float(_child(_PAINT, env)) - started)
    found = {} if found is None else found
    for name in _PARTS:
        found[name] = _part(name, env)
    return GuiBench(
        statistics.median(imports), clean.strip() == "1", statistics.median(paints), tuple(paints),
        **found["lag"], clicks=tuple(Clicks(**row) for row in found["clicks"]["clicks"]), **found["frames"],
        **found["training"], **found["memory"], sketch_ms=json.loads(_child(_SKETCH, env)),
        platform=env.get("QT_QPA_PLATFORM", "display"),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
    )


def run(as_json: bool = False) -> None:
    """Print the figures as JSON or as lines for people; of a run that Ctrl-C stops, the parts that are done as JSON."""
    parts: dict[str, Any] = {}
    try:
        found = measure(found=parts)
    except KeyboardInterrupt:
        if parts:
            print(json.dumps(parts, indent=2))
        raise
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
        return
    loaded = "loads torch or Qt" if found.import_loads_torch_or_qt else "loads neither torch nor Qt"
    print("\n".join((
        f"import arstudio     {found.import_seconds:.3f} s, {loaded}",
        f"first window        {found.first_paint_seconds:.2f} s (median of {len(found.first_paint_all)})",
        f"event-loop lag      p99 {found.lag_p99_ms:.1f} ms, max {found.lag_max_ms:.1f} ms while drawing 16 images "
        f"in {found.drawing_seconds:.1f} s",
        *(f"click               p50 {row.p50_ms:.1f} ms, p95 {row.p95_ms:.1f} ms, on an unread image p95 "
          f"{row.unread_p95_ms:.1f} ms ({row.model}, {row.parameters:,} parameters)" for row in found.clicks),
        f"frames              {found.frames_per_second:.0f} a second while one image is drawn in {found.shown_seconds:.2f} s, "
        f"{found.drawing_overhead:+.1%} of the {found.headless_seconds:.2f} s without a window",
        f"training            {found.training_shown:.0f} images a second in the window, {found.training_share:.3f} of the "
        f"{found.training_headless:.0f} without a window; lag p99 {found.training_lag_p99_ms:.1f} ms, max "
        f"{found.training_lag_max_ms:.1f} ms",
        f"memory              {found.memory_before_mb:.0f} MB, after {found.generations} generations "
        f"{found.memory_after_mb:.0f} MB",
        *(f"sketch, {name:<11} {ms['lifted']:.0f} ms behind the lifted pen (at most {ms['lifted_max']:.0f}), at most "
          f"{ms['moving_max']:.0f} ms behind the moving one" for name, ms in found.sketch_ms.items()),
        f"platform {found.platform}, load average {found.load_average:.1f}",
    )))


def _child(code: str, env: dict[str, str]) -> str:
    import subprocess

    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=600)
    if result.returncode:
        raise RuntimeError(f"The measurement failed: {result.stderr.strip().splitlines()[-1:]}")
    return result.stdout.strip().splitlines()[-1]


def _part(name: str, env: dict[str, str]) -> dict[str, Any]:
    return json.loads(_child(f"from arstudio.gui.benchmark import in_window; in_window({name!r})", env))


def paint_once() -> None:
    """In a child process: start as `arstudio` does, print the time when the first paint has ended, close."""
    from arstudio.gui.app import main, private_settings

    private_settings(os.environ["ARSTUDIO_BENCH"])

    def painted(window: MainWindow) -> None:
        print(time.time(), flush=True)
        window.close()

    main(painted)


def in_window(name: str) -> None:
    """In a child process: open the window as `arstudio` does, measure one of `_PARTS`, print it as JSON, close."""
    from arstudio.gui.app import Health, make_application, private_settings

    private_settings(os.environ["ARSTUDIO_BENCH"])
    make_application()
    from PySide6.QtCore import QSettings

    from arstudio.gui import tasks
    from arstudio.gui.main_window import MainWindow
    from arstudio.gui.studio import Studio

    QSettings().setValue("autostart", "false")
    studio = Studio()
    studio.autoplay = False
    window = MainWindow(studio)
    window.health = Health(studio, Path(os.environ["ARSTUDIO_BENCH"]))
    window.show()
    window.complete_start()
    stage = Stage(window)
    stage.wait(lambda: not tasks.running() and window.complete is not None)
    parts = {"lag": _lag, "clicks": _clicks, "frames": _frames, "training": _training, "memory": _memory}
    print(json.dumps(parts[name](stage)), flush=True)
    window.ask_before_closing = False
    window.close()


class Stage:
    """The window under measurement, and what a measurement waits for."""

    def __init__(self, window: MainWindow) -> None:
        self.window, self.studio = window, window.studio

    def wait(self, condition: Callable[[], bool], seconds: float = 300.0) -> None:
        """Let the event loop run until condition() holds. Raises RuntimeError after `seconds`."""
        from PySide6.QtCore import QEventLoop, QTimer

        loop, end, looks = QEventLoop(), time.perf_counter() + seconds, QTimer(interval=200)    # looking costs what is measured
        signals = (self.studio.drawing_changed, self.studio.playing_changed, self.studio.model_changed)

        def look() -> None:
            if condition() or time.perf_counter() > end:
                loop.quit()

        for signal in (looks.timeout, *signals):
            signal.connect(look)
        looks.start()
        loop.exec()
        looks.stop()
        for signal in signals:
            signal.disconnect(look)
        if not condition():
            raise RuntimeError(f"Nothing happened for {seconds:.0f} s.")

    def open(self, name: str) -> None:
        """Open a bundled model."""
        self.studio.open_model(name)
        self.wait(lambda: self.studio.card is not None and self.studio.card.name == name)

    def drawn(self) -> bool:
        """True when the drawing is complete, shown, and everything rests."""
        s = self.studio
        return s.trace is not None and s.trace.complete and not s.drawing and not s.playing

    def draw(self, count: int) -> float:
        """Draw at full speed; seconds until it is complete and shown."""
        from arstudio.gui.playhead import FULL_SPEED

        self.studio.set(count=count)
        self.studio.set_speed(FULL_SPEED)
        before, started, ended = self.studio.trace, time.perf_counter(), []

        def changed() -> None:
            if not self.studio.drawing and not ended:
                ended.append(time.perf_counter())

        self.studio.generate()
        self.studio.drawing_changed.connect(changed)
        self.wait(lambda: self.studio.trace is not before and self.drawn())
        self.studio.drawing_changed.disconnect(changed)
        return (ended[0] if ended else time.perf_counter()) - started


class Heartbeat:
    """How late a precise timer of 5 ms comes; may be started and stopped again and again."""

    def __init__(self) -> None:
        from PySide6.QtCore import QElapsedTimer, Qt, QTimer

        self._late: list[float] = []
        self._clock, self._last = QElapsedTimer(), 0
        self._timer = QTimer(interval=5)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._clock.start()

    def _beat(self) -> None:
        now = self._clock.nsecsElapsed()
        self._late.append((now - self._last) / 1e6 - 5)
        self._last = now

    def start(self) -> None:
        """Listen from now on."""
        self._last = self._clock.nsecsElapsed()
        self._timer.start()

    def stop(self) -> None:
        """Listen no more."""
        self._timer.stop()

    def percentile(self, share: float) -> float:
        """Milliseconds that this share of all beats was late at most."""
        late = sorted(self._late)
        return late[min(int(len(late) * share), len(late) - 1)]


def _lag(stage: Stage) -> dict[str, Any]:
    stage.open("fashion-gated")
    heartbeat = Heartbeat()
    heartbeat.start()
    seconds = [stage.draw(16) for _ in range(DRAWINGS)]
    heartbeat.stop()
    return {
        "lag_p99_ms": heartbeat.percentile(0.99), "lag_max_ms": heartbeat.percentile(1.0),
        "drawing_seconds": sum(seconds) / DRAWINGS,
    }


def _training(stage: Stage) -> dict[str, Any]:
    from arstudio.gui.training_benchmark import measure

    return measure(stage)


def _clicks(stage: Stage) -> dict[str, Any]:
    """Clicks on the first bundled model and on the network of `bench sampling`, 3.4 million parameters."""
    from arstudio.analysis.benchmarks import reference_network
    from arstudio.models.checkpoint import card_of

    stage.open("fashion-gated")
    rows = [_clicks_on(stage, stage.studio.card.name)]
    network = reference_network().frozen()
    stage.studio.use_model(network, card_of(network))
    rows.append(_clicks_on(stage, "reference network"))
    return {"clicks": [dataclasses.asdict(row) for row in rows]}


def _clicks_on(stage: Stage, name: str) -> Clicks:
    import random

    stage.draw(4)
    studio, pick = stage.studio, random.Random(1)
    spec, places = studio.trace.spec, []
    while len(places) < 2 * CLICKS:
        place = pick.randrange(spec.height), pick.randrange(spec.width)
        if not places or place != places[-1]:
            places.append(place)
    known = sorted(_click(stage, *place) for place in places[:CLICKS])
    unread = []
    for k, place in enumerate(places[CLICKS:]):    # an image the trace knows nothing of, changed so that nobody read it
        studio.select_image(k % studio.trace.count)
        studio.trace.pmfs = studio.trace.pmfs[:0]
        studio.trace.values[studio.focus, 0] = (studio.trace.values[studio.focus, 0] + 1) % spec.levels
        unread.append(_click(stage, *place))
    unread.sort()
    return Clicks(
        name, studio.model.num_parameters, known[len(known) // 2], known[int(len(known) * 0.95)],
        unread[int(len(unread) * 0.95)], len(places),
    )


def _click(stage: Stage, row: int, column: int) -> float:
    """Milliseconds from the click to the paint that shows the pixel's distribution."""
    from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, Qt, QTimer
    from PySide6.QtTest import QTest

    window, loop = stage.window, QEventLoop()
    plot, view, ended = window.inspector.plot, window.generate_panel.view, []

    class Painted(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint and plot.pmf() is not None:
                watched.removeEventFilter(self)
                watched.event(event)    # the paint itself belongs to the time
                ended.append(time.perf_counter())
                QTimer.singleShot(0, loop.quit)
                return True
            return False

    watch = Painted()
    where = view.rect_of(row, column).center().toPoint()
    QTimer.singleShot(100, loop.quit)    # choosing another image asks about it too; a hand takes longer to get to the pixel
    loop.exec()                          # QTest.qWait would keep the interpreter from the threads
    plot.installEventFilter(watch)
    started = time.perf_counter()
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, where)
    QCoreApplication.processEvents()
    if not ended and plot.pmf() is not None:    # exactly what was on the screen before: there was nothing to paint
        plot.removeEventFilter(watch)
        ended.append(time.perf_counter())
    if not ended:
        QTimer.singleShot(10_000, loop.quit)
        loop.exec()
    if not ended:
        raise RuntimeError("A click on a pixel showed nothing.")
    return (ended[0] - started) * 1000


def _frames(stage: Stage) -> dict[str, Any]:
    """One 28×28 image of the network of `bench sampling`: different pictures painted a second, and the time its thread
    takes to draw, with the window following and with the event loop asleep."""
    import statistics

    from arstudio.analysis.benchmarks import reference_network
    from arstudio.gui.widgets.pixel_view import PixelView
    from arstudio.models.checkpoint import card_of
    from arstudio.sampling import Sampler

    network, taken, run, paint = reference_network().frozen(), [], Sampler.run, PixelView.paint_marks
    studio, view, seen = stage.studio, stage.window.generate_panel.view, set()
    studio.use_model(network, card_of(network))

    def timed(self: Sampler, *args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        found = run(self, *args, **options)
        taken.append(time.perf_counter() - started)
        return found

    def painted(self: PixelView, painter: Any) -> None:
        if self is view and studio.drawing:
            seen.add(studio.position)
        paint(self, painter)

    PixelView.paint_marks = painted
    Sampler.run = timed    # both ways of drawing go through it, in a thread of their own
    shown, headless, rates = [], [], []
    try:
        for pair in range(PAIRS + 1):
            in_thread(lambda: Sampler(network, studio.sample_settings(), 1, studio.chosen_class()).run())
            seen.clear()
            stage.draw(1)
            if pair:    # the first pair warms up
                headless.append(taken[-2])
                shown.append(taken[-1])
                rates.append(len(seen) / taken[-1])
    finally:
        Sampler.run, PixelView.paint_marks = run, paint
    return {
        "frames_per_second": statistics.median(rates), "headless_seconds": statistics.median(headless),
        "shown_seconds": statistics.median(shown),
        "drawing_overhead": statistics.median(b / a for a, b in zip(headless, shown, strict=True)) - 1,
    }


def in_thread(work: Callable[[], Any]) -> None:
    """Do a piece of work in a thread while the event loop sleeps: nothing is painted meanwhile."""
    import threading

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def _memory(stage: Stage) -> dict[str, Any]:
    """Resident memory after a tenth of the generations, when every cache is warm, and after all of them."""
    stage.open("digits-nade")
    before = 0.0
    for number in range(GENERATIONS):
        stage.studio.set(seed=number)
        stage.draw(9)
        if number == GENERATIONS // 10:
            before = _resident_mb()
    return {"memory_before_mb": before, "memory_after_mb": _resident_mb(), "generations": GENERATIONS}


def _resident_mb() -> float:
    """Megabytes of this process in memory now; where only the peak is known, the peak."""
    import gc

    gc.collect()
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    try:
        import resource
    except ImportError:    # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
