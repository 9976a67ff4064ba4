"""The training loop learns what there is to learn, stops and goes on without a trace,
and never loses good weights."""

import errno
import json
import math
import os
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from arstudio.data import DatasetInfo, ImageDataset, Split
from arstudio.image import ImageSpec
from arstudio.models import create, load_model
from arstudio.models.modelfile import WriteError
from arstudio.progress import Progress
from arstudio.sampling import SampleSettings, sample
from arstudio.training.config import TrainConfig
from arstudio.training.evaluation import evaluate
from arstudio.training.loop import FILM, Trainer
from arstudio.training.record import start_run
from arstudio.training.runs import Run, RunError
from arstudio.training.setup import DataView, new_trainer, resume_trainer

FAST = {"batch": 8, "warmup": 2, "learning_rate": 0.01}


class At(Progress):
    """Does something after a number of steps: cancel, raise, or call a function with the trainer."""

    def __init__(self, step, what="cancel"):
        self.at, self.what, self.step, self.reports = step, what, 0, []

    def report(self, fraction, text=""):
        self.step += 1
        self.reports.append((fraction, text))
        if self.step == self.at and callable(self.what):
            self.what()

    def cancelled(self):
        return self.what == "cancel" and self.step >= self.at


@pytest.fixture
def begin(stripes, tmp_path):
    """A function that makes a trainer of a tiny model in a new run directory."""

    def make(name="run", model="nade", settings=None, classes=True, draw=None, **config):
        config = TrainConfig(**{**FAST, "epochs": 3, **config})
        settings = {"hidden": 6} if model == "nade" and settings is None else settings
        view = DataView(dataset=str(stripes))
        return new_trainer(
            tmp_path / name, view, model, config, settings,
            classes=classes, device="cpu", draw=draw, command="arstudio …",
        )

    return make


resume = partial(resume_trainer, device="cpu")


def tensors(run, name="latest"):
    return load_file(run.path / f"{name}.safetensors")


def files(path):
    """Every file of a run and its bytes."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def memory(count, classes):
    """A dataset of `count` different images, the same in every split,
    each a class of its own if `classes`."""
    spec, rng = ImageSpec(1, 3, 3, 4), np.random.default_rng(3)
    split = Split(rng.integers(0, 4, (count, *spec.shape)).astype(np.uint8), np.arange(count))
    info = DatasetInfo("four", "Four", spec, {"train": count}, tuple("abcd") if classes else ())
    return ImageDataset(info, spec, {"train": split, "validation": split, "test": split}, "native 4 levels")


NETS = [
    ("fvsbn", {"inputs": "one_hot"}), ("nade", {"hidden": 16}),
    ("pixelcnn", {"channels": 16, "blocks": 2, "head": 16}),
    ("gated_pixelcnn", {"channels": 12, "dilations": (1, 1), "head": 16}),
]


BY_CLASS = [(*net, True) for net in NETS] + [(*net, False) for net in NETS[1:4:2]]


@pytest.mark.parametrize(("name", "settings", "classes"), BY_CLASS)
def test_four_images_are_learnt_by_heart(name, settings, classes, tmp_path, monkeypatch):
    """Told which of four images is meant nothing is left to guess;
    not told, log 4 nats are, and no model can do better."""
    monkeypatch.setattr(os, "fsync", lambda _: None)    # a hundred validations, each saved
    data = memory(4, classes)
    torch.manual_seed(0)
    if classes:
        settings = settings | {"class_dropout": 0}
    model = create(name, data.spec, 4 if classes else 0, **settings)
    config = TrainConfig(epochs=100, batch=4, learning_rate=0.07, warmup=5, ema=0.5, clip=5)
    outcome = Trainer(model, data, config, start_run(tmp_path / "run", model, data, config)).fit()
    assert outcome.status == "finished"
    least = 0 if classes else math.log(4)
    assert least <= outcome.best_nats < least + 0.1
    best, _ = load_model(tmp_path / "run")
    drawn = sample(best, 4, SampleSettings(seed=0), torch.arange(4) if classes else None).images()
    known = {image.tobytes() for image in data.validation.x.astype(np.int16)}
    assert {image.tobytes() for image in drawn} <= known
    if classes:
        assert np.array_equal(drawn, data.validation.x)


STEPS = 12    # 4 epochs of 22 images in batches of 8


@pytest.mark.parametrize("stops", [[1], [2], [3], [4, 3, 1], [11], [6, 1, 1]], ids=str)
def test_a_run_that_was_stopped_and_resumed_is_the_same_run_bit_for_bit(begin, stops):
    settings = {"channels": 4, "dilations": (1, 1), "head": 4, "dropout": 0.3, "class_dropout": 0.3}
    kind = {"model": "gated_pixelcnn", "settings": settings, "epochs": 4}
    whole = begin("whole", **kind)
    assert whole.fit().status == "finished"
    assert whole.live.step == STEPS
    trainer = begin("parts", **kind)
    for stop in stops:
        assert trainer.fit(At(stop)).status == "stopped"
        torch.rand(17)    # somebody else uses the generator meanwhile
        trainer = resume(trainer.run.path)
    assert trainer.live.step == sum(stops)
    assert trainer.fit().status == "finished"
    for name in ("latest", "best"):
        one, other = tensors(whole.run, name), tensors(trainer.run, name)
        assert one.keys() == other.keys()
        for key in one:
            assert torch.equal(one[key], other[key]), key
    figures = ("step", "epoch", "train_nats", "validation_nats", "learning_rate")
    rows = [[[getattr(p, f) for f in figures] for p in Run.open(t.run.path).points] for t in (whole, trainer)]
    assert repr(rows[0]) == repr(rows[1])
    assert len(rows[0]) == 5


def test_another_seed_is_another_run(begin):
    first, again, other = (begin(f"run{i}", seed=seed) for i, seed in enumerate((1, 1, 2)))
    for trainer in (first, again, other):
        trainer.fit()
    a, b, c = (tensors(t.run)["weights.V"] for t in (first, again, other))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_dropout_is_on_in_training_and_off_in_validation(begin):
    settings = {"channels": 4, "dilations": "1,1", "head": 4, "dropout": 0.5}
    trainer, seen = begin(model="gated_pixelcnn", settings=settings), []
    for name in ("model", "average"):
        head = getattr(trainer, name).head
        head.register_forward_pre_hook(lambda module, _, name=name: seen.append((name, module.training)))
    trainer.fit(At(4))
    assert set(seen) == {("model", True), ("model", False), ("average", False)}    # the model is measured, too
    assert seen.count(("model", True)) == 4


def test_stopping_leaves_a_run_that_says_so(begin):
    trainer = begin()
    outcome = trainer.fit(At(2))
    assert outcome.status == "stopped"
    assert outcome.sentence.startswith("Stopped at epoch 0.7; best validation ")
    assert outcome.sentence.endswith("Resume whenever you like.")
    run = Run.open(trainer.run.path)
    assert run.record["status"] == "stopped"
    assert set(files(run.path)) == {"run.json", "metrics.csv", "latest.safetensors", "best.safetensors", "loss_map.npy"}
    assert resume(run.path).live.step == 2


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", [1, 3, 5])
def test_ctrl_c_at_a_step_leaves_a_run_that_goes_on(begin, step):
    trainer = begin()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(At(step, interrupt))
    again = resume(trainer.run.path)
    assert again.live.step == step
    assert again.fit().status == "finished"
    assert again.live.epoch == 3


@pytest.mark.parametrize("call", [1, 2, 3])
def test_ctrl_c_during_validation_leaves_a_run_that_goes_on(begin, monkeypatch, call):
    trainer, calls = begin(), []

    def sometimes(*args, **more):
        calls.append(1)
        return interrupt() if len(calls) == call else evaluate(*args, **more)

    monkeypatch.setattr("arstudio.training.loop.evaluate", sometimes)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert Run.open(trainer.run.path).record["status"] == "stopped"
    again = resume(trainer.run.path)
    assert again.fit().status == "finished"
    assert math.isfinite(again.live.best_nats)


class From(At):
    """Does something after every step from a number on."""

    def report(self, fraction, text=""):
        super().report(fraction, text)
        if self.step > self.at:
            self.what()


def spoil(trainer, value):
    """Put `value` into a weight."""
    with torch.no_grad():
        trainer.model.V[0, 0, 0] = value


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_sends_the_run_back_and_on_with_a_smaller_step(begin, value):
    trainer = begin(epochs=20)
    outcome = trainer.fit(At(8, lambda: spoil(trainer, value)))
    assert outcome.status == "finished"
    assert trainer.live.notes == [
        "Training diverged at step 9: back to step 6, and on with a learning rate of 0.0033 (1 of 3)."
    ]
    assert outcome.sentence.endswith(trainer.live.notes[-1])
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    assert trainer.rate_scale == pytest.approx(1 / 3)
    assert trainer.live.epoch == pytest.approx(20)
    again = resume(trainer.run.path, epochs=1)
    assert again.rate_scale == pytest.approx(1 / 3), "it is remembered"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_stays_no_number_ends_the_run_and_the_best_weights_are_kept(begin, value):
    trainer = begin(epochs=20)
    outcome = trainer.fit(From(7, lambda: spoil(trainer, value)))
    assert outcome.status == "diverged"
    assert len(trainer.live.notes) == 3
    assert "the loss is no longer a sensible number." in outcome.sentence
    assert "try a learning rate of 0.00012 or a smaller clip." in outcome.sentence
    assert Run.open(trainer.run.path).record["status"] == "diverged"
    best, card = load_model(trainer.run.path)
    assert all(torch.isfinite(p).all() for p in best.parameters())
    assert card.facts.nats == outcome.best_nats
    assert all(torch.isfinite(p).all() for p in trainer.average.parameters())
    assert math.isfinite(outcome.best_nats)


def test_three_pictures_are_enough_to_train_on(tmp_path):
    (tmp_path / "three").mkdir()
    for i in range(3):
        Image.fromarray(np.full((6, 6), 80 * i, np.uint8)).save(tmp_path / "three" / f"{i}.png")
    view = DataView(dataset=str(tmp_path / "three"), levels=4)
    trainer = new_trainer(tmp_path / "run", view, "fvsbn", TrainConfig(epochs=3), device="cpu")
    assert trainer.fit().status == "finished"
    assert load_model(tmp_path / "run" / "best.safetensors")[1].facts.images == 1


@pytest.mark.parametrize("sign", [MemoryError("no"), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_where_memory_runs_out_a_batch_is_computed_in_parts_with_the_same_result(begin, sign, monkeypatch):
    whole = begin("whole", epochs=2)
    whole.fit()
    trainer = begin("parts", epochs=2)
    loss, seen = trainer.model.loss, []

    def greedy(x, y=None):
        if len(x) > 3:
            raise sign
        seen.append(len(x))
        return loss(x, y)

    monkeypatch.setattr(trainer.model, "loss", greedy)
    outcome = trainer.fit()
    assert outcome.status == "finished"
    assert max(seen) <= 2
    assert len(trainer.live.notes) == 1
    assert "each batch is computed 2 images at a time, with the same result" in outcome.sentence
    for a, b in zip(whole.model.parameters(), trainer.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-4)


def test_another_error_in_a_step_is_not_taken_for_a_lack_of_memory(begin, monkeypatch):
    trainer = begin()

    def broken(x, y=None):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(trainer.model, "loss", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        trainer.fit()


def test_a_loss_far_above_uniform_ends_the_run(begin):
    outcome = begin(epochs=400, learning_rate=1e4, clip=0, ema=0).fit()
    assert outcome.status == "diverged"
    assert "best weights" in outcome.sentence
    assert math.isfinite(outcome.best_nats)


def test_a_full_disk_while_saving_leaves_the_old_files_whole(begin, monkeypatch):
    trainer = begin(epochs=2)
    assert trainer.fit().status == "finished"
    path = trainer.run.path
    before = files(path)
    assert {"latest.safetensors", "best.safetensors", "metrics.csv", "run.json"} <= set(before)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill_disk():
        monkeypatch.setattr(os, "fsync", full)

    trainer = resume(path, epochs=2)
    with pytest.raises(WriteError, match=r"not be written \(No space left on device\); .* unchanged\.$"):
        trainer.fit(At(1, fill_disk))
    after = files(path)
    assert json.loads(after.pop("run.json"))["status"] == "training"
    before.pop("run.json")
    assert after == before
    monkeypatch.undo()
    assert resume(path, epochs=2).fit().status == "finished"


def test_metrics_and_record_read_back_as_they_were(begin):
    trainer = begin()
    trainer.fit()
    run = Run.open(trainer.run.path)
    assert repr(run.points) == repr(trainer.live.points)
    assert [p.step for p in run.points] == [0, 3, 6, 9]
    assert [p.epoch for p in run.points] == [0, 1, 2, 3]
    spec = trainer.model.spec
    assert all(p.validation_bits_per_dim == spec.bits_per_dim(p.validation_nats) for p in run.points)
    assert run.record["status"] == "finished"
    assert run.record["best_nats"] == min(p.validation_nats for p in run.points)
    assert TrainConfig(**run.record["training"]) == trainer.config
    assert run.record["parameters"] == trainer.model.num_parameters
    assert run.record["protocol"] == trainer.data.protocol
    assert run.record["command"] == "arstudio …"


def test_the_best_file_holds_the_averaged_weights_and_their_figure(begin, data):
    trainer = begin(ema=0.9, epochs=4)
    outcome = trainer.fit()
    last = tensors(trainer.run)
    best, card = load_model(trainer.run.path / "best.safetensors")
    assert outcome.best_nats == trainer.live.points[-1].validation_nats, "the last weights are not the best"
    for name, value in best.state_dict().items():
        assert torch.equal(value, last[f"ema.{name}"])
    assert not torch.equal(last["ema.V"], last["weights.V"])
    figure = evaluate(best, data.validation.x, data.validation.y)
    assert card.facts.nats == outcome.best_nats == pytest.approx(figure.nats, abs=1e-9)
    assert card.facts.images == figure.images == 10
    assert card.class_names == ("upright", "lying")
    assert (card.facts.split, card.facts.dataset) == ("validation", "stripes")


def test_the_average_follows_its_formula(begin):
    trainer = begin(ema=0.5)
    x, y = next(trainer.batches.rest())
    for step in range(9):
        before = trainer.average.V.clone()
        trainer.step(x, y)
        trainer.live.step += 1
        decay = min(0.5, (1 + step) / (10 + step))
        torch.testing.assert_close(trainer.average.V, decay * before + (1 - decay) * trainer.model.V.detach())


def test_no_progress_for_patience_epochs_ends_the_run(begin):
    trainer = begin(epochs=50, learning_rate=1e-300, patience=3)
    outcome = trainer.fit()
    assert outcome.status == "early"
    assert outcome.sentence.startswith("Stopped early: no progress for 3 epochs; best validation ")
    assert [p.epoch for p in trainer.live.points] == [0, 1, 2, 3]
    assert (trainer.run.path / "latest.safetensors").exists()


def test_a_budget_of_minutes_is_kept(begin):
    trainer = begin(epochs=0, minutes=0.003)
    progress = At(10**9)
    assert trainer.fit(progress).status == "finished"
    assert trainer.live.seconds >= 0.18
    assert trainer.live.step >= 1
    fractions = [fraction for fraction, _ in progress.reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_time_asleep_takes_nothing_from_the_budget(begin, monkeypatch):
    now, trainer = [0.0], begin(epochs=0, minutes=1, validation_images=1)
    step = trainer.step

    def slow(x, y):
        now[0] += 3600.0 if trainer.live.step == 3 else 1.0    # Ctrl-Z, or a closed lid
        return step(x, y)

    monkeypatch.setattr(trainer, "step", slow)
    trainer.clock = lambda: now[0]
    trainer.fit()
    assert trainer.live.step == 60 - 20 + 1


def test_a_run_without_improvements_saves_by_time(begin, monkeypatch):
    now, saved, trainer = [0.0], [], begin(epochs=0, minutes=1, learning_rate=1e-300, autosave=5.0)
    step, put = trainer.step, trainer.store.put

    def second(x, y):
        now[0] += 1.0
        return step(x, y)

    def note(record=None, **files):
        saved.extend([now[0]] if files else [])
        return put(record, **files)

    monkeypatch.setattr(trainer, "step", second)
    monkeypatch.setattr(trainer.store, "put", note)
    trainer.clock = lambda: now[0]
    trainer.fit()
    assert saved[-1] == 60
    assert max(np.diff(saved)) <= 6, "no more than one autosave interval and a step is ever at risk"


def test_a_finished_run_can_be_given_more_time_in_its_own_unit(begin):
    trainer = begin()
    trainer.fit()
    path = trainer.run.path
    with pytest.raises(RunError, match=r"spent its budget; say how much longer with --minutes or --epochs\."):
        resume(path)
    with pytest.raises(RunError, match=r"This run counts its budget in epochs; extend it with --epochs\."):
        resume(path, minutes=1)
    longer = resume(path, epochs=1.5)
    assert longer.fit().status == "finished"
    assert 4.5 <= longer.live.epoch < 4.5 + 8 / 22
    assert [p.step for p in Run.open(path).points] == [0, 3, 6, 9, 12, 14]


def test_samples_are_drawn_from_the_average_at_their_shares_of_the_budget(begin):
    calls = []

    def draw(model, count, seed):
        calls.append((model, count, seed))
        return np.zeros((count, *model.spec.shape), np.int16)

    trainer = begin(epochs=20, samples=5, seed=7, draw=draw)
    trainer.fit()
    assert len(calls) == len(trainer.live.film) == len(FILM)
    assert all(call == (trainer.average, 5, 7) for call in calls)
    sheets = sorted((trainer.run.path / "samples").glob("*.png"))
    assert len(sheets) == len(FILM)
    assert [int(sheet.stem) for sheet in sheets] == sorted(int(sheet.stem) for sheet in sheets)
    with Image.open(sheets[-1]) as picture:
        assert picture.size == (3 * (2 * 4 + 1) + 1, 2 * (2 * 5 + 1) + 1)


def test_what_a_watcher_reads_grows_with_the_steps(begin):
    trainer, published = begin(), []
    progress = At(10**9)
    progress.publish = lambda live: published.append(live.step)
    trainer.fit(progress)
    live = trainer.live
    assert len(live.step_nats) == len(live.step_seconds) == live.step == 9
    assert live.step_seconds == sorted(live.step_seconds)
    assert live.uniform_nats == pytest.approx(20 * math.log(2))
    assert live.step_nats[0] == pytest.approx(live.uniform_nats, rel=0.05)
    assert set(published) == set(range(10))
    assert live.eta == 0
    assert "bits/dim" in progress.reports[-1][1]


def test_a_stop_during_validation_is_answered_at_once(tmp_path, monkeypatch):
    from arstudio.training import loop

    seen = []

    def slow(model, x, y=None, *, batch=64, progress=None, native=0, exact=True):
        progress.check()
        seen.append(len(x))
        stop.wanted = True
        progress.check()
        raise AssertionError("the validation went on")

    class Stop(Progress):
        wanted = False

        def cancelled(self):
            return self.wanted

    stop = Stop()
    monkeypatch.setattr(loop, "evaluate", slow)
    trainer = new_trainer(tmp_path / "run", DataView(dataset="digits"), "fvsbn", TrainConfig(epochs=1))
    outcome = trainer.fit(stop)
    assert outcome.status == "stopped"
    assert len(seen) == 1
    assert (tmp_path / "run" / "latest.safetensors").exists()
