"""Work beside the window: results, errors, cancelling, pausing, coalescing."""

import threading
import time

import pytest

from arstudio.gui.tasks import Task, running, shut_down
from arstudio.progress import Progress


def test_the_result_arrives_once_on_the_gui_thread(qtbot):
    seen = []
    task = Task(lambda progress: threading.get_ident())
    task.done.connect(lambda worker: seen.append((worker, threading.get_ident())))
    with qtbot.waitSignal(task.done):
        task.start()
    (worker, receiver), = seen
    assert worker != receiver == threading.get_ident()
    assert task not in running()


def test_a_failure_brings_its_sentence_and_its_traceback(qtbot):
    def fail(progress: Progress):
        raise ValueError("The dog ate the weights.")

    task = Task(fail)
    with qtbot.waitSignal(task.failed) as failed:
        task.start()
    assert failed.args[0] == "The dog ate the weights."
    assert "def fail" in failed.args[1] or "in fail" in failed.args[1]


def test_cancelling_stops_the_work_and_says_so(qtbot):
    started = threading.Event()

    def work(progress: Progress):
        started.set()
        while True:
            progress.check()

    task = Task(work)
    with qtbot.waitSignal(task.cancelled, timeout=2_000):
        task.start()
        assert started.wait(2)
        task.cancel()


def test_only_the_latest_of_many_reports_is_shown(qtbot):
    def work(progress: Progress):
        for i in range(20_000):
            progress.report(i / 20_000, str(i))
            progress.publish(i)
        return "done"

    task, reports, partials = Task(work), [], []
    task.reported.connect(lambda fraction, text: reports.append(text))
    task.partial.connect(partials.append)
    with qtbot.waitSignal(task.done, timeout=10_000):
        task.start()
    assert reports[-1] == "19999"
    assert partials[-1] == 19999
    assert len(reports) < 500


def test_a_paused_task_waits_and_can_still_be_cancelled(qtbot):
    reached = threading.Event()
    counts = []

    def work(progress: Progress):
        while True:
            progress.check()
            progress.pause_point()
            counts.append(len(counts))
            reached.set()

    task = Task(work)
    task.start()
    assert reached.wait(2)
    task.progress.pause(True)
    assert task.progress.paused
    with qtbot.waitSignal(task.cancelled, timeout=2_000):
        task.cancel()


def test_shutting_down_stops_everything(qtbot):
    def work(progress: Progress):
        while not progress.cancelled():
            pass
        return 1

    tasks = [Task(work) for _ in range(3)]
    for task in tasks:
        task.start()
    shut_down()
    assert not running()
    assert not any(task.isRunning() for task in tasks)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, MemoryError])
def test_even_unusual_errors_end_as_failures(qtbot, kind):
    def work(progress: Progress):
        raise kind

    task = Task(work)
    with qtbot.waitSignal(task.failed) as failed:
        task.start()
    assert failed.args[0] == kind.__name__


def test_nothing_begins_while_shutting_down(qtbot):
    later = Task(lambda progress: 2)

    def begin(_result):
        later.start()

    first = Task(lambda progress: 1)
    first.done.connect(begin)
    first.start()
    shut_down()
    assert not running()
    assert not later.isRunning()


def test_of_several_questions_only_the_latest_is_answered_and_never_two_at_once(qtbot):
    from PySide6.QtCore import QObject

    from arstudio.gui.tasks import Latest

    parent, running, most, arrived = QObject(), [], [], []
    latest = Latest(parent, "questions")
    latest.done.connect(arrived.append)

    def question(number):
        def work(progress):
            running.append(number)
            most.append(len(running))
            try:
                while not progress.cancelled() and number < 5:
                    time.sleep(0.002)
                progress.check()
                return number
            finally:
                running.remove(number)
        return work

    for number in range(6):
        latest.ask(question(number))
        assert latest.busy
    qtbot.waitUntil(lambda: arrived == [5], timeout=10_000)
    assert not latest.busy
    assert max(most) == 1
    latest.ask(question(1))
    latest.forget()
    assert not latest.busy
    qtbot.waitUntil(lambda: not running and latest._task is None, timeout=10_000)
    assert arrived == [5], "what was forgotten is not delivered"


def test_a_question_that_fails_says_so_and_the_next_is_answered(qtbot):
    from PySide6.QtCore import QObject

    from arstudio.gui.tasks import Latest

    parent, sorry, arrived = QObject(), [], []
    latest = Latest(parent, "questions")
    latest.failed.connect(sorry.append)
    latest.done.connect(arrived.append)

    def wrong(progress):
        raise ValueError("That cannot be.")

    latest.ask(wrong)
    qtbot.waitUntil(lambda: sorry == ["That cannot be."], timeout=10_000)
    latest.ask(lambda progress: 7)
    qtbot.waitUntil(lambda: arrived == [7], timeout=10_000)
