"""Pictures of clouds."""

from __future__ import annotations

from .image import render, save_image

__all__ = ["render", "save_image"]
