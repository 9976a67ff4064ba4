"""While a run trains: its weights are used, its learning rate changed, snapshots kept, and what happens is said."""

import numpy as np
import pytest
from hands import WAIT, begin, click, finish, settle
from PySide6.QtCore import Qt

from arstudio.gui.wording import duration, two_digits
from arstudio.models import load_model
from arstudio.training.runs import Run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def training(qtbot, panel):
    """The panel with a run of ten minutes under way; it is stopped with everything else that runs."""
    for part in (panel, panel.side, panel.bottom):
        part.show()
    begin(qtbot, panel, 10)
    qtbot.waitUntil(lambda: panel.side.live.while_training.isVisible(), timeout=WAIT)
    return panel


def test_the_weights_of_now_are_drawn_with_at_once(qtbot, studio, training):
    tabs = []
    studio.tab_requested.connect(tabs.append)
    live = training.side.live
    assert live.weights.currentText() == "weights of now"
    with qtbot.waitSignal(studio.model_changed, timeout=WAIT):
        click(qtbot, live.use)
    assert studio.card.model == "fvsbn"
    assert studio.card.facts.dataset == "digits"
    assert tabs == ["generate"]
    assert training.training
    shared = {name: t.clone() for name, t in studio.model.state_dict().items()}
    step = training.session.live.step
    qtbot.waitUntil(lambda: training.session.live.step > step + 20, timeout=WAIT)
    assert all((studio.model.state_dict()[name] == t).all() for name, t in shared.items()), "training must leave it alone"


def test_the_learning_rate_changes_while_it_trains(qtbot, training, messages):
    live = training.side.live
    assert live.rate.text() == "0.001"
    live.rate.selectAll()
    qtbot.keyClicks(live.rate, "0,0003")
    click(qtbot, live.change)
    said = "The learning rate was set to 0.0003 at step "
    qtbot.waitUntil(lambda: training.cost.text.toolTip().startswith(said), timeout=WAIT)
    assert training.cost.text.isVisible()
    assert not any(words.startswith(said) for _, words in messages), "once is enough"
    qtbot.waitUntil(lambda: training.session.live.learning_rate <= 0.0003, timeout=WAIT)
    qtbot.waitUntil(lambda: float(training.side.figures.text("rate")) <= 0.0003, timeout=WAIT)


def test_the_figures_beside_the_curves_are_those_of_the_steps(qtbot, training):
    figures = training.side.figures
    qtbot.waitUntil(lambda: "–" not in {figures.text(key) for key in ("gradient", "speed", "left", "rate")}, timeout=WAIT)
    click(qtbot, training.choices.pause)
    live = training.session.live

    def told():
        return {key: figures.text(key) for key in ("epoch", "gradient", "rate", "speed", "left")} == {
            "epoch": f"{live.epoch:.1f}", "gradient": two_digits(live.gradient_norm), "rate": two_digits(live.learning_rate),
            "speed": f"{live.images_per_second:,.0f} images/s", "left": duration(live.eta),
        }

    qtbot.waitUntil(told, timeout=WAIT)
    assert 0 < live.eta < 600


@pytest.mark.parametrize(("text", "words"), [("much", "must be a number, not “much”"), ("-1", "is a number above 0, not -1")])
def test_a_learning_rate_that_makes_no_sense_is_refused_and_training_goes_on(qtbot, training, text, words):
    live = training.side.live
    live.rate.selectAll()
    qtbot.keyClicks(live.rate, text)
    qtbot.keyClick(live.rate, Qt.Key.Key_Return)
    assert words in training.cost.error.text()
    assert training.cost.frame.isVisible()
    assert training.training


def test_a_snapshot_is_kept_and_can_be_drawn_with(qtbot, studio, training):
    heard = []
    studio.message.connect(lambda kind, sentence: heard.append(sentence))
    click(qtbot, training.side.live.snapshot)
    qtbot.waitUntil(lambda: bool(heard), timeout=WAIT)
    path, = training.session.live.snapshots
    assert heard[0].startswith(f"Snapshot of step {int(path.stem):,} kept: ")
    assert load_model(path)[1].facts.bits_per_dim == pytest.approx(float(heard[0].split()[-2]), abs=5e-4)
    live = training.side.live
    qtbot.waitUntil(lambda: live.weights.findData(path) >= 0, timeout=WAIT)
    live.weights.setCurrentIndex(live.weights.findData(path))
    with qtbot.waitSignal(studio.model_changed, timeout=WAIT):
        click(qtbot, live.use)
    assert studio.card.path == path


def test_wishes_are_heeded_while_the_run_is_paused(qtbot, studio, training):
    click(qtbot, training.choices.pause)
    qtbot.waitUntil(lambda: training.choices.pause.text() == "Continue", timeout=WAIT)
    click(qtbot, training.side.live.snapshot)
    qtbot.waitUntil(lambda: bool(training.session.live.snapshots), timeout=WAIT)


def test_the_map_of_bits_is_that_of_the_last_validation(qtbot, training):
    shown = training.side.live.map
    qtbot.waitUntil(lambda: shown.isVisible() and len(training.session.live.points) > 1, timeout=WAIT)
    click(qtbot, training.choices.stop)
    finish(qtbot, training)
    bits = training.session.live.loss_map
    assert shown.map.bits is bits
    np.testing.assert_array_equal(Run.open(training.session.path).loss_map(), bits)
    row, column = np.unravel_index(bits.argmax(), bits.shape)
    unit = shown.map.width() // 8
    assert f"Row {row}, column {column}: " in shown.map.tip(column * unit + 1, row * unit + 1)
    picture = shown.map.grab().toImage()
    brightest = picture.pixelColor(column * unit + 2, row * unit + 2)
    assert (brightest.red(), brightest.green(), brightest.blue()) == (253, 231, 37)


def test_curves_show_both_kinds_of_weights_against_four_baselines(qtbot, training):
    qtbot.waitUntil(lambda: len(training.session.live.points) > 1, timeout=WAIT)
    plot = training.view.plot
    qtbot.waitUntil(lambda: len(plot.curves()[1]) > 1, timeout=WAIT)
    texts = " ".join(text for _, _, _, text in plot._entries)
    for word in ("validation", "unaveraged", "train", "uniform 4.09", "histogram 2.4", "gzip", "PNG"):
        assert word in texts
    top = plot.area().top()
    plot.resize(300, plot.height())
    assert plot.area().top() > top + 10, "the legend takes as many lines as it needs"
    assert max(x for x, _, _, _ in plot._entries) < 300


def test_what_happened_is_shown_with_the_run_afterwards(qtbot, training):
    live = training.session.trainer
    live.change_rate(0.0005)
    live.change_rate(0.0004)
    qtbot.waitUntil(lambda: len(training.session.live.notes) == 2, timeout=WAIT)
    click(qtbot, training.choices.stop)
    finish(qtbot, training)
    training.show_run(training.session.path)
    settle(qtbot, training)
    assert training.cost.text.text().startswith("The learning rate was set to 0.0004")
    assert training.cost.text.text().endswith("(1 earlier)")
    assert "0.0005" in training.cost.text.toolTip()
    assert not training.side.live.while_training.isVisible()
