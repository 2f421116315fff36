"""The only place that imports Open3D: lazily, with a clear error if it cannot be imported."""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType

from .errors import DependencyError


def _preload_libusb() -> None:
    """Load libusb-1.0.so.0, which Open3D's Linux wheels link to and slim images lack.

    The wheel `libusb-package` has this library under the same soname. Once it is loaded, the dynamic linker uses it.
    """
    try:
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    except (ImportError, OSError):
        pass  # the import of Open3D then reports the missing library


def _remedy(error: str) -> str:
    if ".so" in error:  # Open3D is installed, a system library is missing
        return "on Debian and Ubuntu: apt-get install libusb-1.0-0 libegl1 libgl1 libx11-6"
    return "install it with: pip install open3d-cpu (Linux x86-64) or: pip install open3d"


def import_open3d() -> ModuleType:
    """Import and return `open3d` (either wheel, `open3d` or `open3d-cpu`).

    Raises:
        DependencyError: Open3D is not installed or cannot be loaded; the message says what to install.
    """
    if "open3d" in sys.modules:
        return sys.modules["open3d"]
    if sys.platform == "linux":
        _preload_libusb()
    try:
        import open3d
    except ImportError as error:
        sys.modules.pop("open3d", None)
        raise DependencyError(
            f"Open3D is required for this and cannot be imported ({error}); {_remedy(str(error))}"
        ) from error
    return open3d
