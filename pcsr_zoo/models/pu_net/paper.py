"""The paper of PU-Net, and its rows in the tables of the papers that compare with it."""

from __future__ import annotations

from ..base import Paper, PublishedRow
from ..sources import LIE_1, LIE_2_SHIFT, SSPU_2

PAPER = Paper(
    method="PU-Net",
    venue="CVPR 2018",
    bibtex="""@inproceedings{yu2018punet,
  title     = {{PU-Net}: Point Cloud Upsampling Network},
  author    = {Yu, Lequan and Li, Xianzhi and Fu, Chi-Wing and Cohen-Or, Daniel and Heng, Pheng-Ann},
  booktitle = {Proceedings of the IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2018},
  note      = {arXiv:1801.06761}
}""",
)

PUBLISHED = {
    "pcsr4": PublishedRow("PU-Net", 0.49, 4.78, 8.81, LIE_1),
    "pcsr8": PublishedRow("PU-Net", 0.92, 10.21, 14.92, LIE_1),
    "pcsr16": PublishedRow("PU-Net", 1.05, 12.22, 17.38, LIE_1),
    "up4-random": PublishedRow("PU-Net", 0.72, 8.94, 6.84, SSPU_2),
    "up16-512-random": PublishedRow("PU-Net", 2.46, 14.37, None, LIE_2_SHIFT),
}
