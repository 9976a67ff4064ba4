"""How long torch's worker threads spin while they wait for each other. To be called before torch is loaded."""

from __future__ import annotations

import os


def wait_briefly() -> None:
    """Let threads spin for some 0.1 ms, then sleep, unless the environment says otherwise.

    Spinning on, which is OpenMP's default, makes a training step ten times slower on a machine that also does something
    else; never spinning makes one slower on a machine that does not, where waking a thread takes longer than many of its
    products (figures in arstudio/README.md). GNU's OpenMP counts rounds, LLVM's and Intel's milliseconds.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
        os.environ.setdefault("KMP_BLOCKTIME", "1")
