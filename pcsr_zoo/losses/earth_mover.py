"""The earth mover's distance as a loss. Points are matched by assignment; gradients flow through matched pairs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..layers.picking import gather

_THREADS = 8


def earth_mover_loss(
    a: Tensor, b: Tensor, unit: Tensor | float = 1.0, squared: bool = False, exact: bool = True
) -> Tensor:
    """Mean over the batch of EMD(a, b) = min over bijections f of mean_i |a_i - b_f(i)| / unit.

    Fan, Su and Guibas, CVPR 2017, sec. 4.1; PointLIE's eq. 7 is its sum over i.

    Args:
        a, b: (B, N, 3).
        unit: a length, or one for each example (B,). Distances are divided by it.
        squared: the mean of squared distances of the matched pairs instead.
        exact: see `assignment`.
    """
    away = a - gather(b, assignment(a, b, exact))
    squares = (away * away).sum(dim=2)
    unit = torch.as_tensor(unit, dtype=a.dtype, device=a.device)
    unit = unit[:, None] if unit.ndim else unit
    return (squares / unit**2 if squared else (squares + 1e-16).sqrt() / unit).mean()


def assignment(a: Tensor, b: Tensor, exact: bool = True) -> Tensor:
    """The bijection f from a to b (both (B, N, 3)) with the smallest sum of distances, as indices (B, N).

    It is computed on the CPU (`scipy.optimize.linear_sum_assignment`): 0.1 s for 1024 points a spacing apart, 0.6 s for
    2048. Without `exact`, mutual nearest neighbors that are closer than the median distance to the nearest are matched
    first: a third of the time, and a sum about 5 % too large.
    """
    cost = torch.cdist(a.detach().float(), b.detach().float(), compute_mode="donot_use_mm_for_euclid_dist")
    costs = list(cost.cpu().numpy())
    work = partial(_assign, exact=exact)
    if len(costs) == 1 or torch.get_num_threads() == 1:
        found = [work(one) for one in costs]
    else:
        with ThreadPoolExecutor(min(_THREADS, torch.get_num_threads())) as pool:
            found = list(pool.map(work, costs))
    return torch.from_numpy(np.stack(found)).to(a.device)


def _assign(cost: np.ndarray, exact: bool) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    if exact:
        return linear_sum_assignment(cost)[1]
    rows = np.arange(len(cost))
    there, back = cost.argmin(axis=1), cost.argmin(axis=0)
    near = cost[rows, there]
    mutual = (back[there] == rows) & (near <= np.median(near))
    left, free = rows[~mutual], np.delete(rows, there[mutual])
    there[left] = free[linear_sum_assignment(cost[np.ix_(left, free)])[1]]
    return there
