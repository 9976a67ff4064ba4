"""Entry point: `arstudio` opens the window, `arstudio COMMAND` runs one command. Neither loads the other's libraries."""

from __future__ import annotations

import os
import sys


def main() -> int | None:
    """Open the window when there is no argument, else hand over to the command line.

    torch's worker threads sleep instead of spinning while they wait for each other: on a machine that also does
    something else (drawing while training, another program) spinning made a training step ten times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if len(sys.argv) == 1:
        from arstudio.gui.app import main as window

        return window()
    try:
        from arstudio.cli import main as command

        return command()
    except KeyboardInterrupt:    # before the command line was there to answer it
        return 130


if __name__ == "__main__":
    sys.exit(main())
