"""The paper of SSPU-Net, and its own rows in its tables 1 and 2."""

from __future__ import annotations

from ..base import Paper, PublishedRow
from ..sources import SSPU_2

PAPER = Paper(
    method="SSPU-Net",
    venue="ACM MM 2021",
    bibtex="""@inproceedings{zhao2021sspunet,
  title     = {{SSPU-Net}: Self-Supervised Point Cloud Upsampling via Differentiable Rendering},
  author    = {Zhao, Yifan and Hui, Le and Xie, Jin},
  booktitle = {Proceedings of the 29th ACM International Conference on Multimedia},
  year      = {2021},
  note      = {arXiv:2108.00454}
}""",
)


PUBLISHED = {
    "up4": PublishedRow("SSPU-Net", 0.37, 3.47, 4.43, f"{SSPU_2}; how the input was drawn is not said"),
    "up4-random": PublishedRow("SSPU-Net", 0.37, 3.47, 4.43, f"{SSPU_2}; how the input was drawn is not said"),
    "up4-4096": PublishedRow("SSPU-Net", 0.16, 1.83, 3.72, "SSPU-Net (ACM MM 2021), table 1; its own test set"),
}
