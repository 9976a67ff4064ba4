"""For GUI tests: offscreen Qt, collection on the GUI thread only, settings of their own, nothing left behind."""

import gc
import os
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_collection_in_threads():
    """Python's cyclic collector may destroy QObjects in whichever thread it runs; here it runs between tests only."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def settings(tmp_path, qapp):
    """Empty QSettings in a place of their own, runs too, the dark theme, and nothing running afterwards."""
    from PySide6.QtCore import QCoreApplication, QSettings

    from arstudio.gui import tasks
    from arstudio.gui.app import make_application

    make_application()
    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))
    os.environ["ARSTUDIO_RUNS"] = str(tmp_path / "runs")
    os.environ["ARSTUDIO_HISTORY"] = str(tmp_path / "history")
    yield
    tasks.shut_down()
    sys.setswitchinterval(0.005)
    left = tasks.running()
    QCoreApplication.sendPostedEvents(None, 52)    # DeferredDelete
    gc.collect()
    assert not left, f"a task was left running: {left}"


@pytest.fixture(scope="session")
def tiny():
    """A Gated PixelCNN of 8×8 images with 17 levels and four classes; random weights from a fixed seed."""
    import torch

    from arstudio.image import ImageSpec
    from arstudio.models import create
    from arstudio.models.checkpoint import card_of

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create("gated_pixelcnn", ImageSpec(1, 8, 8, 17), 4, channels=8, dilations=(1, 2), head=16).eval()
        for p in model.parameters():
            p.data.normal_(std=0.4)
    return model, card_of(model, ("zero", "one", "two", "three"))


@pytest.fixture
def studio(qtbot, tiny):
    """A Studio with the tiny model, which does not draw by itself."""
    from arstudio.gui.studio import Studio

    studio = Studio()
    studio.autoplay = False
    studio.use_model(*tiny)
    yield studio
    studio.pause()
    studio.stop_drawing()


@pytest.fixture
def window(qtbot, studio):
    """The main window with all panels, shown at 1280×800."""
    from arstudio.gui.main_window import MainWindow

    window = MainWindow(studio)
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    window.make_panels()
    return window


@pytest.fixture
def drawn(qtbot, studio):
    """The studio after drawing four images at full speed."""
    studio.set(count=4)
    studio.set_speed(float("inf"))
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.complete and not studio.drawing, timeout=20_000)
    qtbot.waitUntil(lambda: not studio.playing, timeout=5_000)
    return studio


@pytest.fixture
def messages(studio):
    """What the studio says, as (kind, sentence)."""
    heard = []
    studio.message.connect(lambda kind, sentence: heard.append((kind, sentence)))
    return heard


@pytest.fixture
def complete_panel(qtbot, studio, messages, monkeypatch):
    """The Complete panel with its docks, shown, with a test image of digits on the canvas; a live sketch does not look at how
    fast the machine is."""
    import dataclasses

    from arstudio.gui.panels.complete import CompletePanel
    from arstudio.gui.panels.complete_live import Pace
    from arstudio.models.modelfile import Facts

    monkeypatch.setattr(Pace, "took", lambda *_: None)
    studio.use_model(studio.model, dataclasses.replace(studio.card, facts=Facts(dataset="digits")))
    panel = CompletePanel(studio)
    for widget in (panel, panel.side, panel.bottom):
        qtbot.addWidget(widget)
    panel.resize(760, 560)
    panel.bottom.resize(760, 130)
    with qtbot.waitExposed(panel):
        panel.show()
    panel.side.show()
    panel.bottom.show()
    qtbot.waitUntil(lambda: panel.canvas.sheet is not None, timeout=10_000)
    panel.page.count.setCurrentText("4")
    return panel


@pytest.fixture
def other_model():
    """Makes an untrained model for a spec: other_model(spec, dataset="digits") -> (model, card)."""
    import torch

    from arstudio.models import create
    from arstudio.models.checkpoint import card_of
    from arstudio.models.modelfile import Facts

    def make(spec, **facts):
        with torch.random.fork_rng():
            model = create("fvsbn" if spec.levels == 2 else "pixelcnn", spec).eval()
        return model, card_of(model, (), Facts(**facts))

    return make


@pytest.fixture
def held(monkeypatch):
    """Sampling waits from its twentieth site until the event is set, and can be cancelled there."""
    import threading

    from arstudio.sampling.completion import ParticleCompleter
    from arstudio.sampling.jacobi import JacobiSampler
    from arstudio.sampling.sampler import Sampler

    gate = threading.Event()
    for kind in (Sampler, ParticleCompleter):
        def gated(self, limit=None, step=kind.step):
            if self.trace.cursor >= 20 and not gate.is_set():
                gate.wait(0.002)
                return True
            return step(self, limit)

        monkeypatch.setattr(kind, "step", gated)

    def advance(self, images, end, advance=JacobiSampler._advance):
        if self.trace.cursor >= 20 and not gate.is_set():
            gate.wait(0.002)
        else:
            advance(self, images, end if gate.is_set() else min(end, 20))

    monkeypatch.setattr(JacobiSampler, "_advance", advance)
    yield gate
    gate.set()


@pytest.fixture
def slow(monkeypatch):
    """slow(owner, name) -> (event, calls): that function waits until the event is set, never in the GUI thread, and the
    arguments of each call are noted as it begins."""
    import threading

    events = []

    def make(owner, name):
        event, calls, real = threading.Event(), [], getattr(owner, name)
        events.append(event)

        def waits(*args):
            assert threading.current_thread() is not threading.main_thread(), f"{name} in the GUI thread"
            calls.append(args)
            event.wait()
            return real(*args)

        monkeypatch.setattr(owner, name, waits)
        return event, calls

    yield make
    for event in events:
        event.set()


@pytest.fixture(scope="module")
def one_thread():
    """For small networks on a busy machine, where threads would mostly wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def panel(qtbot, studio, tmp_path, monkeypatch):
    """The three parts of the Train panel on digits with the fastest model."""
    from arstudio.gui.panels.train import TrainPanel

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))      # the trash
    panel = TrainPanel(studio)
    for part in (panel, panel.side, panel.bottom):
        qtbot.addWidget(part)
    panel.resize(760, 640)
    panel.bottom.resize(760, 140)
    box = panel.choices.model
    box.setCurrentIndex(box.findData("fvsbn"))
    return panel
