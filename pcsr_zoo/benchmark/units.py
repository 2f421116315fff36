"""What each number of `evaluate`, `benchmark` and `roundtrip` is: which distance, in which unit and frame."""

from __future__ import annotations

from ..metrics.conventions import Convention, get_convention


def units(convention: str | Convention) -> dict[str, str]:
    """Describe the metrics under a convention, without the factor of 1000 of printed tables.

    Returns:
        For each of cd, hd, p2f_mean, p2f_std, emd and uniformity one line: the distance, its unit and its frame.
    """
    rules = get_convention(convention)
    kind = "squared distance" if rules.squared else "distance"
    frame = (
        "each cloud scaled to the unit sphere at its own mean"
        if rules.own_frames
        else "both clouds scaled by the unit sphere of the ground truth"
    )

    def of_both(what: str, summed: bool, halved: bool) -> str:
        if not summed:
            return f"{'half the ' if halved else ''}larger {what} of both directions"
        return f"{what}, {'mean' if halved else 'sum'} of both directions"

    radius = "radius^2" if rules.squared else "radius"
    return {
        "cd": f"{of_both(f'mean {kind}', True, rules.halved_chamfer)}; in units of the {radius}, {frame}",
        "hd": f"{of_both(f'maximum {kind}', rules.summed, rules.halved_hausdorff)}; in units of the {radius}, {frame}",
        "p2f_mean": "mean distance to the mesh; in the unit of the files, not scaled",
        "p2f_std": "standard deviation of the distance to the mesh; in the unit of the files, not scaled",
        "emd": f"mean distance of the best one-to-one assignment; in units of the radius, {frame}",
        "uniformity": "PU-GAN's uniformity for disks of these shares of the area; without unit",
    }
