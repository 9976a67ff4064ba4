"""Whatever is asked for: either a model that works, or one sentence that says why there is none."""

import dataclasses

import pytest
import torch
from cases import SMALL
from hypothesis import given, settings
from hypothesis import strategies as st

from arstudio.image import ImageError, ImageSpec
from arstudio.models import MODELS, ConfigError, create
from arstudio.models.likelihoods import LIKELIHOODS
from arstudio.models.orders import ORDERS

NUMBERS = {int: st.sampled_from([-1, 0, 1, 2, 3, 4, 5, 8]), float: st.sampled_from([-0.5, 0.0, 0.1, 0.5, 1.0, 2.0])}
WORDS = ["", "none", "levels", "palette", "patches", "scaled", "one_hot", "tanh", "gru", "lstm", "gated", "diagonal_bilstm"]


@st.composite
def requests(draw, name):
    """A spec, a number of classes, and settings of which some may be nonsense."""
    spec = ImageSpec(
        draw(st.sampled_from([1, 3])), draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.sampled_from([0, 2, 3, 7]))
    )
    config = dict(SMALL[name])
    fields = {f.name: f.default for f in dataclasses.fields(MODELS[name].config)}
    for key in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True)):
        kind = type(fields[key])
        if kind is bool:
            config[key] = draw(st.booleans())
        elif kind is tuple:
            config[key] = tuple(draw(st.lists(st.integers(-1, 3), max_size=3)))
        elif kind is str:
            config[key] = draw(st.sampled_from([*ORDERS, *LIKELIHOODS, *WORDS]))
        else:
            config[key] = draw(NUMBERS[kind])
    return spec, draw(st.sampled_from([-1, 0, 2])), config


@pytest.mark.parametrize("name", sorted(MODELS))
@settings(max_examples=40)
@given(data=st.data())
def test_a_request_gives_a_working_model_or_a_sentence(name, data):
    spec, classes, config = data.draw(requests(name))
    try:
        model = create(name, spec, classes, **config).eval()
    except ConfigError as refusal:
        sentence = str(refusal)
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert len(sentence) < 300
        return
    x = torch.zeros(2, *spec.shape, dtype=torch.long if spec.levels else torch.float32)
    y = torch.zeros(2, dtype=torch.long) if classes else None
    assert torch.isfinite(model.log_prob(x, y)).all()
    assert model.config.parameters(spec, classes) == model.num_parameters
    assert model.decoder(1, y[:1] if classes else None).params().shape == (1, model.likelihood.num_params)


@given(st.tuples(*[st.integers(-3, 300)] * 4))
def test_a_spec_is_an_image_there_can_be_or_a_sentence(numbers):
    channels, height, width, levels = numbers
    possible = channels in (1, 3) and height >= 1 and width >= 1 and (levels == 0 or 2 <= levels <= 256)
    if possible:
        assert ImageSpec(*numbers).sites == channels * height * width
    else:
        with pytest.raises(ImageError, match=r"^[A-Z].*\.$|^levels must be .*\.$"):
            ImageSpec(*numbers)
