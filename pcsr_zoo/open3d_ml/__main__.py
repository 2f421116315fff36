"""`python -m pcsr_zoo.open3d_ml SCRIPT ARGUMENTS...`: run a script of Open3D-ML with the zoo registered."""

from __future__ import annotations

import runpy
import sys

from ..errors import PcsrError
from . import register


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    try:
        register()
        del sys.argv[0]
        runpy.run_path(sys.argv[0], run_name="__main__")
    except PcsrError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
