"""The queue that trains every shipped weight again: `python dev.py weights`.

Each `hub_configs/NAME/train.yml` describes one training; its section `queue` has the keys

    priority    smaller numbers are trained first
    hours       what the training takes on one thread of a CPU
    tasks       tasks of the benchmark for the card
    generated   how many generated shapes the training file has beside the meshes
    samplers    also recover from the samples of these samplers, in the tasks that sample
    streets     how many generated streets the training file has, in place of meshes

A training runs in `runs/weights/NAME` as its own process with one thread. The benchmark and the card follow it.
Everything resumes: the same command continues a queue that was stopped or killed, and the weights are the same as
without the interruption. The state is not part of the repository. To ship a result, copy config.json,
model.safetensors and README.md from `runs/weights/NAME` to `hub_configs/NAME`, then run `python dev.py generate`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from pcsr_zoo.errors import TrainingError
from pcsr_zoo.training.lock import FolderLock
from pcsr_zoo.training.log import time_text

ROOT = Path(__file__).resolve().parents[1]
CONFIGS, RUNS = ROOT / "hub_configs", ROOT / "runs" / "weights"
BESIDE = ("jet", "midpoint")


@dataclass(frozen=True)
class Job:
    """One training of the queue, see the module."""

    name: str
    priority: float
    hours: float
    tasks: tuple[str, ...]
    steps: int
    generated: int = 60
    samplers: tuple[str, ...] = ()
    streets: int = 0

    @property
    def data(self) -> Path:
        if self.streets:
            return RUNS / f"streets-{self.streets}.npz"
        return RUNS / f"meshes-and-{self.generated}.npz"

    @property
    def config(self) -> Path:
        return CONFIGS / self.name / "train.yml"

    @property
    def folder(self) -> Path:
        return RUNS / self.name

    @property
    def step(self) -> int:
        """The last step that is in the log; 0 before the training."""
        try:
            lines = (self.folder / "logs" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            return int(json.loads(lines[-1])["step"]) if lines else 0
        except (OSError, ValueError, KeyError):
            return 0

    @property
    def trained(self) -> bool:
        return self.step >= self.steps and (self.folder / "model.safetensors").is_file()

    @property
    def busy(self) -> bool:
        """Whether a process trains in the folder, such as one that a killed queue has left."""
        if not self.folder.is_dir():
            return False
        try:
            FolderLock(self.folder).release()
        except TrainingError:
            return True
        return False

    @property
    def measured(self) -> bool:
        """Whether the card has a row of each task, of the weights as they are."""
        try:
            config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        rows = config["about"].get("measured") or []
        current = f"sha256:{config['sha256']}"
        return set(self.tasks) <= {row["task"] for row in rows if row.get("weights") == current}

    def train_command(self) -> list[str]:
        return [*_pcsr("train"), str(self.config), "-o", str(self.folder), "--set", f"data={self.data}"]

    def state(self) -> str:
        if self.trained:
            return "trained and measured" if self.measured else "trained"
        return f"step {self.step} of {self.steps}" if self.step else "not started"


def jobs() -> list[Job]:
    """The trainings of hub_configs, in the order of the queue."""
    found = []
    for path in sorted(CONFIGS.glob("*/train.yml")):
        values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        queue = values["queue"]
        name, tasks, steps = path.parent.name, tuple(queue["tasks"]), values["training"]["steps"]
        more = queue.get("generated", 60), tuple(queue.get("samplers", ())), queue.get("streets", 0)
        found.append(Job(name, queue["priority"], queue["hours"], tasks, steps, *more))
    return sorted(found, key=lambda job: (job.priority, job.name))


def _pcsr(command: str) -> list[str]:
    return [sys.executable, "-m", "pcsr_zoo", command]


def _environment() -> dict[str, str]:
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    return {**os.environ, **one, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def build_data(job: Job, meshes: str | None) -> None:
    """Make the training file of a job, unless it exists."""
    if job.data.is_file():
        return
    if job.streets:
        RUNS.mkdir(parents=True, exist_ok=True)
        command = [*_pcsr("data"), "streets", "-o", str(job.data), "--scans", str(job.streets)]
        subprocess.run(command, env=_environment(), check=True)
        return
    if meshes is None:
        raise click.UsageError(f"{job.data} does not exist: give the table of the meshes by --meshes FILE.csv")
    RUNS.mkdir(parents=True, exist_ok=True)
    options = ["-o", str(job.data), "--license-class", "permissive", "--generated", str(job.generated)]
    subprocess.run([*_pcsr("data"), "build", meshes, *options], env=_environment(), check=True)


def measure(job: Job, data: str) -> None:
    """Run the benchmark for the card of a trained checkpoint, and write the card."""
    results = job.folder / "benchmark.json"
    sampling = [task for task in job.tasks if task.startswith("pcsr")]
    for tasks, models in (
        (job.tasks, (str(job.folder), *BESIDE)),
        (sampling, [f"{sampler}+{job.folder}" for sampler in job.samplers]),
    ):
        if not (tasks and models):
            continue
        chosen = [word for task in tasks for word in ("--task", task)]
        chosen += [word for name in models for word in ("--model", name)]
        command = [*_pcsr("benchmark"), "--data", data, *chosen, "--json", str(results), "--overwrite"]
        subprocess.run(command, env=_environment(), check=True)
        subprocess.run([*_pcsr("card"), str(job.folder), "--benchmark", str(results)], env=_environment(), check=True)


def run(queue: list[Job], processes: int, hours: float | None, data: str | None) -> int:
    """Train the jobs, `processes` at a time, for at most so many hours; then measure those that are trained.

    Returns:
        The number of failed trainings.
    """
    end = time.monotonic() + 3600 * hours if hours is not None else None
    waiting, running, failed = list(queue), dict[str, tuple[Job, subprocess.Popen[bytes]]](), 0
    try:
        while waiting or running:
            late = end is not None and time.monotonic() > end
            for job in [job for job in waiting if not job.busy]:
                if late or len(running) >= processes:
                    break
                waiting.remove(job)
                if not job.trained:
                    click.echo(f"{job.name}: {job.state()}")
                    RUNS.mkdir(parents=True, exist_ok=True)
                    with (RUNS / f"{job.name}.log").open("ab") as log:
                        process = subprocess.Popen(job.train_command(), stdout=log, stderr=log, env=_environment())
                    running[job.name] = job, process
                elif data is not None and not job.measured:
                    measure(job, data)
                    click.echo(f"{job.name}: {job.state()}; the card is {job.folder / 'README.md'}")
            if late:
                break
            time.sleep(0.2)
            for name, (job, process) in list(running.items()):
                if process.poll() is not None:
                    del running[name]
                    if process.returncode:
                        failed += 1
                        click.echo(f"{name}: failed, see {RUNS / name}.log", err=True)
                    else:
                        waiting.insert(0, job)  # to be measured
    finally:
        for _, process in running.values():
            process.send_signal(signal.SIGTERM)  # it saves its state and ends
        for name, (job, process) in running.items():
            process.wait()
            click.echo(f"{name}: stopped at {job.state()}; the same command continues")
    return failed


@click.command(help=__doc__.partition("\n\n")[0], context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--list", "show", is_flag=True, help="Show each training, its state, and how to repeat it; train nothing."
)
@click.option("--only", multiple=True, metavar="NAME", help="Train this one only; repeatable.")
@click.option("--hours", type=click.FloatRange(min=0), help="Stop after so many hours; the state is saved.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings at a time.")
@click.option("--meshes", metavar="CSV", help="Table of meshes, for the training file, which is made once.")
@click.option("--data", envvar="PCSR_DATA", metavar="DIR", help="PU-GAN's test shapes, for the card [PCSR_DATA].")
def main(
    show: bool, only: tuple[str, ...], hours: float | None, processes: int, meshes: str | None, data: str | None
) -> None:
    queue = jobs()
    unknown = set(only) - {job.name for job in queue}
    if unknown:
        raise click.UsageError(f"--only {sorted(unknown)[0]}: there is {', '.join(job.name for job in queue)}")
    queue = [job for job in queue if not only or job.name in only]
    if show:
        for job in queue:
            click.echo(f"{job.name:<18} about {time_text(job.hours):>7} of one thread   {job.state()}")
            click.echo(f"    python dev.py weights --only {job.name}    ({job.config.relative_to(ROOT)})")
        return
    for job in queue:
        if not job.trained:
            build_data(job, meshes)
    sys.exit(min(run(queue, processes, hours, data), 1))


if __name__ == "__main__":
    main()
