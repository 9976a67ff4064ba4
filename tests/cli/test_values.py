"""Every number an option takes has a range; what lies outside is refused before any work, in a sentence that names the
option, and leaves nothing behind."""

import re

import pytest
from commands import everything_in, refused

NUMBERS = "nan inf"
VALUES = {
    ("sample", "M", "--json"): {
        "count": "0 -1 nan", "seed": "-1 9223372036854775808 1.5", "temperature": f"-1 {NUMBERS}", "top-k": "-1",
        "top-p": f"0 1.5 {NUMBERS}", "guidance": f"-1 {NUMBERS}", "scale": "-1 65",
    },
    ("complete", "M", "digit.png", "--out", "new", "--mask", "top", "--about", "digit.png"): {
        "particles": "1 -5 2000000", "repeats": "0 2000000", "moves": "-1", "seconds": f"-1 {NUMBERS}", "count": "0 -1",
        "certainty": f"-0.1 1.1 {NUMBERS}", "mask": "random:0 random:-1 random:1.1 random:nan",
    },
    ("evaluate", "M"): {"limit": "-1", "batch": "0 -1", "orders": "0"},
    ("evaluate", "completion", "M", "--masks", "top"): {
        "limit": "0 -1", "particles": "0 1 -5 2.5 2000000", "repeats": "0", "moves": "-1", "seed": "-1",
    },
    ("models", "gated_pixelcnn"): {"levels": "-7 -2 1 18 256 100000"},
    ("train", "--dataset", "digits", "--out", "new", "--epochs", "1"): {
        "epochs": f"0 -1 {NUMBERS}", "lr": f"0 -1 -inf {NUMBERS}", "ema": "-0.1 1 nan", "batch": "0 -1", "patience": "-1",
        "levels": "-7 1 18 100000", "size": "-1 9", "cell": "-1", "seed": "-1",
    },
    ("bench", "sampling", "--model", "M"): {"batch": "0 -1 1,0 1.5", "repeats": "0 -1"},
    ("bench", "systems", "--model", "fvsbn"): {"image": "0x4:2 4x4:1 4x4:257 4x4:-1", "batch": "0", "repeats": "0"},
    ("bench", "jacobi",): {"sides": "0 -7 29", "seconds": f"0 -1 {NUMBERS}", "images": "0"},
    ("bench", "training"): {"channels": "0 -1", "batch": "0", "image": "0x0:2 8x8:1 8x8:0 8x6:2", "repeats": "0"},
    ("bench", "models", "--dataset", "digits:17"): {
        "seconds": f"0 -1 {NUMBERS}", "test-images": "-1", "workers": "0", "seed": "-1",
    },
}
CASES = [(command, option, values) for command, options in VALUES.items() for option, values in options.items()]
OTHER_WORDS = {    # what an option is called in the sentences that the window shows too
    "count": "number of images", "lr": "learning_rate", "seconds": "time", "top-k": "top_k", "top-p": "top_p",
    "epochs": "budget", "image": "pixel|levels", "sides": "smaller", "size": "smaller", "cell": "size",
}


@pytest.mark.parametrize(("command", "option", "values"), CASES, ids=[f"{' '.join(c[:2])} {o}" for c, o, _ in CASES])
def test_a_value_outside_its_range_is_refused_and_nothing_is_begun(command, option, values, mess, monkeypatch):
    monkeypatch.chdir(mess)
    before = everything_in(mess)
    for value in values.split():
        sentence = refused(*command, f"--{option}", value)
        assert re.search(f"{option}|{OTHER_WORDS.get(option, option)}", sentence), sentence
        assert everything_in(mess) == before


@pytest.mark.parametrize(("rate", "told"), [("0", "0.0"), ("-0.5", "-0.5"), ("nan", "nan"), ("inf", "inf")])
def test_a_learning_rate_that_learns_nothing_is_refused_by_its_range(rate, told, here):
    sentence = refused("train", "--dataset", "digits", "--epochs", 1, "--out", "new", "--lr", rate)
    assert sentence == f"learning_rate must be above 0 and finite, not {told}."


def test_levels_that_the_images_do_not_have_are_refused_by_their_range():
    assert refused("models", "made", "--levels", -7) == "The number of levels is 0 (continuous) or 2 to 17, not -7."
    assert "fewer, not at 100000" in refused("models", "made", "--dataset", "mnist", "--levels", 100_000)


@pytest.mark.parametrize("options", [("--levels", 2), ("--dataset", "mnist")])
def test_options_of_an_architecture_need_one(options):
    assert "go with an architecture" in refused("models", *options)


@pytest.mark.parametrize(("name", "text", "words"), [
    ("rows.txt", None, "must be named like a .json file"), ("none/rows.json", None, "There is no folder none"),
    ("rows.json", "not json", "rows.json holds no rows of this benchmark"),
    ("rows.json", '{"rows": [{"a": 1}]}', "rows.json holds no rows of this benchmark"),
])
def test_a_file_that_cannot_keep_rows_is_refused_before_the_work(name, text, words, here):
    if text is not None:
        (here / name).write_text(text)
    before = everything_in(here)
    assert words in refused("bench", "models", "--dataset", "digits:17", "--model", "histogram", "--keep", name)
    assert everything_in(here) == before
