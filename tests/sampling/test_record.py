"""A drawing as a file: it reads back as it was, and a damaged one gives a sentence."""

import numpy as np
import pytest

from arstudio.image import ImageSpec
from arstudio.sampling import Recipe, SampleSettings
from arstudio.sampling.record import ARRAYS, RecordError, encode, read_about, read_trace


@pytest.mark.parametrize(("name", "spec", "order"), [
    ("eonade", ImageSpec(1, 3, 4, 5), "random"), ("rnade", ImageSpec(1, 2, 3, 0), ""), ("pixelcnn", ImageSpec(3, 2, 3, 4), ""),
])
def test_a_drawing_reads_back_as_it_was(random_model, tmp_path, name, spec, order):
    trace = Recipe(SampleSettings(seed=3), 2, None, order, 7).draw(random_model(name, spec)).trace
    path = tmp_path / "one.safetensors"
    path.write_bytes(encode(trace, {"label": "Ä"}))
    assert read_about(path) == {"label": "Ä"}
    found = read_trace(path)
    assert found.spec == spec
    assert found.order == trace.order
    assert found.cursor == trace.cursor
    assert all(np.array_equal(getattr(found, name), getattr(trace, name)) for name in ARRAYS)
    assert len(found.pmfs) == 0
    assert np.array_equal(found.images(), trace.images())


def test_files_that_hold_no_drawing_give_a_sentence(random_model, tmp_path):
    from arstudio.models import save_model

    model = random_model("nade", ImageSpec(1, 3, 4, 5))
    data = encode(Recipe().draw(model).trace, {})
    save_model(tmp_path / "model.safetensors", model)
    for name, content in (("empty", b""), ("short", data[:200]), ("text", b"hello")):
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    (tmp_path / "other.safetensors").write_bytes(data.replace(b"raster", b"rooster"[:6]))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(RecordError, match=path.name):
            read_trace(path)
    with pytest.raises(RecordError, match="There is no"):
        read_trace(tmp_path / "nothing")
