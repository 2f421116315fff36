"""Captions of a picture: a title below each column, and the legend of the colors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .coloring import Coloring, ramp, swatches


def with_captions(
    pixels: NDArray[np.float64], column: int, titles: list[str], colors: Coloring, paper: NDArray[np.float64]
) -> Image.Image:
    """Panels (H, W, 3) in [0, 1], with titles for columns of `column` pixels and the legend below."""
    text_size = int(np.clip(column / 30, 11, 24))
    line = int(text_size * 1.4)
    lines = max(title.count("\n") + 1 for title in titles)
    legend = int(line * 3.2) if colors.span or colors.classes else 0
    height = len(pixels) + lines * line + line // 2 + legend
    canvas = np.broadcast_to(paper, (height, pixels.shape[1], 3)).copy()
    canvas[: len(pixels)] = pixels
    image = Image.fromarray(np.round(canvas * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    on_dark = float(paper @ [0.3, 0.59, 0.11]) < 0.5
    ink, faint = ((235, 235, 235), (170, 170, 170)) if on_dark else ((35, 40, 48), (105, 112, 122))
    font = ImageFont.load_default(text_size)
    for i, title in enumerate(titles):
        for k, text in enumerate(title.split("\n")):
            place = (i * column + column / 2, len(pixels) + (k + 0.5) * line)
            draw.text(place, _shortened(text, font, column - text_size), faint if k else ink, font, anchor="mm")
    if legend:
        middle = height - legend + line
        draw_legend = _draw_bar if colors.span else _draw_swatches
        draw_legend(image, colors, middle, line, font, ink)
    return image


def _shortened(text: str, font: Any, width: float) -> str:
    """The text; if it is wider than `width` pixels, its middle is replaced by an ellipsis."""
    if font.getlength(text) <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        short = f"{text[: (keep + 1) // 2]}...{text[-(keep // 2) :]}"
        if font.getlength(short) <= width:
            return short
    return text[:1]


def _draw_bar(
    image: Image.Image, colors: Coloring, middle: int, line: int, font: Any, ink: tuple[int, int, int]
) -> None:
    assert colors.span is not None
    low, high = colors.span
    draw = ImageDraw.Draw(image)
    width, thick = int(min(image.width * 0.4, 480)), max(line // 2, 4)
    left, top = (image.width - width) // 2, middle - thick // 2
    stripe = ramp(np.linspace(0, 1, width))[None].repeat(thick, axis=0)
    image.paste(Image.fromarray(np.round(stripe * 255).astype(np.uint8)), (left, top))
    gap = line // 2
    room = left - 2 * gap
    first = ("<= " if colors.clipped[0] else "") + f"{low:.4g}"
    last = (">= " if colors.clipped[1] else "") + f"{high:.4g}"
    draw.text((left - gap, middle), _shortened(first, font, room), ink, font, anchor="rm")
    draw.text((left + width + gap, middle), _shortened(last, font, room), ink, font, anchor="lm")
    name = _shortened(colors.name, font, image.width - 2 * gap)
    draw.text((image.width / 2, middle + thick // 2 + line * 0.8), name, ink, font, anchor="mm")


def _draw_swatches(
    image: Image.Image, colors: Coloring, middle: int, line: int, font: Any, ink: tuple[int, int, int]
) -> None:
    draw = ImageDraw.Draw(image)
    side, gap = line * 0.7, line * 0.4
    labels = [f"{value:g}" for value in colors.classes]
    widths = [side + gap / 2 + font.getlength(label) + gap * 1.5 for label in labels]
    x = (image.width - sum(widths)) / 2
    for label, width, rgb in zip(labels, widths, swatches(len(labels)), strict=True):
        fill = tuple(int(v) for v in np.round(rgb * 255))
        draw.rectangle((x, middle - side / 2, x + side, middle + side / 2), fill=fill)
        draw.text((x + side + gap / 2, middle), label, ink, font, anchor="lm")
        x += width
    name = _shortened(colors.name, font, image.width - line)
    draw.text((image.width / 2, middle + line * 1.1), name, ink, font, anchor="mm")
