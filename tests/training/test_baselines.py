"""The compressors a model is compared with are measured on real files, and are codes: they read back exactly."""

import gzip
import io
import math

import numpy as np
import pytest
from PIL import Image

from arstudio.data import load
from arstudio.image import dequantise
from arstudio.training.baselines import baseline_nats, compressed_nats


@pytest.mark.parametrize(("levels", "channels"), [(2, 1), (4, 1), (16, 1), (17, 1), (256, 1), (8, 3), (256, 3)])
def test_what_compressors_keep_is_what_they_were_given(levels, channels, monkeypatch):
    rng = np.random.default_rng(levels)
    x = rng.integers(0, levels, (12, channels, 6, 5), dtype=np.uint8)
    kept = {}
    real_save, real_gzip = Image.Image.save, gzip.compress
    monkeypatch.setattr(Image.Image, "save", lambda self, to, *a, **k: (real_save(self, to, *a, **k), kept.update(png=to)))
    monkeypatch.setattr(gzip, "compress", lambda data, *a, **k: kept.setdefault("gzip", real_gzip(data, *a, **k)))
    found = compressed_nats(x, levels)
    data = kept["png"].getvalue()
    assert found["PNG"] == pytest.approx(len(data) * 8 * math.log(2) / 12)
    assert found["gzip"] == pytest.approx(len(kept["gzip"]) * 8 * math.log(2) / 12)
    again = np.asarray(Image.open(io.BytesIO(data)), np.uint8).reshape(12, 6, 5, channels).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(again, x)
    flat = np.frombuffer(gzip.decompress(kept["gzip"]), np.uint8)
    flat = np.unpackbits(flat)[:x.size] if levels == 2 else flat
    np.testing.assert_array_equal(flat.reshape(x.shape), x)


def test_noise_cannot_be_compressed_and_one_image_again_and_again_can():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (50, 1, 16, 16), dtype=np.uint8)
    entropy = 256 * math.log(256)
    for nats in compressed_nats(noise, 256).values():
        assert entropy < nats < 1.08 * entropy    # a byte of filter to a row of 16
    for nats in compressed_nats(np.repeat(noise[:1], 50, 0), 256).values():
        assert nats < 0.5 * entropy


def test_baselines_of_digits_stand_in_the_expected_order_and_reals_are_judged_at_their_levels():
    digits = load("digits")
    found = baseline_nats(digits, 100)
    assert list(found) == ["uniform", "histogram", "gzip", "PNG"]
    assert found["histogram"] < found["gzip"] < found["uniform"]
    reals = baseline_nats(load("digits", levels=0), 100)
    assert reals == pytest.approx(found)
    assert dequantise(digits.train.x[:1], 17).dtype == np.float32
