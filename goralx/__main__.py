"""``python -m goralx`` is the console script ``goralx``."""

from .app import main

if __name__ == "__main__":
    raise SystemExit(main())
