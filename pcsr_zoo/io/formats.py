"""The file formats: the suffixes, the functions that read and write them, and what each of them stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..cloud import COLORS, INTENSITY, NORMALS, Cloud
from .bin import read_bin, stored_in_bin, write_bin
from .colmap import COLMAP_ATTRIBUTES, is_colmap, read_colmap, write_colmap
from .e57 import read_e57
from .e57_write import write_e57
from .gltf import read_gltf
from .las import read_las, write_las
from .numpy_files import read_npy, read_npz, stored_in_npy, write_npy, write_npz
from .obj import read_obj
from .off import read_off
from .open3d_meshes import read_stl
from .pcd import read_pcd, write_pcd
from .ply import read_ply, write_ply
from .ptx import read_ptx
from .text import read_text
from .text_write import stored_in_text, write_text
from .trimesh import Mesh


class Format(NamedTuple):
    """A format.

    Attributes:
        read: the function that reads a file.
        write: the function that writes one, if any.
        stores: a function that gives the attributes of a cloud that a file can store; None: all of them.
        has_room: whether the file itself can store a recovery note.
        layout: of the options `columns` and `dtype`, those that its reader takes.
    """

    read: Callable[..., Cloud | Mesh]
    write: Callable[[Cloud, Path, bool], None] | None = None
    stores: Callable[[Cloud], frozenset[str]] | None = None
    has_room: bool = False
    layout: tuple[str, ...] = ()


def _only(*names: str) -> Callable[[Cloud], frozenset[str]]:
    stored = frozenset(names)
    return lambda cloud: stored


_COLMAP = Format(read_colmap, write_colmap, _only(*COLMAP_ATTRIBUTES))
FORMATS: dict[str, Format] = {
    ".ply": Format(read_ply, write_ply, has_room=True),
    ".pcd": Format(read_pcd, write_pcd, has_room=True),
    ".las": Format(read_las, write_las, has_room=True),
    ".laz": Format(read_las, write_las, has_room=True),
    ".e57": Format(read_e57, write_e57, has_room=True),
    ".xyz": Format(read_text, write_text, stored_in_text(NORMALS), layout=("columns",)),
    ".xyzn": Format(read_text, write_text, _only(NORMALS), layout=("columns",)),
    ".xyzrgb": Format(read_text, write_text, _only(COLORS), layout=("columns",)),
    ".pts": Format(read_text, write_text, _only(INTENSITY, COLORS), layout=("columns",)),
    ".ptx": Format(read_ptx),
    ".txt": Format(read_text, write_text, layout=("columns",)),
    ".asc": Format(read_text, write_text, layout=("columns",)),
    ".csv": Format(read_text, write_text, layout=("columns",)),
    ".bin": Format(read_bin, write_bin, stored_in_bin, layout=("columns", "dtype")),
    ".npy": Format(read_npy, write_npy, stored_in_npy),
    ".npz": Format(read_npz, write_npz, has_room=True),
    ".obj": Format(read_obj),
    ".off": Format(read_off),
    ".stl": Format(read_stl),
    ".glb": Format(read_gltf),
    ".gltf": Format(read_gltf),
}
READ_SUFFIXES: tuple[str, ...] = tuple(FORMATS)
WRITE_SUFFIXES: tuple[str, ...] = tuple(suffix for suffix, entry in FORMATS.items() if entry.write)
TEXT_SUFFIXES: tuple[str, ...] = tuple(suffix for suffix, entry in FORMATS.items() if entry.read is read_text)
GZ = ".gz"
_LONG = (".pcd.bin", ".copc.laz")  # suffixes of two parts that belong together


def split_name(path: Path) -> tuple[str, str]:
    """The stem and the suffix of a name: ("scan", ".ply"), ("scan", ".xyz.gz"), ("scan", ".pcd.bin")."""
    name = path.name
    zipped = name[-len(GZ) :] if name.lower().endswith(GZ) and Path(name[: -len(GZ)]).suffix.lower() in FORMATS else ""
    name = name[: len(name) - len(zipped)]
    whole = next((suffix for suffix in _LONG if name.lower().endswith(suffix) and len(name) > len(suffix)), None)
    length = len(whole or Path(name).suffix)
    if name.startswith("-."):  # a standard stream
        length = len(name) - 1
    return name[: len(name) - length], name[len(name) - length :] + zipped


def format_of(path: Path) -> Format | None:
    """The format of a file by its name, or None if no format has such names."""
    suffix = split_name(path)[1].lower().removesuffix(GZ)
    if is_colmap(path.name.lower().removesuffix(GZ)):
        return _COLMAP
    return FORMATS.get(suffix) or FORMATS.get(Path(suffix).suffix or "." + suffix.rpartition(".")[2])
