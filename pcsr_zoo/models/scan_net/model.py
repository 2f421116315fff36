"""`scan-net`: new rings between the rings of a spinning LiDAR scan, by a small network over rings and azimuths.

For each ray, geometry gives several hypotheses: the surface through the points below and above, one of these surfaces
continued, one of their ranges, an upright or a level surface. The network says which of them is right, with what
precision, and whether the ray returns at all. The method is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...errors import OptionError
from ...geometry.spinning.hypotheses import hypotheses
from ..base import Context, Learned, ScanLineUpsampler

if TYPE_CHECKING:
    from ...geometry.spinning.scan import Floats, Integers, Scan


class ScanNet(Learned, ScanLineUpsampler):
    """Chooses among hypotheses for each ray.

    Args:
        width: see `ScanNetwork`.
    """

    name = "scan-net"
    summary = "spinning LiDAR: new rings whose rays choose among surfaces by a small network, with a confidence"
    source = "ours"
    least_confidence = 0.5
    figures: ClassVar[Mapping[str, str]] = {
        "score": "negative log-likelihood of log range, and cross entropy of returns",
        "near2": "share of dared rays within .1 m, every second ring withheld",
        "near4": "the same, three of four rings withheld",
        "false2": "share of dared rays that return nothing or are farther off than .5 m, every second ring withheld",
        "false4": "the same, three of four rings withheld",
    }

    def __init__(self, width: int = 24) -> None:
        from .network import ScanNetwork

        if isinstance(width, bool) or not isinstance(width, int) or not 3 <= width <= 512:
            raise OptionError(f"width must be a whole number from 3 to 512, got {width!r}")
        self.arguments = {"width": width}
        self.network = ScanNetwork(width).eval()

    def recipe(self, **options: Any) -> Any:
        from .recipe import ScanNetRecipe

        return ScanNetRecipe(self.network, **options)

    def ranges(
        self, scan: Scan, below: Integers, elevation: Floats, azimuth: Floats, context: Context
    ) -> tuple[Floats, Floats]:
        import torch

        from .features import ray_features
        from .mixture import best_guess

        network = self.network.to(context.device)
        encoded = context.cache.get("scan-net")
        if encoded is None or encoded[0] is not scan:
            encoded = context.cache["scan-net"] = (scan, self._encode(scan, context))
        features = encoded[1]
        column = scan.column(azimuth)
        rings, inverse, found = scan.around(below, azimuth)
        guesses = hypotheses(elevation, rings, inverse, found)
        ray = torch.from_numpy(ray_features(elevation, rings, guesses, found)).to(context.device)
        possible = torch.from_numpy(guesses.possible).to(context.device)
        log = torch.from_numpy(-np.log(guesses.inverse).astype(np.float32)).to(context.device)
        with torch.inference_mode():
            said = network.decode(features[below, column], features[below + 1, column], ray, possible)
            ranges, confidence = best_guess(log, possible, *said)
        return ranges.cpu().numpy().astype(np.float64), confidence.cpu().numpy().astype(np.float64)

    def _encode(self, scan: Scan, context: Context) -> Any:
        """The features (R, W, F) of all pixels of a scan."""
        import torch

        from .features import image_features

        elevation, inverse, found = scan.at_columns()
        image = image_features(inverse, elevation, found)
        with torch.inference_mode():
            features = self.network.encode(torch.from_numpy(image[None]).to(context.device), True)
        return features[0].permute(1, 2, 0)
