"""The paper of MPU, also called 3PU, and its rows in the tables of the papers that compare with it."""

from __future__ import annotations

from ..base import Paper, PublishedRow
from ..sources import LIE_1, LIE_2_SHIFT, SSPU_2

PAPER = Paper(
    method="MPU",
    venue="CVPR 2019",
    bibtex="""@inproceedings{wang2019patch,
  title     = {Patch-based Progressive {3D} Point Set Upsampling},
  author    = {Yifan, Wang and Wu, Shihao and Huang, Hui and Cohen-Or, Daniel and Sorkine-Hornung, Olga},
  booktitle = {Proceedings of the IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2019},
  note      = {arXiv:1811.11286}
}""",
)

PUBLISHED = {
    "pcsr4": PublishedRow("3PU", 0.41, 4.86, 2.72, LIE_1),
    "pcsr8": PublishedRow("3PU", 0.54, 8.91, 3.68, LIE_1),
    "pcsr16": PublishedRow("3PU", 1.02, 14.89, 5.94, LIE_1),
    "up4-random": PublishedRow("MPU", 0.49, 6.11, 3.96, SSPU_2),
    "up16-512-random": PublishedRow("3PU", 2.17, 12.67, None, LIE_2_SHIFT),
}
