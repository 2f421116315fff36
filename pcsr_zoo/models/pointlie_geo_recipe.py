"""How `pointlie-geo` is trained: its invertible network as `pointlie`, its surface as `jetnet`, or taken from there."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import OptionError
from .pointlie_recipe import PointLIERecipe


class PointLIEGeoRecipe(PointLIERecipe):
    """The recipe of `PointLIE` for the invertible network; the surface is a trained one and stays as it is.

    Args:
        network: that of a `PointLIEGeo`.
        surface: the checkpoint of a `jetnet` (a name or a folder) from which the surface comes; None leaves the surface
            of the network as it is, as when a trained `pointlie-geo` is trained further.
        options: of `PointLIERecipe`.
    """

    def __init__(self, network: torch.nn.Module, surface: str | None = "jetnet", **options: Any) -> None:
        from ..registry import load
        from .jetnet import JetNet

        super().__init__(network, **options)
        kept: Any = network.surface
        if surface is not None:
            trained = load(surface)
            if not isinstance(trained, JetNet):
                raise OptionError(f"surface: '{surface}' is no jetnet; give the name or the folder of one")
            try:
                kept.load_state_dict(trained.network.state_dict())
            except RuntimeError as error:
                raise OptionError(
                    f"surface: '{surface}' does not fit: {error}; give its arguments as arguments.surface"
                ) from None
        kept.requires_grad_(False)
