"""`load` returns a model that is ready to use; `upsample`, `sample` and `recover` are functions for single calls.

Every call takes a `Cloud`, a NumPy array or torch tensor of shape (N, 3) or (N, 3 + C), a legacy or tensor Open3D
cloud, or a path. It returns the kind that it was given; for a path it returns a `Cloud`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

from .catalog import Resolved, checkpoints_of, list_models, resolve
from .checkpoints.address import Address, is_address
from .checkpoints.fetch import Transfer, cached
from .checkpoints.folder import load_checkpoint
from .errors import FileError, OptionError
from .geometry.spinning.scan import scans_in
from .io import open_cloud
from .io.recovery_note import note_of
from .loaded import RECOVERER, LoadedFamily, LoadedModel
from .models.base import Model, Progress
from .pipelines import recovery
from .pipelines.arguments import as_origin
from .pipelines.same_kind import same_kind

if TYPE_CHECKING:
    from typing import TypeAlias

    import torch

    from .cloud import Cloud
    from .geometry.spinning.scan import Scan
    from .pipelines.same_kind import CloudLike

    ModelLike: TypeAlias = str | PathLike[str] | Address | Resolved | Model | type[Model] | LoadedModel

UPSAMPLER, SCAN_UPSAMPLER = "jetnet", "scan-net"  # the default models

__all__ = ["LoadedModel", "list_models", "load", "recover", "sample", "upsample"]


def load(
    name: ModelLike,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    transfer: Transfer | None = None,
    allow_untrained: bool = False,
) -> LoadedModel:
    """Load a model: `load("jet").upsample(points, 4)`, `load("runs/mine").upsample(points, 4)`.

    The weights are checked against their sha256 on every load. No code is executed: only config.json and
    model.safetensors are read.

    Args:
        name: a name (see `list_models`), the folder of a checkpoint, "hf:owner/repo" or "hf:owner/repo@revision" on
            the Hugging Face Hub, or a model object; see `catalog.resolve` for the order. A `LoadedModel` is returned
            as it is. For a name such as `pointlie`, whose checkpoints have ratios, every call chooses one by its ratio.
        device: the torch device, such as "cuda"; by default the CPU.
        dtype: floating-point type of the network, one of its class's `dtypes`; by default float32.
        transfer: settings of downloads from the Hub, see `checkpoints.fetch`.
        allow_untrained: accept a network with random weights, for experiments.

    Raises:
        OptionError: the model, device or dtype does not exist; or the model has random weights and `allow_untrained`
            is False.
        FileError: the checkpoint does not exist, is broken, or cannot be downloaded.
    """
    if isinstance(name, LoadedModel):
        return name.place(device, dtype)
    found = name if isinstance(name, Resolved) else resolve(name, transfer=transfer)
    if found.kind == "checkpoint":
        try:
            model = load_checkpoint(found.with_weights(transfer))
        except FileError as error:
            if found.address is not None:  # name the address: users do not know the folder in the cache
                raise FileError(f"{found.address}: {error}") from None
            raise
    else:
        if found.untrained and not allow_untrained:
            return _family(found, transfer).place(device, dtype)
        model = found.model if found.kind == "object" else found.model_class()
    return LoadedModel(model, found).place(device, dtype)


def _family(found: Resolved, transfer: Transfer | None) -> LoadedFamily:
    """The checkpoints of a class that has random weights.

    Raises:
        OptionError: it has none that a ratio can choose.
    """
    trained = checkpoints_of(found.model_class)
    members = {one.ratio: one for one in trained if one.ratio is not None}
    if found.kind == "object" or not members or len(members) < len(trained):
        instead = [*(one.name for one in trained), "the folder of a trained checkpoint"]
        raise OptionError(f"'{found.name}' has random weights; use {' or '.join(instead)}")
    return LoadedFamily(found, members, partial(load, transfer=transfer))


@same_kind
def upsample(
    x: CloudLike,
    ratio: float | None = 4,
    *,
    n: int | None = None,
    model: ModelLike | None = None,
    seed: int = 0,
    device: str | None = None,
    keep_input: bool | None = None,
    noise: float | None = None,
    even: bool = False,
    origin: Sequence[float] | None = None,
    renumber_rings: bool = False,
    synthetic: bool | None = None,
    distance: bool = False,
    progress: Progress | None = None,
) -> CloudLike:
    """Upsample a cloud to exactly round(ratio N) points, or to exactly n.

    Args:
        x: a Cloud, a NumPy array or torch tensor of shape (N, 3) or (N, 3 + C), a legacy or tensor Open3D cloud, or a
            path.
        ratio: output points per input point, any number of at least 1. Ratios above the model's `max_step` are
            reached in several steps.
        n: number of output points, at least N; used instead of the ratio.
        model: a name or anything else that `load` takes; by default "scan-net" for scans of spinning LiDAR sensors, and
            "jetnet" for other clouds.
        seed: seed of the random numbers.
        device: the torch device, such as "cpu", "cuda" or "cuda:1"; by default the device of a loaded model, else
            the CPU.
        keep_input: True keeps the input points, in their order, as the first N points of the result. False also
            projects them onto the estimated surface. By default they are kept unless the cloud is judged noisy.
        noise: standard deviation of the input's noise in units of its point spacing, 0 for a clean cloud. By default
            it is estimated.
        even: whether the result is evenly spaced where the input is not: points are picked by farthest point sampling
            from two to eight times as many on the surface, so that input points in dense regions are left out.
        origin: for scans of spinning LiDAR sensors, the place (x, y, z) of the sensor in the cloud; by default it is
            found.
        renumber_rings: for such scans, whether all rings, measured and new ones, get whole numbers from 0 upwards.
            Otherwise new points get the number between those of the rings below and above, rounded if it is an integer.
        synthetic: whether new points get 1 in the attribute `synthetic`, the flag of LAS, and measured ones 0. By
            default, for clouds of LAS files and of spinning LiDAR, and with `distance`. Arrays have no attributes.
        distance: whether all points get the attribute `distance_to_measured`, in the unit of the positions.
        progress: a function that is called with (stage, fraction done).

    Returns:
        The kind that was given; a Cloud for a path. Attributes are interpolated, see `geometry.transfer`.

    Raises:
        CloudError: the cloud is empty, has NaN or infinite positions, or has fewer distinct points than the model
            needs.
        OptionError: an argument is out of its range.
    """
    options: dict[str, Any] = {"seed": seed, "keep_input": keep_input, "noise": noise, "progress": progress}
    options |= {"even": even, "origin": origin, "renumber_rings": renumber_rings}
    options |= {"synthetic": synthetic, "distance": distance}
    if model is not None:
        return load(model).upsample(x, ratio, n=n, device=device, **options)
    cloud, back = open_cloud(x)
    return back(load(suited(cloud, origin)).upsample(cloud, ratio, n=n, device=device, **options))


def suited(cloud: Cloud, origin: Sequence[float] | None = None) -> str:
    """The name of the model that upsamples a cloud by default: "scan-net" for spinning LiDAR, else "jetnet"."""
    return default_upsampler(scans_in(cloud, as_origin(origin)))


def default_upsampler(scans: Sequence[Scan] | None) -> str:
    """The name of the default model for a cloud with these scans of spinning LiDAR, or with none."""
    return SCAN_UPSAMPLER if scans else UPSAMPLER


@same_kind
def sample(
    x: CloudLike,
    ratio: float | None = None,
    *,
    n: int | None = None,
    model: ModelLike = "fps",
    seed: int = 0,
    device: str | None = None,
    snap: bool = False,
    bits: int | None = None,
    progress: Progress | None = None,
) -> CloudLike:
    """Sample exactly round(N / ratio) points (at least 1), or exactly n, with their attributes.

    The result has a recovery note, which `write` stores in the file and `recover` reads; see `io.recovery_note`.

    Args:
        x, model, seed, device, progress: see `upsample`.
        ratio: input points per output point, at least 1; by default the ratio that the model was trained for.
        n: number of output points, at most N; used instead of the ratio.
        snap: return points of the input only, even if the model moves points. A moved point takes its attributes
            from the input points around it.
        bits: round the positions to a grid of 2^bits steps along their bounding cube, 1 to 24, and order them along a
            space-filling curve, which makes LAZ and other compressed files small. Points that coincide on the grid
            are kept.

    Raises:
        CloudError: the cloud is empty or has NaN or infinite positions; or the model returns the wrong number of
            points.
        OptionError: an argument is out of its range.
    """
    options: dict[str, Any] = {"seed": seed, "snap": snap, "bits": bits, "progress": progress}
    return load(model).sample(x, ratio, n=n, device=device, **options)


@same_kind
def recover(
    x: CloudLike,
    ratio: float | None = None,
    *,
    n: int | None = None,
    model: ModelLike | None = None,
    seed: int = 0,
    device: str | None = None,
    temperature: float = 1.0,
    synthetic: bool | None = None,
    distance: bool = False,
    progress: Progress | None = None,
) -> CloudLike:
    """Recover a dense cloud of exactly round(ratio N) points, or of exactly n, from a sampled one.

    Without further arguments, the model and the number of points are those in the cloud's recovery note (see
    `io.recovery_note`). For a cloud without a note the model is `jetnet`, and the ratio is the one that the model was
    trained for.

    Args:
        x: see `upsample`; only a Cloud or a path can have a recovery note.
        ratio: output points per input point, at least 1.
        n: number of output points, at least N; used instead of the ratio.
        model: a name or anything else that `load` takes. A model made for recovery computes all points anew; an
            upsampler keeps the sampled points as the first points of the result and adds others. None: the model in
            the note. A warning is logged if its weights have changed since sampling; naming the model accepts them.
        seed: seed of the random numbers. A generative model returns another result for each seed.
        device: see `upsample`.
        temperature: factor on the standard deviation of what a generative model draws at random; 0 gives the mean.
        synthetic, distance: see `upsample`; the points of `x` are the measured ones.
        progress: a function that is called with (stage, fraction done).

    Returns:
        The kind that was given; a Cloud for a path. Attributes are interpolated from the sampled points, see
        `geometry.transfer`.

    Raises:
        CloudError: the cloud is empty, has NaN or infinite positions, or has fewer distinct points than the model
            needs.
        OptionError: an argument is out of its range; or the cloud has no recovery note and neither ratio nor n was
            given.
    """
    cloud, back = open_cloud(x)
    loaded = load(remembered_model(cloud.metadata) if model is None else model)
    options: dict[str, Any] = {"seed": seed, "temperature": temperature, "progress": progress}
    options |= {"synthetic": synthetic, "distance": distance}
    return back(loaded.recover(cloud, ratio, n=n, device=device, **options))


def remembered_model(metadata: Mapping[str, Any]) -> Resolved:
    """Resolve the model that a cloud's recovery note names; without a note, the default model.

    A note is untrusted text. It can select a model of this version, or a checkpoint whose address and commit are
    already in the cache; it never starts a download from an address. A warning is logged if the weights differ from
    those that sampled.

    Raises:
        OptionError: the note names a checkpoint that is not on this machine; the message says how to name it.
    """
    note = note_of(metadata)
    if note is None:
        return resolve(RECOVERER, paths=False)
    name, weights = note.get("address") or note["model"], note["weights"]
    if is_address(name) and cached(Address.parse(name)) is None:
        raise OptionError(
            f"the recovery note names '{note['model']}' of {name}, which is not on this machine; a note never starts "
            f"a download: to download it, name it as the model (-m {name})"
        )
    found = resolve(name, paths=False) if is_address(name) or name in list_models() else None
    if found is None or (weights and found.weights is None):
        raise OptionError(
            f"the recovery note names the custom checkpoint '{name}' ({recovery.short(weights)}), which is not part of "
            "this version; name its folder, or another model, as the model (-m FOLDER)"
        )
    recovery.compare_weights(name, weights, found.weights)
    return found
