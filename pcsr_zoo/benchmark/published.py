"""Published results on PU-GAN's test shapes, copied from the papers and never run by us.

All values of CD, HD and P2F are times 1000. The papers use different conventions and rarely say which, most of them
drew their own test inputs, and their models were trained on other meshes than ours, so comparisons are approximate.
"""

from __future__ import annotations

from ..models.base import PublishedRow
from ..models.registry import model_classes

_LIE_1 = "PointLIE (IJCAI 2021), table 1"
_LIE_2 = "PointLIE (IJCAI 2021), table 2"
_LIE_2_SHIFT = _LIE_2 + "; its x4 column looks shifted by a row, so the name may be wrong"
_SSPU_2 = "SSPU-Net (ACM MM 2021), table 2"
_SSPU_2_LIE = _SSPU_2 + ", and PointLIE, table 2, for CD and HD"
_NEWER = "tables of the papers of 2024 and 2025"

# task -> rows of methods that both papers compare with and that are not models of this package.
_COMPARED: dict[str, tuple[PublishedRow, ...]] = {
    "pcsr4": (
        PublishedRow("PU-Net", 0.49, 4.78, 8.81, _LIE_1),
        PublishedRow("3PU", 0.41, 4.86, 2.72, _LIE_1),
        PublishedRow("PU-GAN", 0.24, 3.16, 1.97, _LIE_1),
        PublishedRow("SampleNet + PU-Net", 0.49, 4.95, 9.02, _LIE_1),
        PublishedRow("SampleNet + PU-GAN", 0.23, 2.89, 1.93, _LIE_1),
    ),
    "pcsr8": (
        PublishedRow("PU-Net", 0.92, 10.21, 14.92, _LIE_1),
        PublishedRow("3PU", 0.54, 8.91, 3.68, _LIE_1),
        PublishedRow("PU-GAN", 0.75, 9.02, 4.57, _LIE_1),
        PublishedRow("SampleNet + PU-Net", 0.89, 10.19, 14.50, _LIE_1),
        PublishedRow("SampleNet + PU-GAN", 0.71, 8.03, 4.57, _LIE_1),
    ),
    "pcsr16": (
        PublishedRow("PU-Net", 1.05, 12.22, 17.38, _LIE_1),
        PublishedRow("3PU", 1.02, 14.89, 5.94, _LIE_1),
        PublishedRow("PU-GAN", 0.84, 14.29, 8.15, _LIE_1),
        PublishedRow("SampleNet + PU-Net", 1.04, 12.55, 18.88, _LIE_1),
        PublishedRow("SampleNet + PU-GAN", 0.80, 14.96, 8.06, _LIE_1),
    ),
    "up4-random": (
        PublishedRow("EAR", 0.52, 7.37, 5.82, _SSPU_2),
        PublishedRow("PU-Net", 0.72, 8.94, 6.84, _SSPU_2),
        PublishedRow("MPU", 0.49, 6.11, 3.96, _SSPU_2),
        PublishedRow("PU-GAN", 0.28, 4.64, 2.33, _SSPU_2_LIE),
    ),
    "up16-512-random": (
        PublishedRow("PU-Net", 2.46, 14.37, None, _LIE_2_SHIFT),
        PublishedRow("3PU", 2.17, 12.67, None, _LIE_2_SHIFT),
        PublishedRow("PU-GAN without discriminator", 2.20, 18.82, None, _LIE_2),
        PublishedRow("PU-GAN", 2.07, 16.59, None, _LIE_2),
    ),
}
# Rows of newer papers.
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
    """The published rows of a task: the rows above and those that model classes declare."""
    declared = {row: None for cls in model_classes().values() if (row := cls.published.get(task)) is not None}
    return [*_COMPARED.get(task, ()), *declared, *_NEWER_ROWS.get(task, ())]
