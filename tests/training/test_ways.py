"""Other ways to compute a step are taken only where they were measured to pay. All but the choice of CUDA runs on a CPU."""

import dataclasses
import math
import shutil
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from arstudio.image import ImageSpec
from arstudio.models import create
from arstudio.progress import Cancelled, Progress
from arstudio.training import loop, ways
from arstudio.training.config import TrainConfig
from arstudio.training.descent import Descent
from arstudio.training.setup import DataView, new_trainer, resume_trainer
from arstudio.training.ways import COMPILED, HALF, Compilation, Trial, try_compiled, try_half

SPEC = ImageSpec(1, 6, 6, 4)
GOOD = Trial(seconds=0.2, other_seconds=0.1, nats=50.0, other_nats=50.01, difference=0.005)


@pytest.fixture
def batch():
    return torch.randint(0, 4, (8, *SPEC.shape), generator=torch.Generator().manual_seed(0))


def descent(model, **settings):
    torch.manual_seed(0)
    return Descent(create(model, SPEC, **settings), TrainConfig(epochs=1))


@pytest.mark.parametrize("limits", [HALF, COMPILED], ids=["half", "compiled"])
def test_it_pays_where_it_is_faster_and_alike(limits):
    assert GOOD.pays(limits)
    assert "2.0 times faster, the loss of the first batch differs by 0.02%" in GOOD.half_sentence()


@pytest.mark.parametrize("limits", [HALF, COMPILED], ids=["half", "compiled"])
@pytest.mark.parametrize("worse", [
    {"other_seconds": 0.19}, {"other_nats": 52.0}, {"other_nats": math.nan}, {"difference": 0.2}, {"difference": math.nan},
], ids=["slow", "loss", "no loss", "gradient", "no gradient"])
def test_otherwise_it_does_not(worse, limits):
    assert not dataclasses.replace(GOOD, **worse).pays(limits)


@pytest.mark.parametrize(("model", "settings"), [
    ("gated_pixelcnn", {"channels": 8, "head": 8, "dilations": (1, 2)}),
    ("pixelcnn", {"channels": 8, "blocks": 1}), ("made", {"hidden": 16}), ("nade", {"hidden": 8}),
])
def test_both_ways_give_nearly_the_same_and_leave_everything_as_it_was(model, settings, batch):
    way = descent(model, **settings)
    weights = [p.detach().clone() for p in way.model.parameters()]
    state = torch.get_rng_state()
    trial = try_half(way, batch, None)
    assert 0 < abs(trial.other_nats - trial.nats) < 0.01 * trial.nats, "bfloat16 was used, and is close"
    assert trial.alike(HALF)
    assert min(trial.seconds, trial.other_seconds) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert not way.half
    for p, before in zip(way.model.parameters(), weights, strict=True):
        assert torch.equal(p, before)
        assert p.grad is None


def test_a_model_that_cannot_stays_with_float32(batch, monkeypatch):
    way = descent("made", hidden=16)
    loss = way.model.loss

    def narrow(x, y=None):
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("expected m1 and m2 to have the same dtype")
        return loss(x, y)

    monkeypatch.setattr(way.model, "loss", narrow)
    assert try_half(way, batch, None) is None
    assert not way.half


def test_half_learns_too(batch):
    way = descent("gated_pixelcnn", channels=8, head=8, dilations=(1, 2))
    way.half = True
    nats = [way.step(batch, None, 2e-2, number)[0] for number in range(40)]
    assert nats[-1] < 0.9 * nats[0]
    assert all(p.dtype == torch.float32 for p in way.model.parameters())


# torch.compile: the graphs and gradients of "aot_eager" are those of CUDA's compiler, which only writes other kernels

EAGER = partial(try_compiled, backend="aot_eager")


class Stopping(Progress):
    """Is cancelled once something was reported that contains a word."""

    def __init__(self, word):
        self.word, self.said = word, []

    def report(self, fraction, text=""):
        self.said.append(text)

    def cancelled(self):
        return any(self.word in text for text in self.said)


class Cancelling(Progress):
    """Is cancelled from the start."""

    def cancelled(self):
        return True


@pytest.mark.parametrize(("model", "settings"), [
    ("gated_pixelcnn", {"channels": 8, "head": 8, "dilations": (1, 2)}),
    ("pixelcnn", {"channels": 8, "blocks": 1, "dropout": 0.5}), ("eonade", {"hidden": 8}),
    ("pixelcnn_pp", {"channels": 4, "blocks": 1, "scales": 1}), ("imagegpt", {"width": 8, "layers": 1, "heads": 1}),
])
def test_the_compiled_loss_is_the_loss_with_the_same_random_numbers(model, settings, batch):
    way = descent(model, **settings)
    way.model.train()
    weights, names = [p.detach().clone() for p in way.model.parameters()], set(vars(way.model))
    state = torch.get_rng_state()
    found = EAGER(way, batch, None, Progress())
    assert found.trouble == ""
    assert found.trial.alike(COMPILED), found.sentence()
    assert found.took > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert way.compiled is None
    assert set(vars(way.model)) == names
    for p, before in zip(way.model.parameters(), weights, strict=True):
        assert torch.equal(p, before)
        assert p.grad is None


def test_a_shorter_batch_waits_for_no_compiler(batch):
    way = descent("made", hidden=16)
    graphs, calls = [], []

    def count(graph, _):
        graphs.append(graph)
        return lambda *given: calls.append(1) or graph(*given)

    found = try_compiled(way, batch, None, Progress(), backend=count)
    way.compiled = found.loss
    way.step(batch, None, 1e-3, 0)
    assert len(graphs) == 1
    assert len(calls) == 5, "once to compile it, three times to measure it, and in the step"
    nats = way.gradients(batch[:5], None)
    way.compiled = None
    assert nats == pytest.approx(way.gradients(batch[:5], None))
    assert len(graphs) == 1
    assert len(calls) == 5


def test_a_compiler_that_raises_is_named_and_not_used(batch):
    def missing(graph, inputs):
        raise RuntimeError("no working C++ compiler\nmore lines")

    way = descent("made", hidden=16)
    found = try_compiled(way, batch, None, Progress(), backend=missing)
    assert not found.pays
    assert "is not used: it cannot compile this model here (" in found.sentence()
    assert "no working C++ compiler" in found.sentence()
    assert "more lines" not in found.sentence()
    assert way.compiled is None


def test_a_model_that_breaks_the_graph_is_left(batch, monkeypatch):
    way = descent("made", hidden=16)
    loss = way.model.loss
    monkeypatch.setattr(way.model, "loss", lambda x, y=None: loss(x, y) * (1 if float(x.float().mean()) > 0 else 2))
    found = EAGER(way, batch, None, Progress())
    assert found.trial is None
    assert "cannot compile this model here" in found.sentence()


@pytest.mark.parametrize("wrong", [
    lambda loss, x: loss * 1.01,                              # another loss, and a gradient of another length
    lambda loss, x: loss.detach() + 0.9 * (loss - loss.detach()),    # the right loss, a gradient that is too short
    lambda loss, x: loss + (loss - loss.detach()).roll(1) * x.float().flatten(1).mean(1),    # one that points elsewhere
    lambda loss, x: loss * math.nan,
], ids=["loss", "length", "direction", "nan"])
def test_a_compiler_that_computes_something_else_is_not_used(batch, wrong):
    def broken(graph, inputs):
        return lambda *given: (wrong(graph(*given)[0], batch),)

    found = try_compiled(descent("made", hidden=16), batch, None, Progress(), backend=broken)
    assert not found.pays
    assert "it does not compute the same." in found.sentence()


def test_compiling_says_when_it_is_won_back_and_when_it_is_not_worth_it():
    found = Compilation(None, 40.0, GOOD, COMPILED)
    assert found.pays
    assert found.sentence() == "Steps are compiled: 2.0 times faster, which wins back the 40 s of compiling within 80 s."
    slow = dataclasses.replace(found, trial=dataclasses.replace(GOOD, other_seconds=0.19))
    assert slow.sentence() == "torch.compile was tried for 40 s and is not used: a step would be 1.05 times faster."


@pytest.fixture
def gpu(monkeypatch):
    """A CPU that is asked like a GPU, long budgets, and a compiler that always pays if it computes the same."""
    monkeypatch.setattr(loop, "offered", lambda *_: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(loop, "LONG", 0.0)
    monkeypatch.setattr(loop, "try_compiled", EAGER)
    monkeypatch.setattr(ways, "COMPILED", dataclasses.replace(COMPILED, faster=0.0))


def trainer(path, model="made", **config):
    torch.manual_seed(0)
    config = TrainConfig(**{"epochs": 1.0, "batch": 64, "warmup": 1} | config)
    return new_trainer(path / "run", DataView(dataset="digits"), model, config, {"hidden": 16}, device="cpu")


def test_a_run_with_compiled_steps_is_the_run_without(tmp_path, gpu, monkeypatch):
    plain, compiled = trainer(tmp_path / "a"), trainer(tmp_path / "b")
    used = []
    step = compiled.descent.step
    monkeypatch.setattr(compiled.descent, "step", lambda *given: used.append(compiled.descent.compiled) or step(*given))
    with monkeypatch.context() as patched:
        patched.setattr(loop, "offered", lambda *_: False)
        plain.fit()
    outcome = compiled.fit()
    assert used[:loop.SETTLED] == [None] * loop.SETTLED
    assert None not in used[loop.SETTLED:]
    assert "Steps are compiled" in outcome.sentence
    assert compiled.run.record["notes"] == compiled.live.notes
    assert outcome.best_nats == pytest.approx(plain.live.best_nats, rel=1e-6)
    for name in ("latest", "best"):
        files = [t.run.path / f"{name}.safetensors" for t in (plain, compiled)]
        one, two = (load_file(file) for file in files)
        assert one.keys() == two.keys()
        assert all(torch.allclose(one[key].float(), two[key].float(), atol=1e-5) for key in one if "weights" in key)
        assert not any(b"_orig_mod" in file.read_bytes() for file in files)
    assert compiled.descent.compiled is None
    again = resume_trainer(compiled.run.path, epochs=0.5, device="cpu")
    assert again.fit().status == "finished"


def test_a_short_budget_is_never_spent_on_compiling(tmp_path, gpu, monkeypatch):
    monkeypatch.setattr(loop, "try_compiled", lambda *_: pytest.fail("it was compiled"))
    monkeypatch.setattr(loop, "LONG", 60.0)
    assert trainer(tmp_path / "epochs").fit().status == "finished"
    assert trainer(tmp_path / "minutes", epochs=0.0, minutes=0.01).fit().status == "finished"


def test_a_stop_while_compiling_is_taken_up_when_it_is_over_and_can_be_resumed(tmp_path, gpu):
    training, progress = trainer(tmp_path), Stopping("compiling the step")
    outcome = training.fit(progress)
    assert outcome.status == "stopped"
    assert training.live.step == loop.SETTLED
    assert training.batches.position == 64 * loop.SETTLED
    assert training.live.notes == []
    assert resume_trainer(training.run.path, device="cpu").fit().status == "finished"


def test_cancelling_is_heard_before_anything_is_measured(batch, monkeypatch):
    monkeypatch.setattr(ways, "_measure", lambda *_, **__: pytest.fail("it was measured"))
    with pytest.raises(Cancelled):
        EAGER(descent("made", hidden=16), batch, None, Cancelling())


def test_a_compiled_step_that_fails_later_is_computed_as_written(tmp_path, gpu, monkeypatch):
    training = trainer(tmp_path)
    calls = []

    def fails(descent, x, y, progress):
        found = EAGER(descent, x, y, progress)

        def loss(x, y):
            calls.append(len(x))
            if len(calls) > 3:
                raise RuntimeError("a kernel failed")
            return found.loss(x, y)

        return dataclasses.replace(found, loss=loss)

    monkeypatch.setattr(loop, "try_compiled", fails)
    outcome = training.fit()
    assert outcome.status == "finished"
    assert len(calls) == 4
    assert f"The compiled step failed at step {loop.SETTLED + 4}: steps are computed as written from here." in outcome.sentence


def test_memory_that_runs_out_in_a_compiled_step_halves_the_batch(tmp_path, gpu, monkeypatch):
    training = trainer(tmp_path)

    def full(descent, x, y, progress):
        found = EAGER(descent, x, y, progress)

        def loss(x, y):
            if len(x) > 32:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return found.loss(x, y)

        return dataclasses.replace(found, loss=loss)

    monkeypatch.setattr(loop, "try_compiled", full)
    outcome = training.fit()
    assert outcome.status == "finished"
    assert "each batch is computed 32 images at a time" in outcome.sentence
    assert "failed" not in outcome.sentence


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch's compiler for CPUs wants a C++ compiler")
def test_kernels_of_the_real_compiler_compute_the_same(batch):
    way = descent("pixelcnn", channels=8, blocks=1, dropout=0.5)
    way.model.train()
    found = try_compiled(way, batch, None, Progress())
    assert found.trial.alike(COMPILED), found.sentence()


def test_a_cpu_is_never_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "try_half", lambda *_: pytest.fail("a CPU was asked"))
    monkeypatch.setattr(loop, "try_compiled", lambda *_: pytest.fail("a CPU was asked"))
    monkeypatch.setattr(loop, "LONG", 0.0)
    view, config = DataView(dataset="digits"), TrainConfig(epochs=0.05)
    trainer = new_trainer(tmp_path / "run", view, "fvsbn", config, device="cpu")
    assert trainer.fit().status == "finished"
    assert not trainer.descent.half
