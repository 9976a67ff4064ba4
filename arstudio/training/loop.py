"""The training loop: a step on the next batch, again and again; when to measure, save, draw, go back and end.

The loss is −log p(x | y) per site, the very `log_prob` that evaluation and samplers use. Validation runs on
the EMA weights, which are also what `best.safetensors` holds. Given epochs, one seed gives one result on CPU,
also when the run was stopped and resumed.

Nothing here knows a screen: `Progress` reports, pauses and cancels, `watch.Live` is read by whoever watches, and what a
watcher asks for (`change_rate`, `snapshot`, `share`) is done between two steps.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arstudio.data import ImageDataset
from arstudio.image import grid
from arstudio.models import memory, threads
from arstudio.models.base import AutoregressiveModel
from arstudio.models.checkpoint import encode_model, named
from arstudio.models.modelfile import ModelCard, WriteError
from arstudio.progress import Cancelled, Muted, Progress
from arstudio.training.batches import Batches
from arstudio.training.budget import Budget
from arstudio.training.checkpoint import Store, pack, unpack
from arstudio.training.config import TrainConfig
from arstudio.training.descent import Descent
from arstudio.training.evaluation import evaluate, loss_map, raw_nats
from arstudio.training.record import card_so_far
from arstudio.training.runs import Point, Run, RunError
from arstudio.training.watch import Live
from arstudio.training.ways import HALF, LONG, offered, try_compiled, try_half
from arstudio.training.workers import ALONE, Workers

Draw = Callable[[AutoregressiveModel, int, int], np.ndarray]    # model, count, seed -> (count, C, H, W)
RECOVERIES = 3    # times a run that diverged goes back and on with a smaller step
FILM = (0.0, 0.02, 0.06, 0.12, 0.25, 0.45, 0.7, 1.0)    # shares of the budget at which samples are drawn
SETTLED = 10      # steps of this process after which its pace is known
ASLEEP = 5.0, 20.0    # a step longer than so many seconds and so many usual steps: the process was stopped meanwhile


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `finished`, `stopped`, `early` (no more progress) or `diverged`,
    and a sentence for people."""

    status: str
    sentence: str
    best_nats: float


class Trainer:
    """Trains one model on one dataset into one run directory; without one, it only takes steps.
    `setup.new_trainer` and `setup.resume_trainer` make one."""

    def __init__(
        self, model: AutoregressiveModel, data: ImageDataset, config: TrainConfig, run: Run | None,
        draw: Draw | None = None, *, clock: Callable[[], float] = time.monotonic, workers: Workers = ALONE,
    ) -> None:
        self.model, self.data, self.config, self.run = model, data, config, run
        self.draw = draw if workers.first else None
        self.clock = clock    # what a budget of minutes counts
        self.workers, self.store = workers, Store(run)
        self.batches, self.budget = Batches(model, data, config), Budget(config)
        self.descent = Descent(model, config, workers)
        self.average, self.optimiser = self.descent.average, self.descent.optimiser
        self.live = Live(uniform_nats=model.spec.sites * math.log(model.spec.levels or 1))
        self.native = data.info.spec.levels    # what reals were dequantised from
        self.best_epoch = 0.0
        self.film_index = 0
        self.rate_scale = 1.0      # a third of it each time the run diverged
        self.recoveries = 0
        self._tried = False        # whether compiling was considered
        self.recent: list[float] = []    # nats of the last hundred steps
        self._validation_seconds = 0.0
        self._wishes: SimpleQueue[Callable[[Progress], None]] = SimpleQueue()
        self._part_ways()

    def fit(self, progress: Progress | None = None) -> Outcome:
        """Train until the budget is spent, progress ends, someone cancels, or the loss is no number any more.

        A run that diverges goes back to its last saved state and on with a third of the learning rate, three times at
        most; where memory runs out a batch is computed in halves; a save that the disk refuses is tried again at the next.
        Always leaves a run directory that can be resumed. Raises WriteError with one sentence if the disk refuses the last
        save too, RunBusy if another program writes this run.
        """
        if self.workers.first:
            self.store.claim()
        try:
            return self._fit(progress or Progress())
        finally:
            if self.descent.compiled is not None:
                self.descent.compiled = None
                torch.compiler.reset()
            self.store.release()
            memory.give_back()

    def _fit(self, progress: Progress) -> Outcome:
        threads.use_all()
        memory.reuse()
        if self.workers.first:
            self._put({"status": "training"})
        status, norm, last_check, last_save, made = "finished", math.nan, self.clock(), self.clock(), 0
        try:
            if self.live.step == 0:
                self._validate(progress)
            while self.live.fraction < 1 and not self.batches.counted:
                for x, y in self.batches.rest():
                    if not made:
                        self._try_half(x, y)
                    started, made = self.clock(), made + 1
                    loss, norm = self.step(x, y)
                    if not self._healthy(loss, norm):
                        if not self._go_back():
                            return self._end("diverged")
                        break
                    self.live.gradient_norm = norm
                    self._advance(len(x), loss, self.clock() - started)
                    progress.report(self.live.fraction, self._line())
                    progress.publish(self.live)
                    self.store.beat()
                    if self._agreed(progress.cancelled()):
                        return self._end("stopped", progress)
                    self._film()
                    self._obey(progress)
                    progress.pause_point(partial(self._obey, progress))
                    if self.live.fraction >= 1:
                        break
                    if made >= SETTLED:
                        self._try_compiled(x, y, progress)
                    if self.clock() - last_check > self.budget.pause(self._validation_seconds):
                        self._validate(progress, norm)
                        last_check = self.clock()
                    if self.clock() - last_save > self.config.autosave and self.workers.first:
                        self.save()
                        last_save = self.clock()
                else:
                    self.batches.turn()
                    if self.batches.counted:
                        self.live.fraction = 1.0
                    if self.clock() - last_check > max(3.0, 9 * self._validation_seconds) or self.config.epochs:
                        self._validate(progress, norm)
                        last_check = self.clock()
                    patience = self.config.patience
                    late = patience and self.live.epoch - self.best_epoch >= patience and not self.batches.counted
                    if self._agreed(bool(late)):
                        status = "early"
                        break
            self._validate(progress, norm)
            self._obey(progress)
        except Cancelled:    # in the middle of a validation, or after compiling
            return self._end("stopped", progress)
        except KeyboardInterrupt:
            self._end("stopped")
            raise
        return self._end(status)

    def _agreed(self, wanted: bool) -> bool:
        """What the first process wants; everybody's clock becomes its clock."""
        seconds, wanted = self.workers.agree(self.live.seconds, wanted)
        self.live.seconds = seconds
        if self.config.minutes and not self.batches.counted:
            self.live.fraction = self.budget.spent(seconds, self.live.epoch)
        return bool(wanted)

    def _part_ways(self) -> None:
        """Let what layers draw at random (dropout, orders) differ between processes, after they had the same weights."""
        if not self.workers.first:
            torch.manual_seed(self.config.seed + 1_000_003 * self.workers.rank + self.live.step)

    def step(self, x: Tensor, y: Tensor | None) -> tuple[float, float]:
        """One step on a batch of (B, C, H, W) levels and (B,) classes -> (nats per image, gradient norm)."""
        if not self.model.closed_form:
            self.live.learning_rate = self.learning_rate()
        part = self.descent.part
        try:
            found = self.descent.step(x, y, self.live.learning_rate, self.live.step)
        except Exception as error:
            if self.descent.compiled is None or memory.out_of_memory(error):
                raise
            self.descent.compiled = None
            self._note(f"The compiled step failed at step {self.live.step + 1}: steps are computed as written from here.")
            found = self.descent.step(x, y, self.live.learning_rate, self.live.step)
        if self.descent.part < part:
            self._note(
                f"Memory ran out at step {self.live.step + 1}: each batch is computed {self.descent.part} images at a time, "
                "with the same result."
            )
        return found

    def _try_half(self, x: Tensor, y: Tensor | None) -> None:
        """Compute with bfloat16 if that pays on this GPU, and say so."""
        able = offered(self.model.device, self.workers) and torch.cuda.is_bf16_supported() and not self.model.closed_form
        trial = try_half(self.descent, x, y) if able else None
        self.descent.half = trial is not None and trial.pays(HALF)
        if self.descent.half:
            self._note(trial.half_sentence())

    def _try_compiled(self, x: Tensor, y: Tensor | None, progress: Progress) -> None:
        """Compile the step, once, if enough of the budget is left at the measured pace, and use that if it pays."""
        images = len(self.batches.x)
        if self._tried or len(x) < min(self.config.batch, images):
            return
        self._tried = True
        live = self.live
        left = self.budget.total - live.seconds if self.config.minutes else (
            (self.budget.total - live.epoch) * images / live.images_per_second
        )
        if left < LONG or not offered(self.model.device, self.workers) or self.model.closed_form:
            return
        progress.report(live.fraction, "compiling the step, which takes a minute; until then it cannot stop")
        started = self.clock()
        try:
            found = try_compiled(self.descent, x, y, progress)
        finally:
            live.seconds += self.clock() - started    # of a person's time, as a budget of minutes is
        self.descent.compiled = found.loss if found.pays else None
        self._note(found.sentence())
        progress.publish(live)

    def learning_rate(self) -> float:
        """That of the next step: what the budget says, and less where the run diverged or another was asked for."""
        return self.rate_scale * self.budget.rate(self.live.step, self.live.fraction)

    def _advance(self, count: int, loss: float, seconds: float) -> None:
        live = self.live
        if live.images_per_second:    # Ctrl-Z, or a computer put to sleep, takes nothing from a budget of minutes
            seconds = min(seconds, max(ASLEEP[0], ASLEEP[1] * count / live.images_per_second))
        live.step += 1
        live.epoch = self.batches.epoch
        live.seconds += seconds
        live.step_seconds.append(live.seconds)
        live.step_nats.append(loss)
        live.fraction = self.budget.spent(live.seconds, live.epoch)
        rate = count / max(seconds, 1e-9)
        live.images_per_second = rate if live.step == 1 else 0.9 * live.images_per_second + 0.1 * rate
        self.recent = [*self.recent[-99:], loss]

    def _healthy(self, loss: float, norm: float) -> bool:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return False
        most = 3 * (self.live.uniform_nats or self.model.spec.sites * math.log(256))
        return not (self.live.step > 200 and np.mean(self.recent[-20:]) > most)

    def _go_back(self) -> bool:
        """To the last saved state, with a third of the learning rate; False if that was done often enough."""
        live, at = self.live, self.live.step + 1
        kept = live.seconds, live.best_nats, self.best_epoch, self.film_index
        path = self.run.path / "latest.safetensors"
        if self.recoveries >= RECOVERIES or self.model.closed_form or not path.exists():
            return False
        scale, count = self.rate_scale / 3, self.recoveries + 1
        unpack(self, path)
        self._part_ways()
        self.rate_scale, self.recoveries = scale, count
        live.seconds, live.best_nats, self.best_epoch, self.film_index = kept
        if self.config.minutes:
            live.fraction = self.budget.spent(live.seconds, live.epoch)
        self._note(
            f"Training diverged at step {at}: back to step {live.step}, and on with a learning rate of "
            f"{self.config.learning_rate * scale:.2g} ({count} of {RECOVERIES})."
        )
        return True

    def _line(self) -> str:
        live = self.live
        line = f"epoch {live.epoch:.1f} · {live.images_per_second:,.0f} images/s"
        if math.isinf(live.best_nats):
            return line
        return f"{line} · best {self.bits_per_dim(live.best_nats):.3f} bits/dim"

    def bits_per_dim(self, nats: float) -> float:
        """Nats of a whole image -> bits per dimension; of reals the bound on the levels they were made of."""
        return self.model.spec.bits_per_dim(nats, self.native)

    def change_rate(self, rate: float) -> None:
        """Go on with another highest learning rate; warm-up and decay stay as they are. From any thread, as the next two.

        Raises RunError for a rate that is no positive number.
        """
        if not 0 < rate < math.inf:
            raise RunError(f"A learning rate is a number above 0, not {rate:g}.")
        self._wishes.put(partial(self._change_rate, rate))

    def snapshot(self) -> None:
        """Keep the average of the weights as a model file in the run, with its validation figure."""
        self._wishes.put(self._snapshot)

    def share(self) -> None:
        """Put a copy of the average of the weights, and its card, into `live.shared`."""
        self._wishes.put(self._share)

    def _obey(self, progress: Progress) -> None:
        while not self._wishes.empty():
            self._wishes.get()(progress)

    def _change_rate(self, rate: float, progress: Progress) -> None:
        self.rate_scale = rate / self.config.learning_rate
        self._note(f"The learning rate was set to {rate:.3g} at step {self.live.step}.")
        progress.publish(self.live)

    def _snapshot(self, progress: Progress) -> None:
        live = self.live
        self._validate(progress, live.gradient_norm)
        card = self.card(live.points[-1].validation_nats)
        try:
            live.snapshots.append(self.run.save_snapshot(live.step, encode_model(card, named("weights", self.average))))
        except WriteError as error:
            self._note(str(error))
        progress.publish(live)

    def _share(self, progress: Progress) -> None:
        nats = self.live.points[-1].validation_nats if self.live.points else None
        self.live.shared = copy.deepcopy(self.average), self.card(nats)
        progress.publish(self.live)

    def _note(self, sentence: str) -> None:
        """Say what happened, here and in the record of the run."""
        self.live.notes.append(sentence)
        self.run.record["notes"] = [*self.run.record.get("notes", ()), sentence]
        if self.workers.first:
            self.store.beside(self.run.save_record)

    def _validate(self, progress: Progress, norm: float = math.nan) -> None:
        """Measure the average, and save where it has never been better: the first process for all."""
        if not self.workers.first:
            return
        if self.live.points and self.live.points[-1].step == self.live.step:
            return    # measured already, as at the start of a run that goes on
        started = self.clock()
        limit, split = self.config.validation_images, self.data.validation
        y = split.y[:limit] if self.batches.y is not None and split.y is not None else None
        quiet = Muted(progress) if self.workers.size == 1 else Progress()    # others wait in the next step: stop there
        figure = evaluate(self.average, split.x[:limit], y, progress=quiet, native=self.native, exact=False)
        raw = raw_nats(self.model, figure, split.x, y, quiet, self.native) if self.config.ema else math.nan
        live = self.live
        self._validation_seconds = self.clock() - started
        live.seconds += self._validation_seconds
        train = float(np.mean(self.recent)) if self.recent else math.nan
        point = Point(
            live.step, live.epoch, live.seconds, train, figure.nats, figure.bits_per_dim,
            self.learning_rate(), norm, live.images_per_second, raw,
        )
        if figure.site_nats is not None:
            live.loss_map = loss_map(figure.site_nats, self.model.spec, self.native)
            self.store.beside(partial(self.run.save_loss_map, live.loss_map))
        better = figure.nats < live.best_nats
        if better:
            live.best_nats, self.best_epoch = figure.nats, live.epoch
        live.points.append(point)
        self.run.points.append(point)
        if better:
            self._put(best=encode_model(self.card(), named("weights", self.average)), latest=pack(self))
        else:
            self._put()
        progress.publish(live)
        self._film()

    def _film(self) -> None:
        """Draw on the fixed seed when the next share of the budget is reached."""
        if self.draw is None or self.film_index >= len(FILM) or self.live.fraction < FILM[self.film_index]:
            return
        while self.film_index < len(FILM) and self.live.fraction >= FILM[self.film_index]:
            self.film_index += 1
        x = self.draw(self.average, self.config.samples, self.config.seed)
        self.live.film.append((self.live.seconds, x))
        self.store.beside(partial(self.run.save_samples, grid(x, self.model.spec, scale=2), self.live.step))

    def card(self, nats: float | None = None) -> ModelCard:
        """Card of the model as trained so far, with its best validation figure or the one that is given."""
        nats, live = self.live.best_nats if nats is None else nats, self.live
        command = self.run.record.get("command", "")
        return card_so_far(self.model, self.data, self.config, nats, epochs=live.epoch, seconds=live.seconds, command=command)

    def save(self) -> None:
        """Write latest.safetensors: weights, EMA, optimiser, RNG and the place in the epoch. Where the disk refuses, a note
        says so and the next save tries again."""
        if self.workers.first:
            self._put(latest=pack(self))

    def _put(self, record: dict[str, Any] | None = None, **files: bytes) -> bool:
        before = self.store.refused
        there = self.store.put(record, **files)
        if not there and before is None:
            self._note(f"{str(self.store.refused).rstrip('.')}; training goes on, and the next save tries again.")
        return there

    def load(self) -> None:
        """Continue from latest.safetensors.
        Raises RunError or ModelFileError when it is missing or damaged."""
        path = self.run.path / "latest.safetensors"
        if not path.exists():
            raise RunError(f"{self.run.path} has no latest.safetensors to resume from; start a new run.")
        unpack(self, path)
        self._part_ways()
        live = self.live
        live.points.extend(p for p in self.run.points if p.step <= live.step)
        self.run.points[:] = live.points
        if self.config.epochs:
            live.fraction = self.budget.spent(live.seconds, live.epoch)

    def extend(self, minutes: float = 0.0, epochs: float = 0.0) -> None:
        """Add to the budget of a resumed run, in its own unit. Raises RunError, see `Budget.extend`."""
        live = self.live
        self.budget.extend(live.seconds, live.epoch, minutes, epochs)
        live.fraction = self.budget.spent(live.seconds, live.epoch)
        self.film_index = min(self.film_index, len(FILM) - 1)

    def _end(self, status: str, progress: Progress | None = None) -> Outcome:
        live = self.live
        best = f"{live.best_nats:.2f} nats ({self.bits_per_dim(live.best_nats):.3f} bits/dim)"
        best += ", estimated" if self.model.slow_exact else ""
        best = "not measured yet" if math.isinf(live.best_nats) else best
        sentence = {
            "finished": f"Finished after {live.epoch:.1f} epochs; best validation {best}.",
            "early": f"Stopped early: no progress for {self.config.patience} epochs; best validation {best}.",
            "stopped": (
                f"Stopped at epoch {live.epoch:.1f}; best validation {best}. Resume whenever you like."
            ),
            "diverged": (
                f"Training diverged at step {live.step + 1}: the loss is no longer a sensible number. "
                f"The best weights ({best}) are kept; try a learning rate of "
                f"{self.config.learning_rate * self.rate_scale / 3:.2g} or a smaller clip."
            ),
        }[status]
        sentence = " ".join([sentence, *live.notes])    # what came of it first, where a line may be cut
        record = {
            "status": status, "ended": datetime.now(UTC).isoformat(timespec="seconds"), "best_nats": live.best_nats,
            "best_bits_per_dim": self.bits_per_dim(live.best_nats), "epochs_done": live.epoch, "seconds": live.seconds,
        }
        last = {} if status == "diverged" else {"latest": pack(self)}
        if self.workers.first and not self.store.put(record, **last):
            raise self.store.refused
        if progress is not None:
            progress.publish(live)
        return Outcome(status, sentence, live.best_nats)
