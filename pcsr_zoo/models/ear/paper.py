"""The paper of EAR, and its rows in the tables of the papers that compare with it."""

from __future__ import annotations

from ..base import Paper, PublishedRow
from ..sources import SSPU_2

PAPER = Paper(
    method="EAR",
    venue="ACM TOG 2013",
    bibtex="""@article{huang2013ear,
  title   = {Edge-Aware Point Set Resampling},
  author  = {Huang, Hui and Wu, Shihao and Gong, Minglun and Cohen-Or, Daniel and Ascher, Uri and Zhang, Hao},
  journal = {ACM Transactions on Graphics},
  volume  = {32},
  number  = {1},
  year    = {2013}
}""",
)

PUBLISHED = {"up4-random": PublishedRow("EAR", 0.52, 7.37, 5.82, SSPU_2)}
