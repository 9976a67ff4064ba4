"""What a model must beat: two distributions that know nothing of a pixel's neighbours, and two compressors that do.

    uniform      every level alike                 −log p(x) = D ln L
    histogram    one table of levels per site      p(x) = Π_i (n_i(x_i) + a) / (N + a L)
    gzip, PNG    a file of all images              bytes · 8 ln 2 / images

n_i(v) counts level v at site i in the training split; a = 1 is Laplace's rule of succession (`models/histogram.py`).
The first two are exact distributions over images. A lossless file of b bits is a code, so b ln 2 nats bound what a
distribution with that code would give (Cover & Thomas 2006, ch. 5); all images go into one file, so that its header counts
once, and gzip has seen earlier images when it comes to later ones.
"""

from __future__ import annotations

import gzip
import io
import math

import numpy as np

from arstudio.data import ImageDataset
from arstudio.image import ImageSpec, quantise


def uniform_nats(spec: ImageSpec) -> float:
    """−log p of any image when every level of every site is equally probable, in nats; 0 for reals in [0, 1]."""
    return spec.sites * math.log(spec.levels or 1)


def histogram_nats(train: np.ndarray, validation: np.ndarray, levels: int, smoothing: float = 1.0) -> float:
    """Mean −log p in nats per image of `validation` (M, C, H, W) levels under the Histogram model of `train`
    (N, C, H, W). Raises ConfigError for a smoothing it refuses."""
    # imported here because the window makes its Train panel before torch is loaded
    import torch

    from arstudio.models.histogram import Histogram, HistogramConfig, count_levels

    spec = ImageSpec(*train.shape[1:], levels)
    model = Histogram(spec, HistogramConfig(smoothing=smoothing)).double()
    model.learn(torch.from_numpy(train))
    seen = count_levels(torch.from_numpy(validation), levels)
    with torch.no_grad():
        return -float((seen * model.table[0].log_softmax(1)).sum()) / len(validation)


def compressed_nats(x: np.ndarray, levels: int) -> dict[str, float]:
    """Nats per image of (N, C, H, W) `levels`, N > 0, as gzip and PNG keep them in as few bits a site as they can.

    gzip at its strongest gets whole bytes, eight sites of two levels in one; PNG one picture, all images below each other,
    in 1, 2, 4 or 8 bits a site, with whichever filters Pillow's optimiser takes.
    """
    from PIL import Image

    count, channels, _, width = x.shape
    per_bit = 8 * math.log(2) / count
    packed = np.packbits(x) if levels == 2 else x
    tall = x.transpose(0, 2, 3, 1).reshape(-1, width, channels)
    buffer = io.BytesIO()
    if channels == 3:
        Image.fromarray(np.ascontiguousarray(tall)).save(buffer, "PNG", optimize=True)
    else:
        picture = Image.fromarray(np.ascontiguousarray(tall[..., 0]))
        if levels > 16:
            picture.save(buffer, "PNG", optimize=True)
        else:
            picture.putpalette([v for i in range(levels) for v in (i, i, i)])
            picture.save(buffer, "PNG", optimize=True, bits=1 if levels == 2 else 2 if levels <= 4 else 4)
    zipped = gzip.compress(np.ascontiguousarray(packed).tobytes(), 9, mtime=0)
    return {"gzip": len(zipped) * per_bit, "PNG": len(buffer.getvalue()) * per_bit}


def baseline_nats(data: ImageDataset, images: int) -> dict[str, float]:
    """All baselines on the first `images` validation images, nats per image, as they compare with a model of levels: reals
    are judged at the levels they were dequantised from."""
    levels, seen, judged = data.spec.levels, data.train.x, data.validation.x[:images]
    if not levels:
        levels = data.info.spec.levels
        seen, judged = quantise(seen, levels), quantise(judged, levels)
    spec = ImageSpec(*data.spec.shape, levels)
    found = {"uniform": uniform_nats(spec), "histogram": histogram_nats(seen, judged, levels)}
    return found | compressed_nats(judged, levels)
