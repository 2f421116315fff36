"""Does upsampling help to recognize places? The experiment of SSPU-Net (Zhao et al., ACM MM 2021, sec. 4.5, table 5).

    python examples/retrieval.py                      # simulated streets, about three minutes on one core
    python examples/retrieval.py --oxford DIR --points 4096 --steps 20000 -m jetnet     # Oxford RobotCar; use a GPU
    python examples/retrieval.py --quick              # a trial of a minute, without meaningful results

PointNetVLAD is trained and tested on submaps, and on the same submaps upsampled x2. DIR has the runs of the benchmark
of Uy and Lee (CVPR 2018), see places.py. Without it, runs through sixteen streets are simulated and written to
runs/places in the same layout: eight streets for training, eight for the queries.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import places
import torch
from pointnetvlad import PointNetVLAD, lazy_quadruplet_loss
from torch import Tensor

import pcsr_zoo
from pcsr_zoo.errors import PcsrError

SAME, DIFFERENT, FOUND = 10.0, 50.0, 25.0  # meters: a positive, a negative, a retrieval that counts


def batches(where: np.ndarray, steps: int, size: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each step, `size` queries and a positive of each: rows of places (B, 2).

    The negatives of a query are the other places of its batch that are more than 50 m away.
    """
    rng = np.random.default_rng(seed)
    away = np.linalg.norm(where[:, None] - where[None], axis=2)
    near = (away <= SAME) & ~np.eye(len(where), dtype=bool)
    able = np.flatnonzero(near.any(axis=1))
    drawn = [rng.choice(able, min(size, len(able)), replace=False) for _ in range(steps)]
    return [(rows, np.array([rng.choice(np.flatnonzero(near[row])) for row in rows])) for rows in drawn]


def train(
    clouds: Tensor, where: np.ndarray, steps: int, size: int, seed: int, say: Callable[[str], None], rate: float = 2e-5
) -> PointNetVLAD:
    """Train on clouds (B, N, 3) at places (B, 2) in meters, with Adam; 0 steps give random weights."""
    torch.manual_seed(seed)
    network = PointNetVLAD().train()
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for step, (rows, positives) in enumerate(batches(where, steps, size, seed)):
        chosen = np.concatenate([rows, positives])
        found = network(turned(clouds[chosen], step, seed))
        away = torch.from_numpy(np.linalg.norm(where[rows][:, None] - where[chosen][None], axis=2) > DIFFERENT)
        # n* of a query: a place far from it that is farthest down the list of its own batch
        other = torch.tensor([int(row.nonzero()[-1]) if row.any() else 0 for row in away])
        apart = torch.from_numpy(
            np.linalg.norm(where[chosen][other][:, None] - where[chosen][None], axis=2) > DIFFERENT
        )
        negatives = found.expand(len(rows), -1, -1)
        loss = lazy_quadruplet_loss(found[: len(rows)], found[len(rows) :, None], negatives, found[other], away & apart)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % max(steps // 5, 1) == 0:
            say(f"step {step + 1} of {steps}: loss {loss.item():.3f}")
    return calibrated(network, clouds)


@torch.no_grad()
def calibrated(network: PointNetVLAD, clouds: Tensor, batch: int = 16) -> PointNetVLAD:
    """The network for tests, with means and variances of the normalization from all clouds, for its final weights."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.momentum = None  # an average over all batches
    for rows in torch.randperm(len(clouds), generator=torch.Generator().manual_seed(0)).split(batch):
        if len(rows) > 1:
            network(clouds[rows])
    return network.eval()


def turned(clouds: Tensor, step: int, seed: int) -> Tensor:
    """Each cloud turned about the vertical axis by up to 10 degrees: the car does not always drive straight."""
    rng = np.random.default_rng([seed, step])
    angle = torch.from_numpy(rng.uniform(-np.pi / 18, np.pi / 18, len(clouds)))
    c, s, zero = angle.cos(), angle.sin(), torch.zeros(len(clouds))
    turns = torch.stack([c, -s, zero, s, c, zero, zero, zero, zero + 1], dim=1).view(-1, 3, 3)
    return clouds @ turns.float()


@torch.no_grad()
def describe(network: PointNetVLAD, clouds: Tensor, batch: int = 16) -> np.ndarray:
    """Descriptors (B, 256) of clouds (B, N, 3)."""
    return torch.cat([network(part) for part in clouds.split(batch)]).numpy()


def recalls(found: np.ndarray, run: np.ndarray, where: np.ndarray, tested: np.ndarray) -> tuple[float, float]:
    """Average recall@1 and recall@1 % in percent, over all pairs of different runs.

    A query is a tested place of one run, the database are all places of another. It counts as found if one of the
    nearest descriptors (1, or 1 % of the database, rounded, at least 1) is of a place within 25 m; queries without any
    such place are left out.
    """
    scores = []
    for base in np.unique(run):
        for other in np.unique(run[run != base]):
            rows, queries = np.flatnonzero(run == base), np.flatnonzero((run == other) & tested)
            near = np.linalg.norm(where[queries][:, None] - where[rows][None], axis=2) <= FOUND
            queries, near = queries[near.any(axis=1)], near[near.any(axis=1)]
            if not len(queries):
                continue
            order = np.argsort(np.linalg.norm(found[queries][:, None] - found[rows][None], axis=2), axis=1)
            hits = np.take_along_axis(near, order, axis=1)
            most = max(round(len(rows) / 100), 1)
            scores.append((hits[:, 0].mean(), hits[:, :most].any(axis=1).mean()))
    one, percent = np.mean(scores, axis=0) if scores else (np.nan, np.nan)
    return 100 * float(one), 100 * float(percent)


def upsampled(clouds: np.ndarray, model: str | None) -> Tensor:
    if model is None:
        return torch.from_numpy(clouds)
    loaded = pcsr_zoo.load(model)
    return torch.from_numpy(np.stack([loaded.upsample(cloud, 2) for cloud in clouds]))


def compare(folder: Path, regions: tuple, options: argparse.Namespace, say: Callable[[str], None]) -> str:
    """A Markdown table of the recalls without and with upsampling, each with several seeds."""
    learned, judged = (places.load_places(folder, kind, regions) for kind in (places.TRAIN, places.TEST))
    fit = np.flatnonzero(~learned.tested)
    say(f"{len(fit)} places to train on, {len(judged.files)} to search in, {int(judged.tested.sum())} queries")
    given = [found.clouds(options.points) for found in (learned, judged)]
    lines = ["| points | recall@1 | recall@1 % |", "|---|--:|--:|"]
    for model in (None, *(options.model or ["jetnet"])):
        kind = f"{options.points:,}" if model is None else f"{2 * options.points:,}, x2 by {Path(model).name}"
        clouds, tests = upsampled(given[0][fit], model), upsampled(given[1], model)
        scores = []
        for seed in range(options.seeds):
            network = train(
                clouds, learned.where[fit], options.steps, options.batch, seed, lambda t, k=kind: say(f"{k}: {t}")
            )
            scores.append(recalls(describe(network, tests), judged.run, judged.where, judged.tested))
            say(f"{kind}, seed {seed}: recall@1 {scores[-1][0]:.1f}, @1 % {scores[-1][1]:.1f}")
        mean, spread = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1) if len(scores) > 1 else None
        cells = [f"{value:.1f}" + (f" ± {spread[k]:.1f}" if spread is not None else "") for k, value in enumerate(mean)]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--oxford", type=Path, metavar="DIR", help="the benchmark's runs; otherwise streets are simulated"
    )
    parser.add_argument(
        "-m", "--model", action="append", help="an upsampler, by name or folder; may be repeated (jetnet)"
    )
    parser.add_argument("--points", type=int, default=256, help="points of a submap (256); the paper has 4,096")
    parser.add_argument("--steps", type=int, default=24, help="steps of training (24)")
    parser.add_argument("--batch", type=int, default=8, help="queries of a step, each with a positive (8)")
    parser.add_argument(
        "--seeds", type=int, default=1, help="number of trainings; from two on, with a mean and a spread (1)"
    )
    parser.add_argument("--places", type=Path, default=Path("runs/places"), help="folder of the simulated streets")
    parser.add_argument("--quick", action="store_true", help="a trial with few streets and little training")
    options = parser.parse_args(arguments)
    begin = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - begin:5.0f} s] {text}", flush=True)

    folder, regions = options.oxford, places.OXFORD
    if options.quick:
        options.points, options.steps, options.batch, options.seeds = 64, 2, 3, 1
    try:
        if folder is None:
            streets = 4 if options.quick else places.STREETS
            folder = options.places / f"{streets}-streets"
            regions = tuple((places.APART * number, 0.0) for number in range(streets // 2, streets))
            if not folder.is_dir():
                say(f"simulating {streets} streets in {folder}")
                places.simulate(folder, streets)
        print(f"\n{compare(folder, regions, options, say)}")
    except PcsrError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
