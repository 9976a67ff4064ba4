"""How much a training is slowed by the window that shows it, and how smooth the window is meanwhile.

    share     images a second while the Train panel shows curves, map and film, over those without a window: the same model,
              data, seed and seconds, medians of interleaved pairs; without a window the event loop sleeps
    lag       lateness of a 5 ms precise heartbeat during the trainings in the window, their starts included

Both validate and draw the film at the same moments; images a second are those of the whole time that the budget counts.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arstudio.gui.benchmark import Stage

PAIRS, SECONDS = 3, 12.0
DATA, LEVELS, MODEL = "mnist", 2, "gated_pixelcnn"


def measure(stage: Stage, pairs: int = PAIRS, seconds: float = SECONDS) -> dict[str, Any]:
    """Train with and without the window in turns. Images a second, their ratio, milliseconds of lag."""
    from arstudio.gui.benchmark import Heartbeat

    window = stage.window
    window.show_train()
    panel = window.train
    panel.choices.choose_dataset(DATA, LEVELS)
    panel.choices.model.setCurrentIndex(panel.choices.model.findData(MODEL))
    panel.choices.choose_minutes(seconds / 60)
    stage.wait(lambda: panel.probed is not None and panel.probed.sees is not None and not panel.probe.busy)
    headless, shown, heartbeat, frames = [], [], Heartbeat(), 0
    for pair in range(pairs + 1):
        without = _headless(panel.choice())
        if pair:    # the first pair warms up
            heartbeat.start()
        panel.start()
        stage.wait(lambda: not panel.training)
        if pair:
            heartbeat.stop()
            headless.append(without)
            shown.append(_rate(panel.session.live, panel.choice().config["batch"]))
            frames = panel.view.film.frames
    return {
        "training_share": statistics.median(b / a for a, b in zip(headless, shown, strict=True)),
        "training_shown": statistics.median(shown), "training_headless": statistics.median(headless),
        "training_lag_p99_ms": heartbeat.percentile(0.99), "training_lag_max_ms": heartbeat.percentile(1.0),
        "training_frames": frames,
    }


def _headless(choice: Any) -> float:
    """Images a second of a choice trained while the event loop sleeps."""
    from arstudio.gui.benchmark import in_thread
    from arstudio.gui.panels.train_session import draw_film
    from arstudio.progress import Progress
    from arstudio.training.config import TrainConfig
    from arstudio.training.setup import new_trainer

    with tempfile.TemporaryDirectory() as place:
        trainer = new_trainer(
            Path(place) / "run", choice.view, choice.model, TrainConfig(**choice.config), choice.settings,
            draw=draw_film(Progress()),
        )
        in_thread(trainer.fit)
        return _rate(trainer.live, trainer.config.batch)


def _rate(live: Any, batch: int) -> float:
    return live.step * batch / live.seconds
