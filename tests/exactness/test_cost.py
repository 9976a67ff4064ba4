"""What a model costs is known before it is built: the parameters exactly, the memory within a factor of two."""

import dataclasses

import pytest
import torch
from cases import CASES, SMALL
from catalogue import FILES

from arstudio.image import ImageSpec
from arstudio.models import MODELS, ConfigError, create, make_config, preset_settings

DIGITS = ImageSpec(1, 8, 8, 17)
REFUSED = [(name, *case) for name in MODELS for case in getattr(FILES.get(name), "REFUSED", [])]


def scalars_kept(model, images):
    """Scalars that the backward pass of a training step holds on to, weights and masks not counted."""
    x = torch.randint(0, model.spec.levels, (images, *model.spec.shape))
    known = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(t):
        storage = t.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes() / 4
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        model.loss(x).sum()
    return sum(kept.values())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_number_of_parameters_is_known_beforehand(case, random_model):
    model = create(case.name, case.spec, case.num_classes, **case.config)
    assert model.config.parameters(case.spec, case.num_classes) == model.num_parameters


@pytest.mark.parametrize("spec", [DIGITS, ImageSpec(3, 6, 9, 8), ImageSpec(1, 12, 10, 2)], ids=str)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_memory_of_a_training_step_is_known_within_a_factor_of_two(name, spec):
    model = create(name, spec, **preset_settings(name, "small")).train()
    if model.closed_form:
        assert model.config.activations(spec) == 0
        return
    measured = (scalars_kept(model, 6) - scalars_kept(model, 2)) / 4
    assert 0.5 * measured <= model.config.activations(spec) <= 2 * measured


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_comes_in_three_sizes_that_grow(name):
    costs = [make_config(name, preset_settings(name, size)).cost(DIGITS, 10) for size in ("small", "medium", "paper")]
    parameters = [cost.parameters for cost in costs]
    assert parameters == sorted(parameters)
    assert costs[0].training_bytes(32) >= 20 * costs[0].parameters
    with pytest.raises(ConfigError, match="There is no preset 'huge'; choose small, medium, paper"):
        preset_settings(name, "huge")


@pytest.mark.parametrize(("name", "spec", "config", "sentence"), REFUSED)
def test_what_cannot_be_built_is_refused_in_a_sentence(name, spec, config, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        create(name, spec, **config)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        make_config(name, config).cost(spec)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_config_is_frozen_and_says_what_its_settings_are(name):
    config = make_config(name, SMALL[name])
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.order = "snake"
    assert MODELS[name].config.__doc__
