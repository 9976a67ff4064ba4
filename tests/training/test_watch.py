"""What a watcher sees of a training, and what it may ask: another learning rate, a snapshot, the weights of now."""

import math

import numpy as np
import pytest
import torch

from arstudio.models import load_model
from arstudio.progress import Progress
from arstudio.training.config import TrainConfig
from arstudio.training.evaluation import evaluate
from arstudio.training.runs import Remarks, Run, RunError
from arstudio.training.setup import DataView, new_trainer, resume_trainer

CONFIG = {"batch": 8, "warmup": 2, "learning_rate": 0.01, "epochs": 4}


@pytest.fixture
def trainer(stripes, tmp_path):
    view, settings = DataView(dataset=str(stripes)), {"hidden": 6}
    return new_trainer(tmp_path / "run", view, "nade", TrainConfig(**CONFIG), settings, device="cpu")


class Then(Progress):
    """Does something after so many steps."""

    def __init__(self, step, what, stop=False):
        self.left, self.what, self.stop = step, what, stop

    def report(self, fraction, text=""):
        self.left -= 1
        if self.left == 0:
            self.what()

    def cancelled(self):
        return self.stop and self.left <= -2


def test_the_loss_map_adds_up_to_the_validation_figure_and_is_kept(trainer):
    trainer.fit()
    live = trainer.live
    assert live.loss_map.shape == (5, 4)
    nats = live.points[-1].validation_nats
    assert live.loss_map.sum() == pytest.approx(nats / math.log(2), rel=1e-6)
    x, y = trainer.data.validation.x, torch.from_numpy(trainer.data.validation.y)
    with torch.no_grad():
        sites = -trainer.average.log_prob_sites(torch.from_numpy(x), y)
    np.testing.assert_allclose(live.loss_map, sites.mean(0)[0] / math.log(2), rtol=1e-5)
    np.testing.assert_array_equal(Run.open(trainer.run.path).loss_map(), live.loss_map)
    (trainer.run.path / "loss_map.npy").write_bytes(b"cut")
    assert Run.open(trainer.run.path).loss_map() is None


def test_the_weights_without_average_have_a_figure_of_their_own(trainer):
    trainer.fit()
    x, y = trainer.data.validation.x, trainer.data.validation.y
    assert trainer.live.points[-1].raw_nats == pytest.approx(evaluate(trainer.model, x, y).nats, rel=1e-6)
    assert trainer.live.points[-1].raw_nats != trainer.live.points[-1].validation_nats


def test_a_run_records_what_it_must_beat(trainer):
    found = Run.open(trainer.run.path).record["baselines"]
    assert found["uniform"] == pytest.approx(20 * math.log(2))
    assert set(found) == {"uniform", "histogram", "gzip", "PNG"}


def test_another_learning_rate_holds_from_the_next_step_on_and_after_a_resume(trainer):
    trainer.fit(Then(3, lambda: trainer.change_rate(0.1), stop=True))
    expected = trainer.learning_rate()
    assert expected > 0.05
    assert trainer.live.notes == ["The learning rate was set to 0.1 at step 3."]
    again = resume_trainer(trainer.run.path, device="cpu")
    assert again.learning_rate() == pytest.approx(expected)
    assert again.run.record["notes"] == trainer.live.notes


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
def test_a_learning_rate_that_makes_no_sense_is_refused_at_once(trainer, rate):
    with pytest.raises(RunError, match=r"A learning rate is a number above 0, not .*\."):
        trainer.change_rate(rate)


def test_a_snapshot_is_a_model_file_with_the_figure_of_that_moment(trainer):
    trainer.fit(Then(4, trainer.snapshot))
    path, = trainer.live.snapshots
    assert path == trainer.run.path / "snapshots" / "0000004.safetensors"
    model, card = load_model(path)
    point = next(p for p in trainer.live.points if p.step == 4)
    assert card.facts.nats == point.validation_nats
    found = evaluate(model, trainer.data.validation.x, trainer.data.validation.y)
    assert found.nats == pytest.approx(point.validation_nats, rel=1e-6)


def test_shared_weights_are_a_copy_of_the_average_that_training_leaves_alone(trainer):
    trainer.fit(Then(4, trainer.share))
    model, card = trainer.live.shared
    assert card.facts.nats is not None
    for shared, mean in zip(model.parameters(), trainer.average.parameters(), strict=True):
        assert not torch.equal(shared, mean)


def test_wishes_are_heeded_while_paused(trainer):
    class Paused(Progress):
        seen = 0

        def pause_point(self, meanwhile=None):
            if not self.seen:
                trainer.snapshot()
                meanwhile()
                Paused.seen = len(trainer.live.snapshots)

    trainer.fit(Paused())
    assert Paused.seen == 1


def test_remarks_survive_and_the_trainer_does_not_touch_them(trainer):
    run = Run.open(trainer.run.path)
    assert run.remarks() == Remarks()
    run.save_remarks(Remarks("wider than «before»", ("digits", "für Zoë")))
    trainer.fit()
    assert Run.open(run.path).remarks() == Remarks("wider than «before»", ("digits", "für Zoë"))
    (run.path / "remarks.json").write_text("[]")
    assert run.remarks() == Remarks()
