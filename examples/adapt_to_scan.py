"""What adapting to a scan brings: a table of before and after, and pictures.

    python examples/adapt_to_scan.py scan.ply frame.las ... -o runs/adaptation
    python examples/adapt_to_scan.py --pugan DATA --shape camel --shape kitten -o runs/adaptation

Scans are judged by points that were left out of adapting (`pcsr_zoo.adapt`); the test shapes of PU-GAN also by their
ground truth: 2048 points are all that is given, and 8192 come out. `jetnet`, which is not adapted, is measured beside
them. OUT/results.json has an entry for each scan; the table is made of all of them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from pcsr_zoo.training.adapt__GONE import Adaptation
from pcsr_zoo.training.adapt_judge__GONE import judge
from pcsr_zoo.training.adapt_scan__GONE import part

import pcsr_zoo
from pcsr_zoo.geometry.frames import UnitFrame
from pcsr_zoo.io.atomic import atomic_path

OTHER = "jetnet"
CLOSE_UP = 6000  # points of a picture's detail


def left_out_by(model: Any, positions: np.ndarray, seed: int) -> float:
    """The figure of another model at the same left-out points."""
    return float(judge(model, None, part(positions, seed).areas, "final", seed, "cpu").mean())


def measure(model: str, positions: np.ndarray, steps: int, seed: int) -> tuple[Adaptation, dict[str, Any]]:
    """Adapt the model to a scan; the result, and its figures for the table."""
    found = pcsr_zoo.adapt(model, positions, steps=steps, seconds=None, seed=seed, report=print)
    print(found)
    row = {
        **found.facts(),
        "size": len(positions),
        "seconds": round(found.seconds),
        "needed": found.verdict.needed,
        "other": left_out_by(pcsr_zoo.load(OTHER), positions, seed),
    }
    return found, row


def close_up(positions: np.ndarray) -> np.ndarray:
    """The points around the scan's densest part, for a picture."""
    from pcsr_zoo.geometry.knn import KNN

    tree = KNN(positions)
    some = positions[:: max(1, len(positions) // 500)]
    middle = some[np.argmin(tree.query(some, min(len(positions), 200))[0][:, -1])]
    return positions[tree.query(middle[None], min(CLOSE_UP, len(positions)))[1][0]]


def picture(found: Adaptation, original: Any, positions: np.ndarray, path: Path, reference: Any = None) -> None:
    """A part of the scan, densified before and after, side by side."""
    from pcsr_zoo.pictures import render, save_image

    piece = close_up(positions)
    clouds = [piece, *(model.upsample(piece, 4) for model in (original, found.candidate))]
    titles = [f"{len(piece):,} points", "x 4, before", "x 4, adapted"]
    if reference is None:
        save_image(render(clouds, titles=titles, size=(420, 400)), path)
    else:
        save_image(render(clouds, titles=titles, size=(420, 400), color_by="distance", reference=reference), path)


def truth(found: Adaptation, original: Any, shape: Any) -> dict[str, Any]:
    """CD, HD and P2F x 1000 of before, after and the other model, by the convention pugan-2019."""
    from pcsr_zoo.metrics import evaluate

    rows = {}
    for name, model in (("before", original), ("after", found.candidate), (OTHER, pcsr_zoo.load(OTHER))):
        dense = model.upsample(shape.input, n=len(shape.gt))
        values = evaluate(dense, shape.gt, shape.surface, "pugan-2019")
        rows[name] = [1e3 * values["cd"], 1e3 * values["hd"], 1e3 * values["p2f_mean"]]
    return rows


def table(results: dict[str, Any]) -> str:
    """The figures of all scans as Markdown, and a second table of those with a ground truth."""
    lines = [
        f"| scan | points | before | after | change | needed | kept | {OTHER} | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        before, after = row["left_out_before"], row["left_out_after"]
        lines.append(
            f"| {name} | {row['size']:,} | {before:.4f} | {after:.4f} | {100 * (after / before - 1):+.1f} % "
            f"| -{row['needed']:.1f} % | {row['kept']} | {row['other']:.4f} | {row['seconds']} |"
        )
    known = {name: row["truth"] for name, row in results.items() if "truth" in row}
    if known:
        lines += ["", f"| shape (CD / HD / P2F) | before | after | {OTHER} |", "|---|---|---|---|"]
    for name, truths in known.items():
        cells = (" / ".join(f"{value:.3f}" for value in truths[key]) for key in ("before", "after", OTHER))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="*", type=Path)
    parser.add_argument("--pugan", type=Path, metavar="DATA", help="the folder with pugan/input_2048 and so on")
    parser.add_argument("--shape", action="append", default=[], metavar="NAME", help="of PU-GAN's test set")
    parser.add_argument("-m", "--model", default="sspu-net-x4")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/adaptation"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    kept = asked.out / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    original = pcsr_zoo.load(asked.model)
    work: list[tuple[str, np.ndarray, Any]] = [(p.stem, pcsr_zoo.read(p).positions, None) for p in asked.scans]
    if asked.shape:
        from pcsr_zoo.datasets.pugan import PUGANTestSet

        work += [(shape.name, shape.input, shape) for shape in PUGANTestSet(asked.pugan, asked.shape)]
    for name, positions, shape in work:
        print(f"{name}: {len(positions):,} points", flush=True)
        begin = time.monotonic()
        found, row = measure(asked.model, positions, asked.steps, asked.seed)
        if shape is not None:
            row["truth"] = truth(found, original, shape)
        frame = UnitFrame.of(positions)  # pictures are drawn near the origin
        reference = None if shape is None else np.asarray(shape.gt - frame.center) / frame.scale
        picture(found, original, frame.to_unit(positions), asked.out / f"{name}.png", reference)
        results[name] = row
        with atomic_path(kept) as temporary:
            temporary.write_text(json.dumps(results, indent=2) + "\n")
        print(f"  {time.monotonic() - begin:.0f} s in all", flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
