"""`python -m tao_automl` is `tao-automl`."""

from __future__ import annotations

from tao_automl.cli import main

if __name__ == "__main__":
    main()
