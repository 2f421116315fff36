"""The paper of PU-GAN, and its rows in the tables of the papers that compare with it."""

from __future__ import annotations

from ..base import Paper, PublishedRow

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

_LIE_1, _LIE_2 = "PointLIE (IJCAI 2021), table 1", "PointLIE (IJCAI 2021), table 2"
_WITHOUT = "PU-GAN without discriminator"

PUBLISHED = {
    "pcsr4": PublishedRow("PU-GAN", 0.24, 3.16, 1.97, _LIE_1),
    "pcsr8": PublishedRow("PU-GAN", 0.75, 9.02, 4.57, _LIE_1),
    "pcsr16": PublishedRow("PU-GAN", 0.84, 14.29, 8.15, _LIE_1),
    "up4-random": PublishedRow(
        "PU-GAN", 0.28, 4.64, 2.33, "SSPU-Net (ACM MM 2021), table 2, and PointLIE, table 2, for CD and HD"
    ),
    "up16-512-random": PublishedRow("PU-GAN", 2.07, 16.59, None, _LIE_2),
}
PUBLISHED_WITHOUT = {
    "up4-random": PublishedRow(_WITHOUT, 0.57, 7.25, None, _LIE_2),
    "up16-512-random": PublishedRow(_WITHOUT, 2.20, 18.82, None, _LIE_2),
}
