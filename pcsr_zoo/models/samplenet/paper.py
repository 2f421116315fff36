"""The paper of SampleNet, and its rows in PointLIE's table 1."""

from __future__ import annotations

from ..base import Paper, PublishedRow

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

_LIE_1 = "PointLIE (IJCAI 2021), table 1"

WITH_PU_GAN = {
    "pcsr4": PublishedRow("SampleNet + PU-GAN", 0.23, 2.89, 1.93, _LIE_1),
    "pcsr8": PublishedRow("SampleNet + PU-GAN", 0.71, 8.03, 4.57, _LIE_1),
    "pcsr16": PublishedRow("SampleNet + PU-GAN", 0.80, 14.96, 8.06, _LIE_1),
}
WITH_PU_NET = {
    "pcsr4": PublishedRow("SampleNet + PU-Net", 0.49, 4.95, 9.02, _LIE_1),
    "pcsr8": PublishedRow("SampleNet + PU-Net", 0.89, 10.19, 14.50, _LIE_1),
    "pcsr16": PublishedRow("SampleNet + PU-Net", 1.04, 12.55, 18.88, _LIE_1),
}
