"""`python -m quantroof`: the same as the `quantroof` command."""

from __future__ import annotations

from quantroof.cli.main import main

if __name__ == "__main__":
    main()
