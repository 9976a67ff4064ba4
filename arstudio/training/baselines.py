"""What a model must beat: two distributions that know nothing of a pixel's neighbours.

    uniform      every level alike                 −log p(x) = D ln L
    histogram    one table of levels per site      p(x) = Π_i (n_i(x_i) + a) / (N + a L)

n_i(v) counts level v at site i in the training split; a = 1 is Laplace's rule of succession (`models/histogram.py`).
Both are exact distributions over images, so their figures stand beside a model's.
"""

from __future__ import annotations

import math

import numpy as np

from arstudio.image import ImageSpec


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
