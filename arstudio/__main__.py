"""Entry point: `arstudio` opens the window, `arstudio COMMAND` runs one command. Neither loads the other's libraries."""

from __future__ import annotations

import sys

from arstudio.openmp import wait_briefly


def main() -> int | None:
    """Open the window when there is no argument, else hand over to the command line."""
    wait_briefly()
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
