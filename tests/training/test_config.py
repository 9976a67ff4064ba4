"""What a training may be told: what makes no run is refused in a sentence, and the rest survives a run's record."""

import dataclasses
import json
import math

import pytest

from arstudio.training.config import TrainConfig
from arstudio.training.runs import RunError

BUDGETS = [
    ({}, "Give the run one budget"), ({"minutes": 1, "epochs": 1}, "Give the run one budget"),
    ({"epochs": -1}, "Give the run one budget"), ({"minutes": math.nan}, "Give the run one budget"),
    ({"minutes": -1, "epochs": 2}, "minutes must be at least 0, not -1"),
    ({"minutes": math.inf}, "minutes must be finite, not inf"),
    ({"epochs": 1, "batch": 0}, "batch must be at least 1, not 0"),
    *(({"epochs": 1, "learning_rate": rate}, f"learning_rate must be above 0 and finite, not {rate}")
      for rate in (0, -1, math.nan, math.inf)),
    ({"epochs": 1, "ema": 1}, r"ema must be in \[0, 1\), not 1"),
    ({"epochs": 1, "patience": -1}, "patience must be at least 0, not -1"),
    ({"epochs": 1, "validation_images": 0}, "validation_images must be at least 1, not 0"),
]


@pytest.mark.parametrize(("config", "sentence"), BUDGETS)
def test_a_configuration_that_makes_no_run_is_refused(config, sentence):
    with pytest.raises(RunError, match=sentence + r".*\.$"):
        TrainConfig(**config)


def test_a_configuration_survives_json():
    config = TrainConfig(epochs=2.5, seed=3, ema=0)
    assert TrainConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config
