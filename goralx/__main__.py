"""``python -m goralx`` is the console script ``goralx``."""

from goralx.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
