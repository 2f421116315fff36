"""Fine-tune on your meshes, and measure the result on a mesh that was kept apart.

    python examples/finetune_on_meshes.py my_meshes/ --keep my_meshes/bolt.obj -o runs/mine --steps 1000
    python examples/finetune_on_meshes.py              # a trial with six generated meshes, 100 steps

The output folder is a checkpoint: `pcsr upsample scan.ply -x 4 -m runs/mine`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import pcsr_zoo
from pcsr_zoo.datasets.generated.shapes import FAMILIES, generate_mesh
from pcsr_zoo.datasets.meshes import MESH_SUFFIXES
from pcsr_zoo.errors import PcsrError
from pcsr_zoo.metrics import evaluate
from pcsr_zoo.training import finetune


def make_meshes(folder: Path, family: str = "leaf", count: int = 6) -> list[Path]:
    """Write meshes of a generated family as OBJ files: sheets with pointed ends, unlike most training shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k in range(count):
        vertices, triangles, _ = generate_mesh(5, FAMILIES.index(family) + k * len(FAMILIES))
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
        lines += [f"f {a} {b} {c}" for a, b, c in triangles + 1]
        paths.append(folder / f"{family}-{k:02}.obj")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def measure(model: str | Path, mesh: Path, points: int = 1024) -> dict[str, float]:
    """CD, HD and P2F, times 1000 (pugan-2019), of `points` even points of a mesh, upsampled x4."""
    sparse = pcsr_zoo.read(mesh, points=points, seed=1)
    truth = pcsr_zoo.read(mesh, points=4 * points, seed=2)
    dense = pcsr_zoo.load(model).upsample(sparse.positions, 4)
    found = evaluate(dense, truth, mesh)
    return {key.upper(): 1000 * found[value] for key, value in (("cd", "cd"), ("hd", "hd"), ("p2f", "p2f_mean"))}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", nargs="*", type=Path, help="mesh files and folders")
    parser.add_argument("--keep", type=Path, help="the mesh to measure on; by default the last one")
    parser.add_argument("-m", "--model", default="jetnet", help="the checkpoint to fine-tune")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/finetuned"))
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args(arguments)
    given = options.meshes or make_meshes(options.output.with_name(f"{options.output.name}-meshes"))
    meshes = sorted(path for one in given for path in (one.iterdir() if one.is_dir() else [one]))
    meshes = [path for path in meshes if path.suffix.lower() in MESH_SUFFIXES]
    kept = options.keep or (meshes[-1] if meshes else None)
    others = [path for path in meshes if kept is not None and path.resolve() != kept.resolve()]
    if kept is None or not others:
        sys.exit("Error: give at least two meshes, one to measure on and others to train on")
    try:
        outcome = finetune(options.model, others, options.output, settings={"steps": options.steps}, report=print)
        before, after = measure(options.model, kept), measure(outcome.folder, kept)
    except PcsrError as error:
        sys.exit(f"Error: {error}")
    print(f"\n{kept}, which was not used for training, x4, times 1000 (pugan-2019):")
    for name, row in ((options.model, before), (outcome.folder, after)):
        print("  ".join([*(f"{key} {value:6.3f}" for key, value in row.items()), str(name)]))
    print(f"better in {int(np.sum([after[key] < before[key] for key in before]))} of {len(before)}")


if __name__ == "__main__":
    main()
