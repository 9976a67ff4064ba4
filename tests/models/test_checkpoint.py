"""Model files come back as they were, and a bad one is refused in one sentence without touching anything."""

import errno
import json
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from arstudio.image import ImageSpec
from arstudio.models import MODELS, load_model, save_model
from arstudio.models.checkpoint import card_of, encode_model
from arstudio.models.modelfile import (
    Facts,
    ModelFileError,
    WriteError,
    find_model,
    read_card,
    write_atomically,
)

SPEC = ImageSpec(1, 4, 5, 3)
SMALL = {
    "nade": {"hidden": 5}, "pixelcnn": {"channels": 6, "blocks": 2, "head": 5},
    "gated_pixelcnn": {"channels": 6, "dilations": (1, 2), "head": 5},
}
FACTS = Facts(dataset="digits", protocol="native", nats=12.5, images=3, seed=0, command="train …", epochs=2.5)


@pytest.fixture
def file(tmp_path, random_model):
    """A small, whole model file."""
    path = tmp_path / "small.safetensors"
    save_model(path, random_model("nade", SPEC, 2, hidden=5), ("nought", "one"), FACTS)
    return path


def refused(path, sentence, how=load_model):
    """Opening raises one sentence that matches, and leaves the file as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ModelFileError, match=sentence) as caught:
        how(path)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert "Traceback" not in message
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_comes_back_bit_for_bit(name, tmp_path, random_model):
    model = random_model(name, SPEC, 3, **SMALL.get(name, {}))
    save_model(tmp_path / "m.safetensors", model, ("a", "b", "ç"), FACTS)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    again, card = load_model(tmp_path / "m.safetensors")
    assert torch.equal(torch.get_rng_state(), state), "loading used the global generator"
    assert not again.training
    assert (again.spec, again.config, again.num_classes) == (model.spec, model.config, 3)
    assert (card.class_names, card.facts, card.name, card.title) == (("a", "b", "ç"), FACTS, "m", model.title)
    old, new = model.state_dict(), again.state_dict()
    assert old.keys() == new.keys()
    assert all(torch.equal(old[key], new[key]) for key in old)
    x = torch.randint(0, 3, (4, *SPEC.shape))
    assert torch.equal(again.log_prob(x, 1), model.log_prob(x, 1))


def test_half_precision_halves_the_file_and_keeps_three_digits(tmp_path, random_model):
    model = random_model("nade", SPEC, hidden=64)
    save_model(tmp_path / "full.safetensors", model)
    save_model(tmp_path / "half.safetensors", model, half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    again, _ = load_model(tmp_path / "half.safetensors")
    assert again.dtype == torch.float32
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
        assert torch.equal(b, a.half().float())


def test_a_training_checkpoint_opens_with_its_averaged_weights(tmp_path, random_model):
    new, mean = random_model("nade", SPEC, hidden=5, seed=1), random_model("nade", SPEC, hidden=5, seed=2)
    tensors = {f"weights.{key}": value for key, value in new.state_dict().items()}
    tensors |= {f"ema.{key}": value for key, value in mean.state_dict().items()}
    tensors["adam.0.step"] = torch.ones(1)
    (tmp_path / "latest.safetensors").write_bytes(encode_model(card_of(new), tensors))
    model, card = load_model(tmp_path)
    assert torch.equal(model.W, mean.W)
    assert card.name == tmp_path.name
    save_model(tmp_path / "best.safetensors", new)
    assert find_model(tmp_path).name == "best.safetensors"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.9, 0.999])
def test_a_truncated_file_is_refused(file, share):
    whole = file.read_bytes()
    file.write_bytes(whole[:int(share * len(whole))])
    refused(file, r"small\.safetensors is damaged, cut short or not a safetensors file")


def test_random_bytes_are_refused(file):
    rng = np.random.default_rng(0)
    for size in (1, 7, 8, 9, 100, 5000):
        file.write_bytes(b"\x07" + rng.bytes(size))
        refused(file, "damaged, cut short or not a safetensors file")


def test_a_bit_flipped_anywhere_never_shows_a_stack_trace(file):
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    header = int.from_bytes(whole[:8], "little")
    refusals = []
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.integers(0, header + 8)] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        try:
            load_model(file)
        except ModelFileError as error:
            refusals.append(str(error))
    assert len(refusals) > 75
    assert all(sentence.endswith(".") for sentence in refusals)


class Evil:
    """A pickle of this would make a file when opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["torch", "torch-legacy", "pickle-2", "pickle-4", "pickle-5"])
def test_a_renamed_pickle_is_named_as_one_and_never_opened(tmp_path, kind):
    path, mark = tmp_path / "model.safetensors", tmp_path / "code ran"
    if kind.startswith("torch"):
        torch.save({"weights": Evil(mark)}, path, _use_new_zipfile_serialization=kind == "torch")
    else:
        path.write_bytes(pickle.dumps(Evil(mark), protocol=int(kind[-1])))
    refused(path, r"model\.safetensors is a pickle or zip archive, not safetensors; .* can run code\.")
    refused(path, "never opens pickles", read_card)
    assert not mark.exists()


def test_no_length_of_the_header_makes_a_good_file_look_like_a_pickle(tmp_path, random_model):
    """Safetensors begin with the length of the header, a multiple of 8 that ends in 0x80 one time in 32."""
    model, first_bytes = random_model("nade", SPEC, hidden=3), set()
    for extra in range(0, 264, 8):
        path = tmp_path / f"{extra}.safetensors"
        save_model(path, model, facts=Facts(command="x" * extra))
        first_bytes.add(path.read_bytes()[0])
        assert load_model(path)[1].facts.command == "x" * extra
    assert 0x80 in first_bytes


def test_a_file_of_another_program_is_refused(file):
    save_file({"layer.weight": torch.ones(3)}, file)
    refused(file, r"small\.safetensors is .* file of another program: it has no AR Studio header\.")
    save_file({"layer.weight": torch.ones(3)}, file, metadata={"format": "pt"})
    refused(file, "another program")


def rewrite(file, change):
    """Give a model file a changed header."""
    header = card_of(load_model(file)[0], ("nought", "one"), FACTS).header()
    change(header)
    save_file(load_file(file), file, metadata={"arstudio": json.dumps(header)})


def put(key, value):
    return lambda header: header.update({key: value})


HEADERS = [
    (put("format", 2), r"written by a newer AR Studio \(format 2, this one reads 1\); update AR Studio"),
    (put("format", "1"), "damaged AR Studio header"),
    (put("model", "diffusion"), "of kind 'diffusion', which this AR Studio does not have; it has .*fvsbn"),
    (put("model", ["nade"]), "damaged AR Studio header"),
    (put("model", "fvsbn"), "cannot be opened: FVSBN has no setting 'hidden'"),
    (put("config", {"hidden": -1}), "cannot be opened: hidden must be at least 1, not -1"),
    (put("config", {"hidden": "x"}), "cannot be opened: The setting hidden must be a whole number"),
    (put("config", ["hidden"]), "damaged AR Studio header"),
    (put("config", {"hidden": 6}), r"The weights in small\.safetensors do not fit its header"),
    (put("num_classes", 4), "do not fit its header"),
    (put("num_classes", 0), "do not fit its header"),
    (put("num_classes", -1), "cannot be opened: num_classes must be 0 or more"),
    (put("num_classes", "two"), "damaged AR Studio header"),
    (put("num_classes", 10**14), "does not fit into memory"),
    (put("spec", {"channels": 1, "height": 4, "width": 4, "levels": 3}), "do not fit its header"),
    (put("spec", {"channels": 2, "height": 4, "width": 5, "levels": 3}), "damaged .* header .*1 channel"),
    (put("spec", {"channels": 1, "height": 4, "width": 5, "levels": 0}), "needs integer levels"),
    (put("spec", {"channels": 1}), "damaged AR Studio header"),
    (put("spec", 7), "damaged AR Studio header"),
    (put("class_names", 3), "damaged AR Studio header"),
    (put("class_names", [3]), "damaged AR Studio header"),
    (put("facts", []), "damaged AR Studio header"),
    (put("facts", {"nats": "low"}), "damaged AR Studio header"),
    (put("facts", {"dataset": None}), "damaged AR Studio header"),
    (lambda header: header.pop("spec"), "damaged AR Studio header"),
]


@pytest.mark.parametrize(("change", "sentence"), HEADERS)
def test_a_header_that_is_wrong_says_how(file, change, sentence):
    rewrite(file, change)
    refused(file, sentence)


@pytest.mark.parametrize("text", ["", "[]", "7", "{", '{"format": 1}', "[" * 100_000], ids=len)
def test_a_header_that_is_no_record_is_refused(file, text):
    save_file(load_file(file), file, metadata={"arstudio": text})
    refused(file, "damaged AR Studio header")


def test_a_fact_of_a_later_version_is_overlooked(file):
    rewrite(file, lambda header: header["facts"].update(carbon=3))
    assert load_model(file)[1].facts == FACTS


def test_tensors_with_other_names_do_not_fit(file):
    model, card = load_model(file)
    state = model.state_dict()
    file.write_bytes(encode_model(card, {f"weights.{key}x": value for key, value in state.items()}))
    refused(file, "do not fit its header")
    file.write_bytes(encode_model(card, {}))
    refused(file, "do not fit its header")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, random_model, value):
    model = random_model("gated_pixelcnn", ImageSpec(1, 4, 4, 3), channels=4, head=4, dilations=(1,))
    with torch.no_grad():
        next(model.parameters()).view(-1)[-1] = value
    save_model(tmp_path / "diverged.safetensors", model)
    with pytest.raises(ModelFileError, match=r"^diverged\.safetensors holds weights that are not finite numbers; use another"):
        load_model(tmp_path / "diverged.safetensors")


def test_what_is_not_there_is_said_to_be_missing(tmp_path):
    refused(tmp_path / "none.safetensors", "There is no model '.*none.safetensors': give a model file")
    refused(tmp_path, "is not a run directory: it holds neither best.safetensors nor latest.safetensors")
    refused(tmp_path / "none", "There is no model file", read_card)


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_file_whole(file, random_model, monkeypatch, call):
    before = file.read_bytes()
    monkeypatch.setattr(os, call, no_space)
    with pytest.raises(WriteError) as caught:
        save_model(file, random_model("nade", SPEC, hidden=9))
    assert str(caught.value) == (
        f"{file} could not be written (No space left on device); what was there before is unchanged."
    )
    assert caught.value.errno == errno.ENOSPC
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_ctrl_c_while_writing_leaves_the_old_file_whole(file, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    before = file.read_bytes()
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, b"half")
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_folder_that_is_not_there_is_a_sentence_too(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError, match=r"could not be written \(No such file or directory\); what was"):
        write_atomically(tmp_path / "none" / "m.safetensors", b"")
    with pytest.raises(WriteError, match=r"\(Not a directory\)"):
        write_atomically(tmp_path / "file" / "m.safetensors", b"")


def test_a_new_file_is_as_readable_as_any_other(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode
