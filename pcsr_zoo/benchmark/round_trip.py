"""Round trips: a cloud is sampled, stored, read, recovered, and compared with the original.

Codecs that store all points are compared at the same number of bytes, see `codecs`. Only positions are stored and
compared; attributes are left out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..catalog import list_models
from ..cloud import Cloud
from ..devices import as_device
from ..errors import CloudError, DependencyError
from ..io import open_cloud, read, write
from ..metrics.conventions import evaluate, get_convention
from ..metrics.surface import as_surface
from ..models.base import Progress, ignore
from ..pipelines.arguments import as_bits, as_temperature, sparser_count
from ..zoo import LoadedModel, load
from .codecs import CODECS, Codec, at_equal_bytes
from .machine import machine_facts
from .names import sampler_and_recoverer
from .units import units

Points = NDArray[np.float64]

BESIDE = ("fps+jet", "fps+jetnet")  # rows of every report
_UNKNOWN = {"seconds": None, "weights": None}


@dataclass
class Roundtrip:
    """The result of `roundtrip`.

    Attributes:
        facts: a dictionary that `json.dump` accepts, see `roundtrip`.
        original: positions (N, 3).
        recovered: name of the row -> recovered positions (M, 3).
    """

    facts: dict[str, Any]
    original: Points
    recovered: dict[str, Points] = field(default_factory=dict)


def roundtrip(
    x: Any,
    ratio: float | None = None,
    *,
    n: int | None = None,
    models: Sequence[str] = (),
    bits: int | None = None,
    snap: bool = False,
    seed: int = 0,
    device: str | None = None,
    temperature: float = 1.0,
    mesh: Any = None,
    convention: str = "pugan-2019",
    emd: bool = False,
    uniformity: bool = False,
    on_row: Callable[[dict[str, Any]], None] | None = None,
    progress: Progress | None = None,
) -> Roundtrip:
    """Sample, store, read, recover and compare a cloud, with models and, at the same number of bytes, with codecs.

    Args:
        x: a cloud, see `pcsr_zoo.upsample`.
        ratio, n: see `pcsr_zoo.sample`; by default the ratio that the first model was trained for.
        models: names of models or checkpoints, or SAMPLER+MODEL; `fps+jet` and `fps+jetnet` are always added. By
            default `pointlie-xR` and `pointlie-geo-xR`, if they exist for the ratio R.
        bits: bits per axis of the grid that sampled positions are rounded to. Samples are stored as binary PLY; with
            bits, as the smallest of PLY, LAZ and Draco.
        snap, seed, device, temperature: see `pcsr_zoo.sample` and `pcsr_zoo.recover`.
        mesh, convention, emd, uniformity: see `pcsr_zoo.metrics.conventions.evaluate`; the cloud is the ground truth.
        on_row: a function that is called with each finished row.
        progress: a function that is called with (stage, fraction done).

    Returns:
        The recovered clouds and the facts.

        - `points`, `ratio`, `sampled`, `convention`, `bits`, `seed`, `package`, `machine`.
        - `units`: for each metric its unit and frame, see `units`.
        - `original`: {bytes, bits_per_point} as binary PLY.
        - `skipped`: codecs that are not installed, and how to install them.
        - `rows`: name, kind ("model" or "codec"), points (number of stored points), bits, stored ("ply", "laz" or
          "draco"), files {format: bytes}, bytes, bits_per_point (per point of the original), seconds (of sampling and
          recovery), weights, and the results of `evaluate`, not times 1000.

    Raises:
        OptionError: an argument is out of its range; raised before anything is computed.
        CloudError: the cloud is empty, has NaN or infinite positions, or is too small.
    """
    rules, bits, temperature = get_convention(convention), as_bits(bits), as_temperature(temperature)
    cloud, _ = open_cloud(x)
    original = cloud.validate().positions
    bare = Cloud(original, metadata={"position_dtype": "float32"})  # stored as float32 if nothing is lost
    pairs = _pairs(models, ratio)
    loaded = {part: load(part) for part in dict.fromkeys(part for pair in pairs.values() for part in pair)}
    trained = next((getattr(loaded[sampler], "ratio", None) for sampler, _ in pairs.values()), None)
    count = sparser_count(len(original), trained if ratio is None else ratio, n, "a round trip samples first")
    device, tell = None if device is None else as_device(device), progress or ignore
    surface = None if mesh is None else as_surface(mesh)
    codecs, skipped = _codecs()

    def compare(found: Points) -> dict[str, Any]:
        return evaluate(found, original, surface, rules, emd=emd and len(found) == len(original), uniformity=uniformity)

    def done(name: str, kind: str, size: int, found: Points, **row: Any) -> None:
        bpp = {"bits_per_point": 8 * size / len(original)}
        rows.append({"name": name, "kind": kind, "bytes": size, **bpp, **_UNKNOWN, **row, **compare(found)})
        result.recovered[name] = found
        if on_row is not None:
            on_row(rows[-1])

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="pcsr-") as name:
        folder = Path(name)
        whole = _ply(bare, folder)
        facts = {
            "points": len(original),
            "ratio": len(original) / count,
            "sampled": count,
            "convention": rules.id,
            "units": units(rules),
            "bits": bits,
            "seed": seed,
            "package": f"pcsr-zoo {__version__}",
            "machine": machine_facts(),
            "original": {"bytes": whole, "bits_per_point": 8 * whole / len(original)},
            "skipped": skipped,
            "rows": rows,
        }
        result = Roundtrip(facts, original)
        for number, (name, (sampler, model)) in enumerate(pairs.items()):
            tell(name, number / (len(pairs) + len(codecs)))
            _warm_up(bare, loaded[sampler], loaded[model], device)
            start = time.perf_counter()
            few = loaded[sampler].sample(bare, n=count, seed=seed, device=device, snap=snap, bits=bits)
            seconds = time.perf_counter() - start
            files = _files(few, bits, folder, codecs)
            stored = min(files, key=lambda form: files[form])
            few = read(folder / "sampled.ply")
            start = time.perf_counter()
            dense = (
                loaded[model].recover(few, n=len(original), seed=seed, device=device, temperature=temperature).positions
            )
            seconds += time.perf_counter() - start
            done(
                name,
                "model",
                files[stored],
                dense,
                points=count,
                bits=bits,
                stored=stored,
                files=files,
                seconds=seconds,
                weights=loaded[model].weights,
            )
        target = rows[0]["bytes"]
        for number, codec in enumerate(codecs, start=len(pairs)):
            tell(codec.name, number / (len(pairs) + len(codecs)))
            for name, level, points, size, found in at_equal_bytes(codec, original, target, folder, compare):
                files = {codec.name: size}
                done(name, "codec", size, found, points=points, bits=level, stored=codec.name, files=files)
        tell("done", 1.0)
    return result


def _pairs(models: Sequence[str], ratio: float | None) -> dict[str, tuple[str, str]]:
    """Name of the row -> (sampler, recovering model); the requested ones come first."""
    if not models and ratio is not None:
        made_for_it = (f"pointlie-x{ratio:g}", f"pointlie-geo-x{ratio:g}")
        models = [name for name in made_for_it if name in list_models()]
    return {name: sampler_and_recoverer(name) for name in dict.fromkeys([*map(str, models), *BESIDE])}


def _codecs() -> tuple[list[Codec], list[str]]:
    """The installed codecs, and for the others how to install them."""
    there, skipped = [], []
    for codec in CODECS:
        try:
            codec.require()
            there.append(codec)
        except DependencyError as error:
            skipped.append(str(error))
    return there, skipped


def _warm_up(cloud: Cloud, sampler: LoadedModel, model: LoadedModel, device: str | None) -> None:
    """Run both models once, so that imports and first calls are not timed."""
    part = cloud[np.random.default_rng(0).permutation(len(cloud))[:256]]
    try:
        model.recover(sampler.sample(part, n=max(len(part) // 4, 1), device=device), device=device)
    except CloudError:
        return  # these 256 points may be too few for the model; the whole cloud may be enough


def _ply(cloud: Cloud, folder: Path) -> int:
    """Bytes of the cloud as a PLY file of `pcsr`."""
    path = folder / "sampled.ply"
    write(cloud, path)
    return path.stat().st_size


def _files(few: Cloud, bits: int | None, folder: Path, codecs: list[Codec]) -> dict[str, int]:
    """Bytes of the samples in each format. PLY and LAZ are as `pcsr sample` writes them, with the recovery note."""
    files = {"ply": _ply(few, folder)}
    for codec in codecs if bits is not None else []:
        path = folder / f"sampled{codec.suffix}"
        if codec.name == "laz":
            write(few, path)
        else:
            codec.write(few.positions, few.metadata["grid"], bits or 0, path)
        files[codec.name] = path.stat().st_size
    return files
