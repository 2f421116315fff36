"""Meshes from sparse, upsampled, recovered and true points of the sculpture, measured against its exact surface.

    python examples/meshes.py                       # about three minutes on one core; results in runs/meshes
    python examples/meshes.py -m jet -m runs/mine   # other upsamplers, also your own models

These are the experiments of figure 5 of SSPU-Net (Zhao et al., ACM MM 2021: upsampling and surface reconstruction) and
of figure 4 of PointLIE (Zhao et al., IJCAI 2021: the same after sampling and recovery), on the sculpture of the sample
data, whose surface is known exactly. Normals are estimated from the points alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sculpture
from PIL import Image

import pcsr_zoo
from pcsr_zoo import Cloud, read, reconstruct_surface, write_mesh
from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.io.trimesh import Mesh
from pcsr_zoo.metrics import point_to_surface
from pcsr_zoo.pictures import render, save_image

HERE = Path(__file__).parent
UPSAMPLERS = ("midpoint", "jet", "jetnet", "sspu-geo-x4", "pointlie-x4")
RECOVERERS = (("fps", "midpoint"), ("fps", "jetnet"), ("pointlie-x4",) * 2, ("pointlie-geo-x4",) * 2)
METHODS = ("poisson", "ball-pivoting")
VIEW, PANEL = (-60.0, 15.0), (300, 330)


def draw(mesh: Mesh, count: int, seed: int = 0) -> Cloud:
    """`count` uniformly random points of a mesh with the normals of its triangles."""
    o3d = import_open3d()
    surface = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(mesh.vertices.positions), o3d.utility.Vector3iVector(mesh.triangles.astype(np.int32))
    )
    surface.compute_triangle_normals()
    o3d.utility.random.seed(seed)
    return Cloud.from_open3d(surface.sample_points_uniformly(count, use_triangle_normal=True))


def measure(mesh: Mesh, truth: np.ndarray, count: int = 10_000) -> tuple[float, float]:
    """Mean distance of the mesh to the sculpture's surface, and of true points (N, 3) to the mesh."""
    points = draw(mesh, count).positions
    there = np.linalg.norm(points - sculpture.project(points), axis=1)
    return float(there.mean()), float(point_to_surface(truth, (mesh.vertices.positions, mesh.triangles)).mean())


def thickness_error(mesh: Mesh, truth: np.ndarray) -> float:
    """Mean error of the ribbon's thickness, measured through the mesh at true points (N, 3) of its broad faces.

    A ray goes inwards from 2 cm outside; the thickness is the distance between its first two hits. Where there are none
    within twice the true thickness, the error is the thickness itself.
    """
    half = sculpture.RIBBON[1]
    ribbon = np.abs(sculpture.ribbon_distance(truth)[0]) < 1e-4
    points = truth[ribbon & (sculpture.plinth_distance(truth) > 0.1) & (sculpture.column_distance(truth) > 0.1)]
    inwards = -sculpture.normals(points)
    broad = np.abs(sculpture.ribbon_distance(points + half * inwards)[0] + half) < 1e-3  # its middle is as deep as half
    points, inwards = points[broad] - 0.02 * inwards[broad], inwards[broad]
    o3d = import_open3d()
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(mesh.vertices.positions.astype(np.float32)), o3d.core.Tensor(mesh.triangles.astype(np.uint32))
    )

    def hit(begin: np.ndarray) -> np.ndarray:
        rays = np.concatenate([begin, inwards], axis=1).astype(np.float32)
        return scene.cast_rays(o3d.core.Tensor(rays))["t_hit"].numpy()

    first = np.minimum(hit(points), 1.0) + 1e-4
    found = hit(points + first[:, None] * inwards) + 1e-4
    return float(np.minimum(np.abs(found - 2 * half), 2 * half).mean())


def even_points(count: int, seed: int) -> Cloud:
    """`count` evenly spread points of the exact surface, with colors."""
    return pcsr_zoo.sample(colored(sculpture.surface_points(4 * count, np.random.default_rng(seed))), 4)


def colored(points: np.ndarray) -> Cloud:
    return Cloud(points, {"colors": sculpture.colors(points)}, {"position_dtype": "float32"})


def figure(clouds: dict[str, Cloud], meshes: dict[str, Mesh], path: Path) -> None:
    """Clouds above their meshes."""
    plain = [Cloud(cloud.positions) for cloud in clouds.values()]
    style = {"views": [VIEW], "size": PANEL}
    names = [f"{name}\n{len(cloud):,} points" for name, cloud in clouds.items()]
    rows = [
        render(plain, titles=names, **style),
        render([draw(meshes[name], 150_000) for name in clouds], titles=["its mesh"] * len(clouds), **style),
    ]
    page = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    for at, row in zip((0, rows[0].height), rows, strict=True):
        page.paste(row, (0, at))
    save_image(page.quantize(128, dither=Image.Dither.NONE), path)


def compare(
    clouds: dict[str, Cloud], truth: np.ndarray, folder: Path, say: Callable[[str], None]
) -> tuple[str, dict[str, Mesh]]:
    """A Markdown table of distances times 1000, and the Poisson meshes, which also go to the folder."""
    lines = [
        "| points | number | Poisson: mesh to truth | truth to mesh | thickness "
        "| ball pivoting: mesh to truth | truth to mesh | thickness |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    meshes = {}
    for name, cloud in clouds.items():
        say(f"meshes of {name}")
        cells = []
        for method in METHODS:
            mesh = reconstruct_surface(cloud, method=method)
            cells += [f"{1000 * value:.2f}" for value in (*measure(mesh, truth), thickness_error(mesh, truth))]
            if method == "poisson":
                meshes[name] = mesh
                write_mesh(mesh, folder / f"{name.replace(' ', '-')}.ply")
        lines.append(f"| {name} | {len(cloud):,} | {' | '.join(cells)} |")
    return "\n".join(lines), meshes


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", action="append", help="an upsampler, by name or folder; may be repeated")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/meshes"), help="folder of the results")
    parser.add_argument("--points", type=int, default=4096, help="number of sparse points, at most 4,096")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - begin:5.0f} s] {text}", flush=True)

    say("points of the exact surface")
    truth = even_points(4 * options.points, seed=2)
    judge = sculpture.surface_points(2 * options.points, np.random.default_rng(3))  # other points than those of a mesh
    sparse = colored(read(HERE / "data" / "sculpture.ply").positions)  # without its exact normals
    if options.points < len(sparse):
        sparse = pcsr_zoo.sample(sparse, n=options.points)
    clouds = {"input": sparse}
    for model in options.model or UPSAMPLERS:
        clouds[f"x4 {Path(model).name}"] = pcsr_zoo.upsample(sparse, 4, model=model)
    if not options.model:
        clouds["x16 jetnet"] = pcsr_zoo.upsample(sparse, 16)
    clouds["true points"] = truth
    table, meshes = compare(clouds, judge, options.output, say)
    clouds.pop("x16 jetnet", None)
    figure(clouds, meshes, options.output / "upsampled.png")

    dense = pcsr_zoo.sample(truth, 2)
    clouds = {}
    for sampler, model in RECOVERERS if not options.model else [("fps", model) for model in options.model]:
        small = pcsr_zoo.sample(dense, 4, model=sampler)
        clouds.setdefault("fps samples", pcsr_zoo.sample(dense, 4))
        name = model if sampler == model else f"{sampler}+{Path(model).name}"
        clouds[name] = pcsr_zoo.recover(small, n=len(dense), model=model)
    clouds["before sampling"] = dense
    recovered, meshes = compare(clouds, judge, options.output, say)
    figure(clouds, meshes, options.output / "recovered.png")
    print(f"\nUpsampled, distances times 1000:\n\n{table}")
    print(f"\nSampled x4 and recovered, distances times 1000:\n\n{recovered}")


if __name__ == "__main__":
    main()
