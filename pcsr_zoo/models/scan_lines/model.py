"""`scan-lines`: new rings between the rings of a spinning LiDAR scan, on the planes through their neighbors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...geometry.spinning.hypotheses import NAMES, hypotheses
from ..base import Context, ScanLineUpsampler

if TYPE_CHECKING:
    from ...geometry.spinning.hypotheses import Floats
    from ...geometry.spinning.scan import Integers, Scan

_K = {name: k for k, name in enumerate(NAMES)}


class ScanLines(ScanLineUpsampler):
    """A ray between two rings hits the surface through its neighbors below and above, if they lie on one.

    They do if the surface through the two points below, or that through the two points above, goes on to the other
    side, or if their ranges are almost equal. Otherwise there is a depth edge between them: the ray takes the range of
    the nearer ring, with less confidence.

    Args:
        agreement: relative differences of ranges below this count as agreement.
    """

    name = "scan-lines"
    summary = "spinning LiDAR: new rings on planes in 1 / range, none across depth edges; no training"
    source = "ours"
    least_confidence = 0.4

    def __init__(self, agreement: float = 0.03) -> None:
        self.agreement = agreement

    def ranges(
        self, scan: Scan, below: Integers, elevation: Floats, azimuth: Floats, context: Context
    ) -> tuple[Floats, Floats]:
        rings, inverse, found = scan.around(below, azimuth)
        guesses = hypotheses(elevation, rings, inverse, found)
        log = np.where(guesses.possible, -np.log(guesses.inverse), np.nan)
        through = log[:, _K["through"]]
        apart = np.abs(log - through[:, None])
        with np.errstate(invalid="ignore"):
            bend = np.fmin(apart[:, _K["on"]], apart[:, _K["back"]])
            jump = np.abs(log[:, _K["below"]] - log[:, _K["above"]])
        difference = np.fmin(bend, jump)
        smooth = np.nan_to_num(difference, nan=np.inf) < self.agreement
        between = (elevation - rings[:, 1]) / np.maximum(rings[:, 2] - rings[:, 1], 1e-9)
        nearer = np.where(between < 0.5, log[:, _K["below"]], log[:, _K["above"]])
        chosen = np.where(smooth, through, nearer)
        sure = 1 - 0.5 * np.nan_to_num(difference, nan=1.0) / self.agreement
        edge = 0.4 * np.abs(2 * between - 1)
        both = guesses.possible[:, _K["through"]]
        confidence = np.where(both & np.isfinite(chosen), np.where(smooth, sure, edge), 0.0)
        return np.exp(np.where(np.isfinite(chosen), chosen, 0.0)), confidence
