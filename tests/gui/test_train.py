"""Train, as a person uses it: choose, see the cost, start, hold, stop, go on, see old runs, delete one."""

import numpy as np
import pytest
from hands import WAIT, begin, choose, click, finish, read, settle
from PySide6.QtCore import QElapsedTimer, Qt
from PySide6.QtWidgets import QMessageBox

from arstudio.gui import theme
from arstudio.gui.panels.train import TrainPanel
from arstudio.gui.widgets.thinned import MOST_POINTS, Thinned
from arstudio.gui.wording import size

pytestmark = pytest.mark.usefixtures("one_thread")


def test_from_start_to_drawing_with_the_trained_model(qtbot, studio, panel, tmp_path):
    said, tabs, status = [], [], []
    studio.message.connect(lambda kind, sentence: said.append((kind, sentence)))
    studio.tab_requested.connect(tabs.append)
    studio.status.connect(lambda text, fraction: status.append((text, fraction)))
    panel.choices.choose_minutes(0.05)
    click(qtbot, panel.choices.start)
    assert panel.training
    finish(qtbot, panel)

    train, validation = panel.view.plot.curves()
    assert len(train) > 10
    assert len(validation) >= 2
    assert validation[-1, 1] < validation[0, 1]
    assert {"uniform", "histogram"} <= set(panel.session.baselines)
    assert panel.view.film.frames >= 3
    assert [kind for kind, _ in said] == ["info"]
    assert said[0][1].startswith("Finished after")
    working = [share for text, share in status if text.startswith("Training digits-fvsbn-1 · epoch")]
    assert all(0 < share <= 1 for share in working)
    assert working
    assert status[-1] == ("", None)
    assert [(row.path.name, row.state) for row in panel.bottom.rows()] == [("digits-fvsbn-1", "finished")]

    click(qtbot, panel.side.use)
    qtbot.waitUntil(lambda: studio.card is not None and studio.card.model == "fvsbn", timeout=WAIT)
    assert studio.card.path == tmp_path / "runs" / "digits-fvsbn-1" / "best.safetensors"
    assert tabs == ["generate"]


def test_pause_holds_the_training_and_continue_goes_on(qtbot, studio, panel):
    begin(qtbot, panel, 10)
    click(qtbot, panel.choices.pause)
    live = panel.session.live
    still = QElapsedTimer()
    seen = [-1]

    def held() -> bool:      # no step for half a second
        if live.step != seen[0]:
            seen[0] = live.step
            still.start()
        return still.elapsed() > 500

    qtbot.waitUntil(held, timeout=5_000)
    step = live.step
    with qtbot.assertNotEmitted(panel.task.partial, wait=300):
        pass
    assert live.step == step
    assert panel.choices.pause.text() == "Continue"
    assert panel.bottom.rows()[0].state == "paused"
    click(qtbot, panel.choices.pause)
    qtbot.waitUntil(lambda: live.step > step, timeout=WAIT)
    click(qtbot, panel.choices.stop)
    finish(qtbot, panel)


def test_stop_leaves_a_run_that_resume_continues(qtbot, studio, panel):
    begin(qtbot, panel, 0.08)
    click(qtbot, panel.choices.stop)
    finish(qtbot, panel)
    step, frames = panel.session.live.step, panel.view.film.frames
    assert panel.session.status == "stopped"
    assert panel.bottom.rows()[0].state == "stopped"
    assert not panel.choices.start.isHidden()

    panel.bottom.select(panel.session.path)
    click(qtbot, panel.bottom.resume_button)
    qtbot.waitUntil(lambda: panel.session.live and panel.session.live.step > step + 2, timeout=WAIT)
    finish(qtbot, panel)
    assert panel.session.status == "finished"
    assert panel.session.live.fraction == 1
    assert panel.view.film.frames > frames
    assert len(panel.bottom.rows()) == 1


def test_stop_while_paused_ends_too(qtbot, panel):
    begin(qtbot, panel, 10)
    click(qtbot, panel.choices.pause)
    click(qtbot, panel.choices.stop)
    finish(qtbot, panel)
    assert panel.session.status == "stopped"


def test_one_run_trains_at_a_time(qtbot, studio, panel):
    begin(qtbot, panel, 10)
    with qtbot.waitSignal(studio.message) as message:
        panel.start()
    assert message.args == ["info", "One run trains at a time: stop digits-fvsbn-1 first."]
    panel.stop()
    finish(qtbot, panel)


def test_the_cost_is_measured_before_starting(qtbot, panel):
    panel.show()
    qtbot.waitUntil(lambda: panel.probed is not None and panel.probed.sees is not None, timeout=WAIT)
    assert "parameters" in panel.cost.text.text()
    assert "per epoch" in panel.cost.text.text()
    assert panel.side.network.text("parameters") == f"{panel.probed.estimate.parameters:,}"
    assert panel.side.network.text("sees") == "all of the past"
    before = panel.probed.estimate.parameters
    choose(panel.choices.model, "nade")
    qtbot.waitUntil(lambda: panel.probed is not None and panel.probed.estimate is not None, timeout=WAIT)
    assert panel.probed.model == "nade"
    assert panel.probed.estimate.parameters != before
    assert panel.side.model_fields["hidden"].placeholderText() == "100"
    choose(panel.choices.size, "medium")
    qtbot.waitUntil(lambda: panel.side.model_fields["hidden"].placeholderText() == "200", timeout=WAIT)


def test_who_starts_at_once_or_goes_on_sees_the_network_measured_too(qtbot, panel):
    shown = panel.side.network
    begin(qtbot, panel, 10)    # the panel was never in sight: nothing was measured
    qtbot.waitUntil(lambda: shown.text("sees") == "all of the past", timeout=WAIT)
    assert panel.probed is None
    memory = shown.text("memory")
    assert memory == size(panel.session.probed.estimate.bytes)
    assert shown.text("expected").endswith(" bits/dim")
    panel.stop()
    finish(qtbot, panel)
    choose(panel.choices.model, "nade")    # what is resumed is measured, not what is chosen
    panel.resume(panel.session.path)
    qtbot.waitUntil(lambda: panel.training and shown.text("memory") != "–", timeout=WAIT)
    assert panel.session.probed.model == "fvsbn"
    assert panel.session.probed.estimate.parameters == panel.session.parameters
    assert panel.session.budget == (10, 0)
    panel.stop()
    finish(qtbot, panel)


def test_what_a_training_may_reach_is_read_from_measured_runs(qtbot, panel):
    from arstudio.training.expectations import expectation

    panel.show()
    panel.choices.choose_minutes(30)    # more passes than the shortest measured run, on any machine
    choose(panel.choices.model, "gated_pixelcnn")
    qtbot.waitUntil(lambda: panel.probed is not None and panel.probed.model == "gated_pixelcnn"
                    and panel.probed.estimate is not None, timeout=WAIT)
    probed, shown = panel.probed, panel.side.network
    expected = expectation(
        "gated_pixelcnn", "digits", probed.spec, probed.estimate.parameters, probed.passes(*panel.choices.budget())
    )
    assert expected is not None, (probed.spec, probed.dataset, probed.passes(*panel.choices.budget()))
    assert shown.text("expected") == f"{probed.spec.bits_per_dim(expected.nats):.2f} bits/dim"
    panel.choices.choose_dataset("digits", 0)
    qtbot.waitUntil(lambda: panel.probed is not None and panel.probed.spec is not None
                    and panel.probed.spec.levels == 0, timeout=WAIT)
    assert shown.text("expected") == "–"


def test_starting_while_the_cost_is_measured_waits_for_the_probe_and_trains(qtbot, panel):
    panel.show()
    qtbot.waitUntil(lambda: panel.probe.busy, timeout=WAIT)
    panel.choices.choose_minutes(0.05)
    qtbot.waitUntil(lambda: panel.probe.busy, timeout=WAIT)
    panel.start()
    assert panel.training
    finish(qtbot, panel)
    assert panel.session.status == "finished"


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("learning_rate", "fast", "Learning rate must be a number, not “fast”."),
        ("name", "a/b", "A run cannot be called 'a/b'"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused_with_a_sentence(qtbot, panel, field, text, words):
    panel.show()
    qtbot.keyClicks(panel.side.fields[field], text)
    panel.start()
    assert not panel.training
    assert words in panel.cost.error.text()
    assert panel.cost.frame.isVisible()


def test_a_value_no_training_can_have_is_refused_and_leaves_no_run(qtbot, studio, panel, tmp_path):
    qtbot.keyClicks(panel.side.fields["batch"], "-3")
    with qtbot.waitSignal(studio.message, timeout=WAIT) as message:
        panel.start()
    assert message.args == ["error", "batch must be at least 1, not -3."]
    assert panel.view.empty.sentence.text() == message.args[1]
    assert not (tmp_path / "runs").exists()


def test_an_impossible_choice_is_explained_while_choosing(qtbot, panel):
    panel.show()
    panel.choices.choose_dataset("emoji", 256)
    qtbot.waitUntil(panel.cost.frame.isVisible, timeout=WAIT)
    assert "million weights; choose fewer levels" in panel.cost.error.text()


def test_divergence_shows_the_curves_the_reason_and_what_to_try(qtbot, panel, messages):
    qtbot.keyClicks(panel.side.fields["learning_rate"], "1e30")
    panel.choices.choose_minutes(1)
    panel.start()
    finish(qtbot, panel)
    assert [kind for kind, _ in messages][-1] == "error"
    assert any(kind == "info" and "back to step" in sentence for kind, sentence in messages), "it went back first, and said so"
    assert "Training diverged" in messages[-1][1]
    assert panel.cost.text.text() == messages[-1][1]
    assert panel.view.stack.currentWidget() is panel.view.plot
    assert panel.bottom.rows()[0].state == "diverged"


def test_an_old_run_shows_its_curves_film_and_figures(qtbot, studio, panel, tmp_path):
    panel.choices.choose_minutes(0.05)
    panel.start()
    finish(qtbot, panel)
    points, frames = panel.view.plot.curves()[1], panel.session.live.film
    fresh = TrainPanel(studio)
    for part in (fresh, fresh.side, fresh.bottom):
        qtbot.addWidget(part)
    read(qtbot, fresh)
    row = fresh.bottom.table.visualItemRect(fresh.bottom.table.item(0, 0)).center()
    fresh.bottom.show()
    qtbot.mouseClick(fresh.bottom.table.viewport(), Qt.MouseButton.LeftButton, pos=row)
    settle(qtbot, fresh)
    np.testing.assert_allclose(fresh.view.plot.curves()[1], points)
    assert fresh.view.film.frames == len(frames)
    stored = fresh.session.live.film[-1][1]
    np.testing.assert_array_equal(stored, frames[-1][1][:len(stored)])
    assert fresh.side.title.text() == "digits-fvsbn-1"


def test_deleting_a_run_asks_first_and_uses_the_trash(qtbot, panel, tmp_path):
    panel.choices.choose_minutes(0.02)
    panel.start()
    finish(qtbot, panel)
    path = panel.session.path
    panel.bottom.select(path)
    for answer, left in (("Cancel", True), ("Move to the trash", False)):
        click(qtbot, panel.bottom.delete_button)
        settle(qtbot, panel)
        box = panel.bottom.findChildren(QMessageBox)[-1]
        assert path.exists()
        button = next(b for b in box.buttons() if b.text().replace("&", "") == answer)
        button.click()
        settle(qtbot, panel)
        assert path.exists() == left
    assert panel.bottom.rows() == []
    assert panel.session is None


def test_figures_switch_between_bits_and_nats(qtbot, panel):
    panel.choices.choose_minutes(0.02)
    panel.start()
    finish(qtbot, panel)
    assert panel.side.figures.text("validation").endswith("bits/dim")
    click(qtbot, panel.view.unit.button("nats"))
    assert panel.side.figures.text("validation").endswith("nats")
    assert panel.view.heading.text() == "NATS PER IMAGE"


def test_it_fits_and_paints_at_every_width_in_both_schemes(qtbot, panel):
    panel.choices.choose_minutes(0.02)
    panel.start()
    finish(qtbot, panel)
    panel.show()
    for scheme in ("dark", "light"):
        theme.choose(scheme)
        for width in (520, 760, 1400):
            panel.resize(width, 640)
            picture = panel.grab().toImage()
            assert panel.width() == width
            assert picture.pixelColor(2, 2).name() == theme.colours().stage
            button = panel.choices.start
            assert button.mapTo(panel, button.rect().bottomRight()).x() < width


def test_thinned_series_keep_their_mean_and_stay_short():
    thinned = Thinned()
    x = [float(i) for i in range(10_000)]
    for end in (1, 7, 500, 500, 4096, 10_000):
        thinned.feed(x[:end], x[:end])
    points = thinned.points()
    assert len(points) <= MOST_POINTS
    each = points[1, 0] - points[0, 0]
    np.testing.assert_allclose(points[:, 0], np.arange(len(points)) * each + (each - 1) / 2)
    assert not thinned.feed(x, x)
