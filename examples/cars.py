"""Cars and cyclists of a street scan before and after upsampling, and how many withheld points come back.

    python examples/cars.py                          # simulated cars and cyclists; a table, and runs/cars.png
    python examples/cars.py --kitti crops/*.xyz      # crops of KITTI objects: any clouds in meters
    python examples/cars.py -m jet -m runs/mine      # other upsamplers, also your own models

This is figure 7 of SSPU-Net (Zhao et al., ACM MM 2021), with numbers: of each object, every second point at random is
withheld, the others are upsampled to four times their number, and the table shows the share of the withheld points that
have a point of the result within 5 cm. The simulated scanner has 64 beams, .4 degrees apart, and 2 cm of range noise.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import street

import pcsr_zoo
from pcsr_zoo import Cloud, read
from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.errors import PcsrError
from pcsr_zoo.metrics.nearest import nearest_distances
from pcsr_zoo.pictures import render, save_image

UPSAMPLERS = ("midpoint", "jet", "jetnet", "sspu-geo-x4", "pointlie-x4")
WITHIN, RATIO, FEWEST = 0.05, 4, 40
# Distance of the object and its heading in degrees, with the scanner at the origin.
CARS = ((8.0, 20.0), (12.0, 70.0), (17.0, -30.0), (22.0, 45.0))
CYCLISTS = ((6.0, 30.0), (9.0, 75.0), (13.0, -50.0))


def car() -> street.Parts:
    """A parked car of `street.py`, with its center at the origin of the road."""
    return [
        part for part in street.scene(0, [(-2.15, -0.9)], [], [], []) if part[0] in ("paint", "windscreen")
    ] + wheels()


def wheels() -> street.Parts:
    make, parts = import_open3d().geometry.TriangleMesh, []
    for x in (-1.35, 1.25):
        wheel = make.create_cylinder(0.33, 1.84, 24)
        wheel.rotate(make.get_rotation_matrix_from_xyz((np.pi / 2, 0, 0)), (0, 0, 0))
        parts.append(("asphalt", wheel.translate((x, 0, 0.33))))
    return parts


def cyclist() -> street.Parts:
    """A cyclist of tubes, wheels and a head, riding along x."""
    make, parts = import_open3d().geometry.TriangleMesh, []

    def tube(material: str, begin: tuple[float, ...], end: tuple[float, ...], radius: float) -> None:
        a, b = np.array(begin), np.array(end)
        way = (b - a) / np.linalg.norm(b - a)
        side = np.cross(way, [0, 1, 0] if abs(way[1]) < 0.9 else [1, 0, 0])
        side /= np.linalg.norm(side)
        turn = np.stack([side, np.cross(way, side), way], axis=1)
        pipe = make.create_cylinder(radius, float(np.linalg.norm(b - a)), 20)
        parts.append((material, pipe.rotate(turn, (0, 0, 0)).translate((a + b) / 2)))

    for x in (-0.52, 0.52):
        wheel = make.create_torus(0.32, 0.025, 36, 10)
        wheel.rotate(make.get_rotation_matrix_from_xyz((np.pi / 2, 0, 0)), (0, 0, 0))
        parts.append(("asphalt", wheel.translate((x, 0, 0.34))))
    for begin, end in (
        ((-0.52, 0, 0.34), (-0.2, 0, 0.9)),
        ((-0.2, 0, 0.75), (0.42, 0, 0.8)),
        ((0.52, 0, 0.34), (0.4, 0, 1.05)),
    ):
        tube("steel", begin, end, 0.025)
    tube("cloth", (-0.2, 0, 0.95), (0.18, 0, 1.48), 0.17)
    for side in (-0.1, 0.1):
        tube("cloth", (-0.15, side, 0.95), (0.15, side, 0.65), 0.08)
        tube("cloth", (0.15, side, 0.65), (0.0, side, 0.25), 0.06)
        tube("cloth", (0.15, 1.8 * side, 1.4), (0.42, 2 * side, 1.08), 0.05)
    parts.append(("cloth", make.create_sphere(0.12, 16).translate((0.26, 0, 1.66))))
    return parts


def scanned(parts: street.Parts, distance: float, heading: float, seed: int) -> Cloud:
    """What a scanner of 64 beams sees of an object: (N, 3) in meters, in the frame of the scanner."""
    o3d = import_open3d()
    scene, turn = (
        o3d.t.geometry.RaycastingScene(),
        o3d.geometry.get_rotation_matrix_from_xyz((0, 0, np.radians(heading))),
    )
    for _, mesh in parts:
        there = mesh.rotate(turn, (0, 0, 0)).translate((distance, 0, 0))
        scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(there))
    wide = np.arctan(4 / distance)
    elevation, azimuth = np.meshgrid(np.radians(np.linspace(-24.8, 2, 64)), np.arange(-wide, wide, np.radians(0.16)))
    flat = np.cos(elevation)
    way = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1).reshape(-1, 3)
    sensor = np.array([0.0, 0.0, 1.73])
    rays = np.concatenate([np.broadcast_to(sensor, way.shape), way], axis=1).astype(np.float32)
    hit = scene.cast_rays(o3d.core.Tensor(rays))["t_hit"].numpy()
    rng, seen = np.random.default_rng(seed), np.isfinite(hit)
    return Cloud(sensor + (hit[seen] + rng.normal(0, 0.02, seen.sum()))[:, None] * way[seen])


def simulated() -> dict[str, Cloud]:
    objects = {f"car, {d:g} m": scanned(car(), d, heading, n) for n, (d, heading) in enumerate(CARS)}
    return objects | {
        f"cyclist, {d:g} m": scanned(cyclist(), d, heading, 9 + n) for n, (d, heading) in enumerate(CYCLISTS)
    }


def recovered(found: Cloud, withheld: Cloud) -> float:
    """The share of withheld points that have a point of the result within 5 cm."""
    return float((nearest_distances(withheld, found) <= WITHIN).mean())


def compare(objects: dict[str, Cloud], models: tuple[str, ...]) -> str:
    """A Markdown table of the shares in percent."""
    names = [Path(model).name for model in models]
    lines = [f"| object | points | half of them | {' | '.join(names)} |", "|---|" + "--:|" * (2 + len(models))]
    rows = []
    for name, cloud in objects.items():
        order = np.random.default_rng(0).permutation(len(cloud))
        kept, withheld = cloud[order[: len(cloud) // 2]], cloud[order[len(cloud) // 2 :]]
        dense = [pcsr_zoo.upsample(kept, RATIO, model=model, keep_input=True) for model in models]
        rows.append([100 * recovered(found, withheld) for found in (kept, *dense)])
        lines.append(f"| {name} | {len(cloud):,} | {' | '.join(f'{value:.0f}' for value in rows[-1])} |")
    lines.append(f"| mean | | {' | '.join(f'{value:.0f}' for value in np.mean(rows, axis=0))} |")
    return "\n".join(lines)


def figure(objects: dict[str, Cloud], model: str, path: Path) -> None:
    """Objects above, upsampled ones below, each centered."""
    from PIL import Image

    rows = []
    for ratio in (1, RATIO):
        clouds = []
        for cloud in objects.values():
            dense = pcsr_zoo.upsample(cloud, ratio, model=model) if ratio > 1 else cloud
            clouds.append(Cloud(dense.positions - cloud.positions.mean(axis=0)))
        titles = [f"{name}\n{len(cloud):,} points" for name, cloud in zip(objects, clouds, strict=True)]
        rows.append([render([c], views=[(-150, 12)], size=(330, 260), titles=[t], up="z")
                     for c, t in zip(clouds, titles, strict=True)])  # fmt: skip
    width, height = rows[0][0].size
    page = Image.new("RGB", (width * len(objects), height * 2), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            page.paste(picture, (x * width, y * height))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(page.quantize(128, dither=Image.Dither.NONE), path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kitti", type=Path, nargs="+", metavar="FILE", help="crops of objects, in meters")
    parser.add_argument("-m", "--model", action="append", help="an upsampler, by name or folder; may be repeated")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/cars.png"), help="the picture")
    options = parser.parse_args(arguments)
    models = tuple(options.model or UPSAMPLERS)
    try:
        objects = {path.stem: read(path) for path in options.kitti} if options.kitti else simulated()
        few = [name for name, cloud in objects.items() if len(cloud) < FEWEST]
        for name in few:
            print(f"{name} has fewer than {FEWEST} points and is left out")
            del objects[name]
        if not objects:
            sys.exit("Error: no object is left")
        print(f"Share of withheld points within {100 * WITHIN:g} cm, in percent:\n\n{compare(objects, models)}\n")
        shown = dict(list(objects.items())[:: max(1, len(objects) // 5)])
        figure(shown, "jetnet" if "jetnet" in models else models[0], options.output)
        print(options.output)
    except PcsrError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
