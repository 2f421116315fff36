"""Times a model at several sizes, each run in a fresh process, with its peak memory.

    python benchmarks/speed.py                                    2 k, 20 k, 100 k and 1 M points, x4, jetnet
    python benchmarks/speed.py --sizes 2048 20000 --json runs/speed.json
    python benchmarks/speed.py --sizes 1000000 --json runs/speed.json    adds to the same file and table
    python benchmarks/speed.py --task pcsr --model jetnet     100 k points sampled and recovered, x8
    python benchmarks/speed.py --against 28d1b96 --sizes 100000     ratios to another commit, in pairs

"In process" is `pcsr_zoo.upsample` on a cloud in memory, after one small call that pays for the imports
(the median of several runs where they are short). "Command" is all of `pcsr upsample in.ply -x 4`: the start
of Python, reading, writing. Memory is the largest resident size of the command's process.

With `--task pcsr` it is `pcsr_zoo.sample` and `pcsr_zoo.recover` together, and `pcsr sample` and `pcsr recover`, one
after the other (their times added, the larger memory). The model is that of `pcsr benchmark`: SAMPLER+MODEL, or a name,
which samples by itself or by `fps`. With `--task sample` it is `pcsr_zoo.sample` alone.

With `--against COMMIT`, the commit is checked out beside this one, and both run in turn, in one thread each. The ratios
are those of CPU seconds, pair by pair, which depend less on what else the machine does than wall times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SIZES = (2048, 20_000, 100_000, 1_000_000)
# Measured by this project with the authors' code and weights on a two-core machine (no GPU), 2048 -> 8192
# points of the PU-GAN test shapes; it is quoted here, not run.
GRAD_PU = {"model": "Grad-PU (authors' weights)", "points": 2048, "result": 8192, "in_process_s": 21.0}


def bumpy_torus(count: int, seed: int = 0) -> np.ndarray:
    """`count` points (N, 3), spread evenly but not regularly over a torus with waves, in linear time.

    A golden-ratio lattice in coordinates that preserve the torus's area, each point moved by up to a third of
    the mean spacing; the waves (4 % of the radius) give it curvature of both signs.
    """
    rng = np.random.default_rng(seed)
    big, small = 1.0, 0.4
    grid = np.linspace(-np.pi, np.pi, 2049)
    area = (big * grid + small * np.sin(grid)) / (2 * np.pi * big) + 0.5
    around = 2 * np.pi * np.modf(np.arange(count) * (np.sqrt(5) - 1) / 2)[0]
    along = np.interp((np.arange(count) + 0.5) / count, area, grid)
    spacing = np.sqrt(4 * np.pi**2 * big * small / count)
    jitter = rng.uniform(-0.33, 0.33, (2, count)) * spacing
    along = along + jitter[0] / small
    around = around + jitter[1] / (big + small * np.cos(along))
    radius = small * (1 + 0.04 * np.sin(7 * around) * np.cos(3 * along))
    ring = big + radius * np.cos(along)
    return np.stack([ring * np.cos(around), ring * np.sin(around), radius * np.sin(along)], axis=1)


def worker(options: argparse.Namespace) -> None:
    """In a process of its own: print the seconds of each run as JSON."""
    points, run = bumpy_torus(options.worker), in_process(options)
    run(bumpy_torus(256))
    seconds = []
    while not seconds or (len(seconds) < 7 and sum(seconds) < 10):
        start = time.perf_counter()
        result = run(points)
        seconds.append(time.perf_counter() - start)
        assert len(result) == result_size(len(points), options)
    print(json.dumps(seconds))


def cpu_seconds(folder: Path, points: int, options: argparse.Namespace) -> float:
    """CPU seconds of one run in one thread, by the code in a folder, after a small run that loads everything."""
    code = (
        "import json, resource, sys, time; sys.path[:0] = sys.argv[1:3]\n"
        "import speed, argparse, torch; torch.set_num_threads(1)\n"
        "options = argparse.Namespace(**json.loads(sys.argv[3])); run = speed.in_process(options)\n"
        "run(speed.bumpy_torus(31_000)); points = speed.bumpy_torus(options.points); start = time.process_time()\n"
        "run(points); print(time.process_time() - start)"
    )
    facts = {"task": options.task, "ratio": options.ratio, "model": options.model, "points": points}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(Path(__file__).parent), json.dumps(facts)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])


def against(options: argparse.Namespace) -> None:
    """Print the ratios of CPU seconds of another commit to those of this checkout."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(other), options.against], check=True)
        try:
            print(
                f"| task | model | points in | {options.against}, CPU s | {commit()}, CPU s | ratios |\n"
                + "|---" * 6
                + "|"
            )
            for points in options.sizes:
                pairs = [[cpu_seconds(at, points, options) for at in (other, ROOT)] for _ in range(options.pairs)]
                before, now = (statistics.median(column) for column in zip(*pairs, strict=True))
                ratios = ", ".join(f"{a / b:.2f}" for a, b in sorted(pairs, key=lambda pair: pair[0] / pair[1]))
                task = f"{options.task} x{options.ratio:g}"
                print(f"| {task} | {options.model} | {points:,} | {before:.3g} | {now:.3g} | {ratios} |", flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", str(other)], check=True)


def in_process(options: argparse.Namespace) -> Callable[[np.ndarray], np.ndarray]:
    """What is timed, as a function of the points (N, 3)."""
    from pcsr_zoo import recover, sample, upsample

    if options.task == "upsample":
        return lambda points: upsample(points, ratio=options.ratio, model=options.model)
    if options.task == "sample":
        return lambda points: sample(points, options.ratio, model=options.model)
    sampler, model = sampler_and_recoverer(options.model)
    return lambda points: recover(sample(points, options.ratio, model=sampler), n=len(points), model=model)


def sampler_and_recoverer(name: str) -> tuple[str, str]:
    from pcsr_zoo.benchmark.names import sampler_and_recoverer as pair

    return pair(name)


def result_size(points: int, options: argparse.Namespace) -> int:
    if options.task == "sample":
        return round(points / options.ratio)
    return points if options.task == "pcsr" else round(options.ratio * points)


def time_in_process(points: int, options: argparse.Namespace) -> list[float]:
    command = [sys.executable, __file__, "--worker", str(points), "--model", options.model]
    done = subprocess.run(
        [*command, "--ratio", str(options.ratio), "--task", options.task],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float(value) for value in json.loads(done.stdout.splitlines()[-1])]


def time_command(points: int, options: argparse.Namespace) -> tuple[float, float | None]:
    """Wall seconds and peak memory in GB of the command, or both commands, on a binary PLY file."""
    from pcsr_zoo import Cloud, write

    ratio = f"{options.ratio:g}"
    with tempfile.TemporaryDirectory() as folder:
        source, few, target = (str(Path(folder) / name) for name in ("in.ply", "few.ply", "out.ply"))
        write(Cloud(bumpy_torus(points)), source)
        if options.task != "pcsr":
            return time_one([options.task, source, "-x", ratio, "-o", target, "--model", options.model])
        sampler, model = sampler_and_recoverer(options.model)
        first = time_one(["sample", source, "-x", ratio, "-o", few, "--model", sampler])
        second = time_one(["recover", few, "-n", str(points), "-o", target, "--model", model])
        memory = None if first[1] is None or second[1] is None else max(first[1], second[1])
        return first[0] + second[0], memory


def time_one(arguments: list[str]) -> tuple[float, float | None]:
    """Wall seconds and peak memory in GB of one command `pcsr`."""
    command = [sys.executable, "-m", "pcsr_zoo", *arguments, "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment())
    if hasattr(os, "wait4"):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    else:
        process.wait()
        memory = None
    wall = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"the command failed with status {process.returncode}: {' '.join(command)}")
    return wall, memory


def environment() -> dict[str, str]:
    """This checkout first, so that what stands here is what is timed."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def commit() -> str | None:
    """What was timed, if this is a clone."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return {
        "processor": processor,
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "scipy", "torch")},
    }


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| task | model | points in | points out | in process, s | command, s | peak memory, GB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = [row.get("in_process_s"), row.get("command_s"), row.get("memory_gb")]
        text = ["" if value is None else f"{value:.3g}" for value in numbers]
        task = f"{row.get('task', 'upsample')} x{row.get('ratio', 4):g}"
        lines.append(f"| {task} | {row['model']} | {row['points']:,} | {row['result']:,} | {' | '.join(text)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("upsample", "sample", "pcsr"), default="upsample")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="by default 2 k to 1 M; pcsr: 100 k")
    parser.add_argument("--model", default="jetnet")
    parser.add_argument("--ratio", type=float, help="by default 4; pcsr: 8")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows; rows of other runs are kept")
    parser.add_argument("--against", metavar="COMMIT", help="print ratios of CPU seconds to those of another commit")
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="pairs of runs for --against (default 3)")
    parser.add_argument("--also", action="store_true", help="end the table with Grad-PU's quoted row")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.sizes = options.sizes or (list(SIZES) if options.task == "upsample" else [100_000])
    options.ratio = options.ratio or (4.0 if options.task == "upsample" else 8.0)
    sys.path.insert(0, str(ROOT))
    if options.worker:
        worker(options)
        return

    if options.against:
        against(options)
        return
    here, rows = machine(), []
    if options.json and options.json.exists():
        before = json.loads(options.json.read_text(encoding="utf-8"))
        if before["machine"] != here:
            sys.exit(f"{options.json} was measured elsewhere or with other versions; name another file")
        rows = before["rows"]
    for points in options.sizes:
        print(f"{options.task}, {options.model}, {points:,} points x{options.ratio:g} ...", file=sys.stderr, flush=True)
        seconds = time_in_process(points, options)
        wall, memory = time_command(points, options)
        row = {
            "task": options.task,
            "model": options.model,
            "ratio": options.ratio,
            "points": points,
            "result": result_size(points, options),
            "in_process_s": statistics.median(seconds),
            "runs_s": seconds,
            "command_s": wall,
            "memory_gb": memory,
            "commit": commit(),
        }
        key = ("task", "model", "ratio", "points")
        rows = [{"task": "upsample", **other} for other in rows]  # older files name none
        rows = [other for other in rows if any(other[name] != row[name] for name in key)] + [row]
        rows.sort(key=lambda row: tuple(row[name] for name in key))
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps({"machine": here, "rows": rows}, indent=1), encoding="utf-8")
    print(table([*rows, GRAD_PU] if options.also else rows))
    facts = ", ".join(f"{name} {value}" for name, value in here.items())
    words = " ".join(["python benchmarks/speed.py", *sys.argv[1:]])
    print(f"\n`{words}` on {facts}.")
    if options.also:
        print("Grad-PU's row is quoted from this project's earlier measurement on two cores (see this script).")


if __name__ == "__main__":
    main()
