"""The paper of PU-GAN, and its rows in the tables of the papers that compare with it."""

from __future__ import annotations

from ..base import Paper, PublishedRow
from ..sources import LIE_1, LIE_2, SSPU_2

PAPER = Paper(
    method="PU-GAN",
    venue="ICCV 2019",
    bibtex="""@inproceedings{li2019pugan,
  title     = {{PU-GAN}: a Point Cloud Upsampling Adversarial Network},
  author    = {Li, Ruihui and Li, Xianzhi and Fu, Chi-Wing and Cohen-Or, Daniel and Heng, Pheng-Ann},
  booktitle = {Proceedings of the IEEE International Conference on Computer Vision (ICCV)},
  year      = {2019},
  note      = {arXiv:1907.10844}
}""",
)

_WITHOUT = "PU-GAN without discriminator"

PUBLISHED = {
    "pcsr4": PublishedRow("PU-GAN", 0.24, 3.16, 1.97, LIE_1),
    "pcsr8": PublishedRow("PU-GAN", 0.75, 9.02, 4.57, LIE_1),
    "pcsr16": PublishedRow("PU-GAN", 0.84, 14.29, 8.15, LIE_1),
    "up4-random": PublishedRow("PU-GAN", 0.28, 4.64, 2.33, f"{SSPU_2}, and PointLIE, table 2, for CD and HD"),
    "up16-512-random": PublishedRow("PU-GAN", 2.07, 16.59, None, LIE_2),
}
PUBLISHED_WITHOUT = {
    "up4-random": PublishedRow(_WITHOUT, 0.57, 7.25, None, LIE_2),
    "up16-512-random": PublishedRow(_WITHOUT, 2.20, 18.82, None, LIE_2),
}
