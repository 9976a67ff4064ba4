"""`create` builds by name and says in one sentence why something cannot be built."""

import dataclasses

import pytest

from arstudio.image import ImageSpec
from arstudio.models import MODELS, ConfigError, create
from arstudio.models.decoder import Decoder
from arstudio.models.registry import make_config

BINARY, GREY, RGB = ImageSpec(1, 4, 4, 2), ImageSpec(1, 4, 4, 256), ImageSpec(3, 4, 4, 8)

REFUSED = [
    ("transformer", BINARY, {}, r"There is no model 'transformer'; the models are .*fvsbn, .*pixelcnn"),
    ("nade", BINARY, {"width": 3}, r"NADE has no setting 'width'; it has class_dropout, components, hidden,"),
    ("nade", BINARY, {"hidden": "many"}, r"The setting hidden must be a whole number, not 'many'\."),
    ("nade", BINARY, {"hidden": 1.5}, r"hidden must be a whole number, not 1\.5\."),
    ("nade", BINARY, {"hidden": "inf"}, r"hidden must be a whole number, not 'inf'\."),
    ("nade", BINARY, {"hidden": None}, r"hidden must be a whole number, not None\."),
    ("nade", BINARY, {"hidden": 0}, r"hidden must be at least 1, not 0\."),
    ("nade", ImageSpec(3, 64, 64, 256), {}, r"A NADE of 200 hidden units .* million weights; choose fewer"),
    ("nade", BINARY, {"order": "zigzag"}, r"There is no order 'zigzag'; choose one of raster, .*random\."),
    ("nade", BINARY, {"order": "random", "order_seed": -1}, r"order_seed must be 0 or more, not -1\."),
    ("nade", BINARY, {"class_dropout": 1}, r"class_dropout must be in \[0, 1\), not 1\.0\."),
    ("nade", BINARY, {"class_dropout": "nan"}, r"class_dropout must be in \[0, 1\), not nan\."),
    ("fvsbn", BINARY, {"inputs": "raw"}, r"inputs is 'scaled' or 'one_hot', not 'raw'\."),
    ("fvsbn", ImageSpec(1, 28, 28, 256), {"inputs": "one_hot"}, r"FVSBN on 28×28 .* needs 40,282 million"),
    ("pixelcnn", GREY, {"kernel": 4}, r"kernel must be odd and at least 3, not 4\."),
    ("pixelcnn", GREY, {"first_kernel": 1}, r"first_kernel must be odd and at least 3, not 1\."),
    ("pixelcnn", GREY, {"order": "snake"}, r"PixelCNN draws in raster order only\."),
    ("pixelcnn", RGB, {"channels": 5}, r"channels must be at least 6, head at least 3, blocks at least 0\."),
    ("pixelcnn", GREY, {"dropout": 1}, r"dropout must be in \[0, 1\), not 1\.0\."),
    ("gated_pixelcnn", GREY, {"kernel": 2}, r"kernel must be odd and at least 3, not 2\."),
    ("gated_pixelcnn", GREY, {"dilations": "1,x"}, r"must be whole numbers with commas, not '1,x'\."),
    ("gated_pixelcnn", GREY, {"dilations": 3}, r"dilations must be whole numbers with commas, not 3\."),
    ("gated_pixelcnn", GREY, {"dilations": "2,1"}, r"whole numbers that begin with 1, not \(2, 1\)\."),
    ("gated_pixelcnn", GREY, {"dilations": ()}, r"whole numbers that begin with 1, not \(\)\."),
    ("gated_pixelcnn", GREY, {"order": "spiral"}, r"Gated PixelCNN draws in raster order only\."),
    ("gated_pixelcnn", RGB, {"head": 2}, r"channels and head must be at least 3, one per colour\."),
]


@pytest.mark.parametrize(("name", "spec", "config", "sentence"), REFUSED)
def test_what_cannot_be_built_is_refused_in_a_sentence(name, spec, config, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        create(name, spec, **config)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_continuous_images_and_negative_classes_are_refused(name):
    if "gaussian" not in MODELS[name].config.likelihoods:
        with pytest.raises(ConfigError, match="needs integer levels"):
            create(name, ImageSpec(1, 4, 4, 0))
    with pytest.raises(ConfigError, match="num_classes must be 0 or more, not -1"):
        create(name, BINARY, -1)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_entry_says_what_a_person_wants_to_know(name):
    entry = MODELS[name]
    assert entry.name == entry.model.name == name
    assert dataclasses.is_dataclass(entry.config)
    assert entry.title[0].isupper()
    assert any(character.isdigit() for character in entry.paper), "a paper has a year"
    assert 20 < len(entry.summary) < 120
    assert entry.summary.endswith((".", ","))


def test_settings_arrive_as_text_from_the_command_line_and_as_lists_from_json():
    text = {"channels": "16", "dilations": "1,2,4", "dropout": "0.25", "order": "raster"}
    json = {"channels": 16, "dilations": [1, 2, 4], "dropout": 0.25, "order": "raster"}
    config = make_config("gated_pixelcnn", text)
    assert config == make_config("gated_pixelcnn", json)
    assert (config.channels, config.dilations, config.dropout) == (16, (1, 2, 4), 0.25)
    assert make_config("nade", {"hidden": "2e2"}).hidden == 200


@pytest.mark.parametrize("spec", [BINARY, GREY, RGB, ImageSpec(1, 1, 1, 2), ImageSpec(3, 1, 1, 256)], ids=str)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_default_models_build_for_every_kind_of_image_and_start_near_uniform(name, spec):
    import torch

    torch.manual_seed(0)
    model = create(name, spec)
    x = torch.randint(0, spec.levels, (2, *spec.shape))
    with torch.inference_mode():
        bits = [spec.bits_per_dim(-value) for value in model.log_prob(x).tolist()]
    assert all(abs(b - torch.tensor(float(spec.levels)).log2().item()) < 0.6 for b in bits)
    assert model.num_parameters == sum(p.numel() for p in model.parameters()) > 0


def test_a_decoder_needs_an_image_and_goes_back_only():
    decoder = create("nade", BINARY).decoder(1)
    assert isinstance(decoder, Decoder)
    decoder.push(decoder.params().argmax(1) * 0)
    for position in (-1, 2):
        with pytest.raises(ValueError, match=f"Cannot rewind from site 1 to {position}"):
            decoder.rewind(position)
    with pytest.raises(ValueError, match="at least one image, not 0"):
        create("nade", BINARY).decoder(0)
