"""Show a cloud before and after upsampling in Open3D's viewer; the space bar switches between them.

    python examples/view.py                                        # the sculpture, x4
    python examples/view.py scan.ply -x 8 -m jet
    python examples/view.py scan.ply --with result.ply             # show two files

It needs a screen. Without one, `pcsr render scan.ply result.ply -o both.png` draws the clouds to a file.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from pcsr_zoo import Cloud, read, upsample
from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.errors import PcsrError

HERE = Path(__file__).parent
NO_SCREEN = "Error: no window can be opened here; draw to a file instead: pcsr render BEFORE AFTER -o both.png"


def drawable(cloud: Cloud) -> Any:
    """An Open3D cloud, centered at the origin (viewers use float32), with normals for lighting."""
    centered = Cloud(cloud.positions - cloud.positions.mean(axis=0), cloud.attributes, cloud.metadata)
    shown = centered.to_open3d()
    if not shown.has_normals():
        shown.estimate_normals()
    if not shown.has_colors():
        shown.paint_uniform_color((0.36, 0.58, 0.78))
    return shown


def has_screen() -> bool:
    """Whether a window can be opened. Without a display, Open3D would run forever."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show(clouds: dict[str, Any]) -> None:
    """Open a window with the first cloud; the space bar shows the next one in the same view.

    Raises:
        SystemExit: no window can be opened.
    """
    o3d = import_open3d()
    titles, current = list(clouds), 0
    viewer = o3d.visualization.VisualizerWithKeyCallback()
    if not viewer.create_window("pcsr-zoo: space switches, Q quits", 1200, 900):
        sys.exit(NO_SCREEN)

    def change(window: Any) -> bool:
        nonlocal current
        window.remove_geometry(clouds[titles[current]], reset_bounding_box=False)
        current = (current + 1) % len(titles)
        window.add_geometry(clouds[titles[current]], reset_bounding_box=False)
        print(titles[current])
        return True

    viewer.add_geometry(clouds[titles[0]])
    viewer.register_key_callback(ord(" "), change)
    print(titles[0])
    viewer.run()
    viewer.destroy_window()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cloud", nargs="?", type=Path, default=HERE / "data" / "sculpture.ply")
    parser.add_argument("-x", "--ratio", type=float, default=4)
    parser.add_argument("-m", "--model", default="jetnet")
    parser.add_argument("--with", dest="other", type=Path, metavar="FILE", help="show this instead of upsampling")
    options = parser.parse_args(arguments)
    try:
        before = read(options.cloud)
        if not has_screen():  # before any computation
            sys.exit(NO_SCREEN)
        after = read(options.other) if options.other else upsample(before, options.ratio, model=options.model)
        clouds = {"before": before, "after": after}
        show({f"{name}: {len(cloud):,} points": drawable(cloud) for name, cloud in clouds.items()})
    except PcsrError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
