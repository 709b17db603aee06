"""The registry by the address that scripts know it by; it lives in `goralx.discovery`."""

from __future__ import annotations

from .discovery import registry

__all__ = ["registry"]
