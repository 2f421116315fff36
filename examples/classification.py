"""Does upsampling help a classifier? The experiment of SSPU-Net (Zhao et al., ACM MM 2021, sec. 4.4 and table 4).

    python examples/classification.py --modelnet40 DIR       # on ModelNet40, with the published network; hours on a GPU
    python examples/classification.py --modelnet40 DIR --most 200 --epochs 2    # a trial of it
    python examples/classification.py                        # on shapes of ours, about 12 minutes on one core
    python examples/classification.py --quick                # a trial of half a minute, without meaningful results
    python examples/classification.py -m jet -m runs/mine    # other upsamplers, also your own models

With ModelNet40 (see modelnet40.py for its two layouts), PointNet++ in its published size (pointnet2.py) is trained on
1,024 points of each shape, and on the same points upsampled x4; upsampled clouds are kept in runs/modelnet40.

Without it, the classes are twelve families of generated shapes, with random parameters and orientations. Each shape is
sampled evenly with 512 points; 128 of these are the sparse cloud. A smaller PointNet++ (Qi et al., NeurIPS 2017) is
trained with the same budget on sparse clouds, on clouds upsampled x4, and on the true 512 points. In addition, the
classifier that was trained on true dense clouds is tested on the other clouds, as for a classifier that cannot be
trained again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pointnet2
import torch
from modelnet40 import load_modelnet40
from pointnet2 import SetAbstraction, perceptron
from torch import Tensor, nn

import pcsr_zoo
from pcsr_zoo.datasets.generated.dual_contouring import dual_contour
from pcsr_zoo.datasets.generated.shape_solids import SOLIDS
from pcsr_zoo.datasets.generated.shape_surfaces import SURFACES
from pcsr_zoo.datasets.generated.shapes import random_rotation, without_crumbs
from pcsr_zoo.datasets.surface_points import sample_surface
from pcsr_zoo.errors import PcsrError
from pcsr_zoo.layers.picking import farthest_points, gather

# Thin round shapes, smooth shapes, shapes with edges, and sheets. Classes in a group are easily confused.
CLASSES = (
    *("wire", "rings", "open_tube"),
    *("blob", "creature", "superquadric"),
    *("machined_block", "profile_bar", "bracket", "furniture"),
    *("half_shell", "ruled"),
)
SPARSE, RATIO = 128, 4
UPSAMPLERS = ("midpoint", "jet", "jetnet", "sspu-geo-x4")
CELLS = 48  # cells along a side of the grid that converts solids to meshes
DEVELOPMENT, REPORT = 1, 2  # seeds of the shapes for choosing the classifier, and of those in the table

# The classifier: regions, radius in units of the cloud's own, most points of a region, and the widths of its layers.
LEVELS = ((96, 0.35, 24, (16, 32)), (24, 0.7, 16, (48, 96)))
GLOBAL = (96, 192)


@dataclass(frozen=True)
class Split:
    """Numbers of shapes of each class, of epochs, and of runs."""

    train: int = 30
    test: int = 30
    epochs: int = 30
    seeds: int = 3


QUICK = Split(train=2, test=1, epochs=1, seeds=2)


# -- the data


def dense_cloud(family: str, seed: int, index: int) -> np.ndarray:
    """Even points (512, 3) of the surface of a shape, of radius 1 about its center, rotated at random."""
    rng = np.random.default_rng([seed, CLASSES.index(family), index])
    if family in SOLIDS:
        solid, half = SOLIDS[family](rng)
        shift = 0.01 * rng.uniform(size=3)  # so that no face coincides with the grid
        vertices, triangles = dual_contour(solid, -1.08 * half - shift, 1.08 * half, CELLS)
    else:
        vertices, triangles = SURFACES[family](rng)
    vertices, triangles = without_crumbs(vertices, triangles)
    points, _ = sample_surface(vertices, triangles, RATIO * SPARSE, index)
    return unit(points @ random_rotation(rng).T)


def unit(points: np.ndarray) -> np.ndarray:
    points = points - points.mean(axis=0)
    return points / np.linalg.norm(points, axis=1).max()


def dense_clouds(seed: int, count: int, begin: int = 0) -> tuple[Tensor, Tensor]:
    """Clouds (count x classes, 512, 3) in float32, and their classes."""
    clouds = [dense_cloud(family, seed, begin + k) for k in range(count) for family in CLASSES]
    return torch.tensor(np.stack(clouds), dtype=torch.float32), torch.arange(len(CLASSES)).repeat(count)


def thinned(dense: Tensor) -> Tensor:
    return gather(dense, farthest_points(dense, SPARSE))


def upsampled(sparse: Tensor, model: str) -> Tensor:
    upsampler = pcsr_zoo.load(model)
    return torch.stack([upsampler.upsample(cloud, RATIO) for cloud in sparse])


# -- the classifier


def regions(points: Tensor, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """The centers (B, M) of each level, and up to k random points (B, M, k) in a ball about each center.

    Where there are fewer the first is repeated, as in PointNet++. Neither depends on the orientation, so that all
    epochs share them.
    """
    found = []
    for count, radius, k, _ in LEVELS:
        centers = farthest_points(points, count)
        at = gather(points, centers)
        order = torch.rand(points.shape[:2], generator=torch.Generator().manual_seed(seed))[:, None]
        outside = torch.cdist(at, points) > radius
        near = (order + outside * 2.0).topk(k, dim=2, largest=False)
        found.append((centers, torch.where(near.values < 1, near.indices, near.indices[..., :1])))
        points = at
    return found


def length(vectors: Tensor) -> Tensor:
    return vectors.norm(dim=-1, keepdim=True)


class SmallPointNet2(nn.Module):
    """Points (B, N, 3) and their `regions` -> logits (B, classes): PointNet++ with two levels of set abstraction.

    Beside the vectors it sees their lengths, which no rotation changes: so it learns in half the time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.levels, channels = nn.ModuleList(), 0
        for *_, widths in LEVELS:
            self.levels.append(SetAbstraction(6 + channels, widths))
            channels = widths[-1]
        self.last = SetAbstraction(4 + channels, GLOBAL)
        self.head = nn.Sequential(perceptron(GLOBAL[-1], 64), nn.Dropout(0.3), nn.Linear(64, len(CLASSES)))

    def forward(self, points: Tensor, found: list[tuple[Tensor, Tensor]]) -> Tensor:
        features: list[Tensor] = []  # features of the points; none in the first level
        for level, (_, radius, *_), (centers, members) in zip(self.levels, LEVELS, found, strict=True):
            at, near = gather(points, centers), gather(points, members)
            offset = (near - at[:, :, None]) / radius
            lengths = [length(offset), length(near), length(at)[:, :, None].expand(*near.shape[:3], 1)]
            rows = [offset, *lengths, *(gather(known, members) for known in features)]
            features, points = [level(torch.cat(rows, dim=3))], at
        return self.head(self.last(torch.cat([points, length(points), *features], dim=2)))


@dataclass
class Clouds:
    """Clouds (B, N, 3), their classes (B,), and their regions for the network."""

    points: Tensor
    classes: Tensor
    found: list[tuple[Tensor, Tensor]]

    @staticmethod
    def of(points: Tensor, classes: Tensor) -> Clouds:
        return Clouds(points, classes, regions(points))

    def batch(self, rows: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        return self.points[rows], [(centers[rows], members[rows]) for centers, members in self.found]


def train(clouds: Clouds, epochs: int, seed: int, size: int = 20) -> SmallPointNet2:
    """Train a network for `epochs`, with a random rotation of each cloud in each epoch."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network, total = SmallPointNet2().train(), epochs * (len(clouds.points) // size)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=total)
    for _ in range(epochs):
        for rows in torch.randperm(len(clouds.points)).split(size):
            if len(rows) < size:
                continue
            turn = torch.tensor(np.stack([random_rotation(rng) for _ in rows]), dtype=torch.float32)
            points, found = clouds.batch(rows)
            loss = nn.functional.cross_entropy(network(points @ turn, found), clouds.classes[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def right(network: SmallPointNet2, clouds: Clouds) -> np.ndarray:
    """Whether each cloud (B,) is classified correctly."""
    answers = [network(*clouds.batch(rows)).argmax(1) for rows in torch.arange(len(clouds.points)).split(60)]
    return (torch.cat(answers) == clouds.classes).numpy()


# -- the comparison


def compare(models: tuple[str, ...], split: Split, shapes: int, say: Callable[[str], None]) -> dict[str, np.ndarray]:
    """Whether test clouds are classified correctly (2, seeds, B), by training on this input and on dense ones."""
    say(f"{split.train} + {split.test} shapes of each of {len(CLASSES)} classes")
    dense, classes = dense_clouds(shapes, split.train + split.test)
    sparse = thinned(dense)
    kinds = {"sparse": sparse}
    for model in models:
        say(f"upsampling with {model}")
        kinds[f"x{RATIO} by {model}"] = upsampled(sparse, model)
    kinds["dense"] = dense
    border = split.train * len(CLASSES)
    fit = {kind: Clouds.of(points[:border], classes[:border]) for kind, points in kinds.items()}
    held = {kind: Clouds.of(points[border:], classes[border:]) for kind, points in kinds.items()}
    outcome = {kind: np.zeros((2, split.seeds, len(classes) - border), bool) for kind in kinds}
    for seed in range(split.seeds):
        for kind in kinds:
            say(f"training on {kind}, seed {seed}")
            network = train(fit[kind], split.epochs, seed)
            outcome[kind][0, seed] = right(network, held[kind])
            if kind == "dense":
                for other in kinds:
                    outcome[other][1, seed] = right(network, held[other])
    return outcome


def table(outcome: dict[str, np.ndarray]) -> str:
    """A Markdown table of the accuracy in percent: mean and standard deviation over the seeds."""
    lines = ["| tested on | trained on the same | trained on dense |", "|---|--:|--:|"]
    for kind, hits in outcome.items():
        rates = 100 * hits.mean(axis=2)  # (2, seeds)
        cells = [f"{rate.mean():.1f} ± {rate.std(ddof=1):.1f}" for rate in rates]
        lines.append(f"| {kind} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def gains(outcome: dict[str, np.ndarray], over: str = "sparse") -> str:
    """The gain of each kind of input over sparse clouds, with the standard error over the test shapes."""
    lines = [f"| against {over}, in points | trained on the same | trained on dense |", "|---|--:|--:|"]
    for kind, hits in outcome.items():
        if kind != over:
            each = 100 * (hits.mean(axis=1) - outcome[over].mean(axis=1))  # (2, B): seeds averaged for each shape
            errors = each.std(axis=1, ddof=1) / np.sqrt(each.shape[1])
            cells = [f"{mean:+.1f} ± {error:.1f}" for mean, error in zip(each.mean(axis=1), errors, strict=True)]
            lines.append(f"| {kind} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


# -- ModelNet40


def of_modelnet40(options: argparse.Namespace, models: list[str], say: Callable[[str], None]) -> str:
    """A Markdown table of mAcc and OA in percent, of PointNet++ trained and tested on each kind of input."""
    splits = {split: load_modelnet40(options.modelnet40, split, 1024, options.most) for split in ("train", "test")}
    names, lines = splits["train"].names, ["| trained and tested on | mAcc | OA |", "|---|--:|--:|"]
    classes = {split: torch.from_numpy(shapes.classes) for split, shapes in splits.items()}
    for model in (None, *models):
        clouds = {}
        for split, shapes in splits.items():
            clouds[split] = torch.from_numpy(shapes.clouds)
            if model is not None:
                say(f"upsampling the {split} split with {model}")
                clouds[split] = kept(clouds[split], model, options.cache / f"{split}-{len(shapes.clouds)}")
        kind = "1,024 points" if model is None else f"x{RATIO} by {model}"
        network = pointnet2.train(
            clouds["train"],
            classes["train"],
            len(names),
            epochs=options.epochs,
            say=lambda text, k=kind: say(f"{k}: {text}"),
        )
        scores = pointnet2.accuracies(pointnet2.answers(network, clouds["test"]), classes["test"])
        lines.append(f"| {kind} | {' | '.join(f'{score:.1f}' for score in scores)} |")
    return "\n".join(lines)


def kept(sparse: Tensor, model: str, stem: Path) -> Tensor:
    """Upsampled clouds (B, 4 N, 3), from a file if they were made before of the same clouds."""
    file = stem.with_name(f"{stem.name}-x{RATIO}-{Path(model).name}.npz")
    if file.is_file():
        found = np.load(file)
        if np.array_equal(found["sparse"], sparse):
            return torch.from_numpy(found["dense"])
    dense = upsampled(sparse, model)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, sparse=sparse.numpy(), dense=dense.numpy())
    return dense


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", action="append", help="an upsampler, by name or folder; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a trial with few shapes and little training")
    parser.add_argument("--development", action="store_true", help="use the shapes for choosing the classifier")
    parser.add_argument("--json", type=Path, help="also write the correctly classified test shapes")
    parser.add_argument("--modelnet40", type=Path, metavar="DIR", help="ModelNet40, in either layout")
    parser.add_argument("--most", type=int, metavar="N", help="of ModelNet40, only N shapes of each split")
    parser.add_argument("--epochs", type=int, default=200, help="of PointNet++ on ModelNet40 (200)")
    parser.add_argument("--cache", type=Path, default=Path("runs/modelnet40"), help="folder of upsampled ModelNet40")
    options = parser.parse_args(arguments)
    begin = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - begin:5.0f} s] {text}", flush=True)

    models = options.model or [name for name in UPSAMPLERS if name in pcsr_zoo.list_models()]
    if options.modelnet40:
        try:
            print(f"\n{of_modelnet40(options, models, say)}")
        except PcsrError as error:
            sys.exit(f"Error: {error}")
        return
    split = QUICK if options.quick else Split()
    shapes = DEVELOPMENT if options.development else REPORT
    outcome = compare(tuple(models), split, shapes, say)
    print(f"\n{table(outcome)}\n\n{gains(outcome)}")
    if options.json:
        options.json.write_text(json.dumps({kind: hits.astype(int).tolist() for kind, hits in outcome.items()}))


if __name__ == "__main__":
    main()
