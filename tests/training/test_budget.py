"""How fast to learn and how often to measure follow from the share of a budget that is spent; a spent one can be extended."""

import pytest

from arstudio.training.budget import Budget
from arstudio.training.config import TrainConfig
from arstudio.training.runs import RunError

MINUTES, EPOCHS = Budget(TrainConfig(minutes=2)), Budget(TrainConfig(epochs=4))


@pytest.mark.parametrize(("step", "spent", "rate"), [
    (0, 0.0, 0.01), (9, 0.0, 0.1), (0, 0.02, 0.04), (0, 0.05, 0.1), (200, 0.5, 0.1 * (0.02 + 0.98 / 2)), (400, 1.0, 0.002),
])
def test_the_learning_rate_warms_up_and_falls_to_its_last_share(step, spent, rate):
    budget = Budget(TrainConfig(epochs=3, warmup=10, learning_rate=0.1, final_share=0.02))
    assert budget.rate(step, spent) == pytest.approx(rate, rel=0.01)


def test_what_is_spent_is_counted_in_the_unit_of_the_budget():
    assert MINUTES.spent(seconds=30, epoch=3) == 0.25
    assert EPOCHS.spent(seconds=30, epoch=3) == 0.75
    assert MINUTES.spent(seconds=500, epoch=0) == EPOCHS.spent(seconds=0, epoch=9) == 1.0


@pytest.mark.parametrize(("budget", "measuring", "seconds"), [
    (MINUTES, 0.1, 6.0), (MINUTES, 5.0, 45.0), (EPOCHS, 0.1, 60.0), (Budget(TrainConfig(minutes=0.1)), 0.0, 3.0),
])
def test_validations_take_at_most_a_tenth_of_the_time(budget, measuring, seconds):
    assert budget.pause(measuring) == pytest.approx(seconds)


def test_a_spent_budget_is_extended_from_where_it_stands_and_in_its_own_unit():
    budget = Budget(TrainConfig(epochs=2))
    with pytest.raises(RunError, match="has spent its budget; say how much longer"):
        budget.extend(10.0, 2.0)
    with pytest.raises(RunError, match="counts its budget in epochs; extend it with --epochs"):
        budget.extend(10.0, 2.0, more_minutes=1)
    budget.extend(10.0, 2.0, more_epochs=0.5)
    assert budget.total == 2.5
    timed = Budget(TrainConfig(minutes=1))
    timed.extend(60.0, 7.0, more_minutes=2)
    assert timed.total == 180
