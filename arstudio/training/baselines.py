"""What a model must beat: two distributions that know nothing of a pixel's neighbours.

    uniform      every level alike                 −log p(x) = D ln L
    histogram    one table of levels per site      p(x) = Π_i (n_i(x_i) + a) / (N + a L)

n_i(v) counts level v at site i in the training split; a = 1 is Laplace's rule of succession. Both are exact
distributions over images, so their figures stand beside a model's.
"""

from __future__ import annotations

import math

import numpy as np

from arstudio.image import ImageSpec


def uniform_nats(spec: ImageSpec) -> float:
    """−log p of any image when every level of every site is equally probable, in nats."""
    return spec.sites * math.log(spec.levels)


def histogram_nats(train: np.ndarray, validation: np.ndarray, levels: int, smoothing: float = 1.0) -> float:
    """Mean −log p in nats per image of `validation` (M, C, H, W) levels under per-site counts of `train`
    (N, C, H, W). Laplace 1814."""
    sites = int(np.prod(train.shape[1:]))
    offset = np.arange(sites) * levels
    counts = np.zeros(sites * levels, dtype=np.int64)
    for start in range(0, len(train), 1024):
        x = train[start:start + 1024].reshape(-1, sites).astype(np.int64)
        counts += np.bincount((x + offset).ravel(), minlength=sites * levels)
    log_p = np.log((counts + smoothing) / (len(train) + smoothing * levels))
    total = 0.0
    for start in range(0, len(validation), 1024):
        x = validation[start:start + 1024].reshape(-1, sites).astype(np.int64)
        total -= float(log_p[x + offset].sum())
    return total / len(validation)
