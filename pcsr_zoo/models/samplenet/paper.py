"""The paper of SampleNet, and its rows in PointLIE's table 1."""

from __future__ import annotations

from ..base import Paper, PublishedRow
from ..sources import LIE_1

PAPER = Paper(
    method="SampleNet",
    venue="CVPR 2020",
    bibtex="""@inproceedings{lang2020samplenet,
  title     = {{SampleNet}: Differentiable Point Cloud Sampling},
  author    = {Lang, Itai and Manor, Asaf and Avidan, Shai},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2020},
  note      = {arXiv:1912.03663}
}""",
)

WITH_PU_GAN = {
    "pcsr4": PublishedRow("SampleNet + PU-GAN", 0.23, 2.89, 1.93, LIE_1),
    "pcsr8": PublishedRow("SampleNet + PU-GAN", 0.71, 8.03, 4.57, LIE_1),
    "pcsr16": PublishedRow("SampleNet + PU-GAN", 0.80, 14.96, 8.06, LIE_1),
}
WITH_PU_NET = {
    "pcsr4": PublishedRow("SampleNet + PU-Net", 0.49, 4.95, 9.02, LIE_1),
    "pcsr8": PublishedRow("SampleNet + PU-Net", 0.89, 10.19, 14.50, LIE_1),
    "pcsr16": PublishedRow("SampleNet + PU-Net", 1.04, 12.55, 18.88, LIE_1),
}
