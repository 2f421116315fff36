"""Published results on PU-GAN's test shapes, copied from the papers and never run by us.

All values of CD, HD and P2F are times 1000. The papers use different conventions and rarely say which, most of them
drew their own test inputs, and their models were trained on other meshes than ours, so comparisons are approximate.
"""

from __future__ import annotations

from ..models.base import PublishedRow
from ..models.registry import model_classes

_NEWER = "tables of the papers of 2024 and 2025"

# task -> rows of newer papers, whose methods are not models of this package.
_NEWER_ROWS: dict[str, tuple[PublishedRow, ...]] = {
    "up4": (
        PublishedRow("Grad-PU", 0.260, 2.462, 1.949, _NEWER),
        PublishedRow("Grad-PU, its own paper", 0.245, 2.369, 1.893, "Grad-PU (CVPR 2023)"),
        PublishedRow("RepKPU", 0.248, 2.880, 1.906, _NEWER),
        PublishedRow("APU-LDI", 0.232, 1.679, 1.338, _NEWER),
        PublishedRow("PU-Gaussian", 0.228, 1.710, 1.660, _NEWER),
    ),
    "up16": (
        PublishedRow("Grad-PU", 0.132, 2.421, 2.190, _NEWER),
        PublishedRow("RepKPU", 0.107, 3.345, 2.068, _NEWER),
        PublishedRow("APU-LDI", 0.092, 1.504, 1.544, _NEWER),
        PublishedRow("PU-Gaussian", 0.079, 1.443, 1.720, _NEWER),
    ),
}


def published_rows(task: str) -> list[PublishedRow]:
    """The published rows of a task: those that model classes declare, then the rows above."""
    declared = {row: None for cls in model_classes().values() if (row := cls.published.get(task)) is not None}
    return [*declared, *_NEWER_ROWS.get(task, ())]
