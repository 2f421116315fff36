"""Rendering of point clouds to images. For differentiable rendering, see `pcsr_zoo.differentiable_rendering`."""

from __future__ import annotations

from .image import render, save_image

__all__ = ["render", "save_image"]
