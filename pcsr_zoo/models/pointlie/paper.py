"""The paper of PointLIE, and its own rows in its tables 1 and 2."""

from __future__ import annotations

from ..base import Paper, PublishedRow
from ..sources import LIE_1, LIE_2

PAPER = Paper(
    method="PointLIE",
    venue="IJCAI 2021",
    bibtex="""@inproceedings{zhao2021pointlie,
  title     = {{PointLIE}: Locally Invertible Embedding for Point Cloud Sampling and Recovery},
  author    = {Zhao, Weibing and Yan, Xu and Gao, Jiantao and Zhang, Ruimao and Zhang, Jiayan and Li, Zhen and Wu, Song
               and Cui, Shuguang},
  booktitle = {Proceedings of the Thirtieth International Joint Conference on Artificial Intelligence (IJCAI)},
  year      = {2021},
  note      = {arXiv:2104.14769}
}""",
)


PUBLISHED = {
    "pcsr4": PublishedRow("PointLIE", 0.21, 1.71, 2.20, LIE_1),
    "pcsr8": PublishedRow("PointLIE", 0.35, 4.68, 3.37, LIE_1),
    "pcsr16": PublishedRow("PointLIE", 0.61, 9.20, 6.80, LIE_1),
    "up4-random": PublishedRow("PointLIE", 0.32, 4.93, None, LIE_2),
    "up16-512-random": PublishedRow("PointLIE", 1.98, 12.08, None, LIE_2),
}
