"""The one place that imports Open3D: lazily, and with a remedy when it cannot."""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType

from .errors import DependencyError


def _preload_libusb() -> None:
    """Open3D's Linux wheels link to libusb-1.0.so.0, which slim images lack.

    The wheel `libusb-package` carries the same library under the same soname: once it is in the process,
    the dynamic linker takes it.
    """
    try:
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    except (ImportError, OSError):
        pass  # import_open3d reports what is missing


def _remedy(error: str) -> str:
    if ".so" in error:  # the wheel is there, a system library is not
        return "on Debian and Ubuntu: apt-get install libusb-1.0-0 libegl1 libgl1 libx11-6"
    return "install it with: pip install open3d-cpu (Linux x86-64) or: pip install open3d"


def import_open3d() -> ModuleType:
    """Import and return `open3d` (either wheel, `open3d` or `open3d-cpu`).

    Raises:
        DependencyError: Open3D is not installed or cannot be loaded; the message says what to do.
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
            f"Open3D is needed here and cannot be imported ({error}); {_remedy(str(error))}"
        ) from error
    return open3d
