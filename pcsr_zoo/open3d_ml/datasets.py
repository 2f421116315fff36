"""Data sets of Open3D-ML's kind: PU-GAN's test shapes, a training file, a folder of clouds.

`get_data` gives `point` (N, 3) float64 and `feat` (or None) as Open3D-ML's do, `gt` (M, 3) where there is a ground
truth and `mesh` where there is a true surface, both in the frame of `point`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..cloud import Cloud
from ..errors import OptionError
from ..io import WRITE_SUFFIXES, find_clouds, read, write
from .bases import BaseDataset, BaseDatasetSplit
from .convert import GROUND_TRUTH, MESH, result_cloud, to_data

_ALIASES = {"train": "training", "val": "validation", "valid": "validation", "testing": "test"}


class ZooSplit(BaseDatasetSplit):
    """Some items of a data set of ours; `path_list` has what `read_item` needs for each."""

    def __len__(self) -> int:
        return len(self.path_list)

    def get_data(self, idx: int) -> dict[str, Any]:
        return self.dataset.read_item(self.path_list[idx])

    def get_attr(self, idx: int) -> dict[str, Any]:
        """{"idx", "name", "path", "split"}; results are stored under the name."""
        item = self.path_list[idx]
        name, path = self.dataset.name_item(item)
        return {"idx": idx, "name": name, "path": path, "split": self.split}


class ZooDataset(BaseDataset):
    """What our data sets share.

    Args:
        dataset_path: the file or folder.
        name: under which results are stored.
        test_result_folder: `save_test_result` writes to <test_result_folder>/<name>/<item>.<result_format>.
        result_format: a suffix that `pcsr_zoo.write` knows.
        seed: of inputs that are drawn.
        others: kept in `cfg`, as Open3D-ML does (`cache_dir`, `use_cache`, `sampler`, ...).

    Raises:
        OptionError: `result_format` cannot be written, or there is no `dataset_path`.
    """

    def __init__(
        self,
        dataset_path: Any = None,
        *,
        name: str,
        test_result_folder: str = "./test",
        result_format: str = "ply",
        seed: Any = 0,
        use_cache: bool = False,
        **others: Any,
    ) -> None:
        if dataset_path is None:
            raise OptionError(f"{type(self).__name__} needs a dataset_path")
        if f".{result_format}" not in WRITE_SUFFIXES:
            known = " ".join(suffix[1:] for suffix in WRITE_SUFFIXES)
            raise OptionError(f"result_format '{result_format}' cannot be written; use one of {known}")
        super().__init__(
            dataset_path=str(dataset_path),
            name=name,
            test_result_folder=test_result_folder,
            result_format=result_format,
            seed=seed,
            use_cache=use_cache,
            **others,
        )
        # Open3D-ML's script hands the same generator to everything: a number is taken from it once.
        self.seed = seed if isinstance(seed, int) else int(self.rng.integers(2**31))

    @staticmethod
    def get_label_to_names() -> dict[int, str]:
        """Nothing: points are made here, not labeled."""
        return {}

    def get_split(self, split: str) -> ZooSplit:
        """The items of "training", "validation", "test" or "all" (and Open3D-ML's short forms of these).

        Raises:
            OptionError: the data set has no such split; the message says why.
        """
        return ZooSplit(self, split=_ALIASES.get(split, split))

    def get_split_list(self, split: str) -> Sequence[Any]:
        raise NotImplementedError

    def read_item(self, item: Any) -> dict[str, Any]:
        raise NotImplementedError

    def name_item(self, item: Any) -> tuple[str, str]:
        """(name, path)."""
        raise NotImplementedError

    def training_file(self, folder: Path, report: Callable[[str], None]) -> Path:
        """The training file for `run_train`; made in `folder` where there is none yet.

        Raises:
            OptionError: the data set is not for training.
            FileError: the data cannot be read or the file not written.
        """
        raise NotImplementedError

    def result_path(self, attr: dict[str, Any]) -> Path:
        """Where the result of an item is stored."""
        return Path(self.cfg.test_result_folder, self.name, f"{attr['name']}.{self.cfg.result_format}")

    def is_tested(self, attr: dict[str, Any]) -> bool:
        """Whether there is a result of this item."""
        return self.result_path(attr).is_file()

    def save_test_result(self, results: dict[str, Any], attr: dict[str, Any]) -> None:
        """Write the result of `run_inference`, whole or not at all.

        Raises:
            FileError: it cannot be written.
        """
        path = self.result_path(attr)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(result_cloud(results), path)

    def _no_split(self, split: str, has: str, remedy: str = "") -> OptionError:
        return OptionError(f"{type(self).__name__} has no split '{split}', it has {has}{remedy}")


_NOT_FOR_TRAINING = "; test shapes are not for training: use a TrainingFile or a CloudFolder of others"


class PUGAN(ZooDataset):
    """PU-GAN's 27 test shapes, see `datasets.pugan.PUGANTestSet`.

    Args:
        dataset_path: the folder with `input_2048`, `gt_8192` and `mesh`.
        task: what goes in and what should come out, one of `pipelines.benchmark_tasks.TASKS`: "up4", "pcsr4", ...
        shapes: names of those to use; all by default.
        others: see `ZooDataset`.

    Raises:
        FileError: the folder is not complete.
        OptionError: an unknown task or shape.
    """

    def __init__(
        self,
        dataset_path: Any = None,
        name: str = "PUGAN",
        task: str = "up4",
        shapes: Sequence[str] | None = None,
        **others: Any,
    ) -> None:
        from ..datasets.pugan import PUGANTestSet
        from ..datasets.pugan_tasks import get_task

        super().__init__(dataset_path, name=name, task=task, shapes=shapes, **others)
        self.task = get_task(task)
        test_set = PUGANTestSet(self.cfg.dataset_path, shapes)
        self.shapes = test_set.with_mesh if self.task.needs_mesh else list(test_set)

    def get_split_list(self, split: str) -> Sequence[Any]:
        if split not in ("test", "all"):
            raise self._no_split(split, "'test'", _NOT_FOR_TRAINING)
        return self.shapes

    def training_file(self, folder: Path, report: Callable[[str], None]) -> Path:
        raise self._no_split("training", "'test'", _NOT_FOR_TRAINING)

    def read_item(self, item: Any) -> dict[str, Any]:
        return {
            "point": self.task.given(item, self.seed),
            "feat": None,
            GROUND_TRUTH: self.task.truth(item, self.seed),
            MESH: item.surface,
        }

    def name_item(self, item: Any) -> tuple[str, str]:
        return item.name, str(item.input_path)


class TrainingFile(ZooDataset):
    """A training file that `pcsr data build` made; `run_train` of our pipelines trains on it.

    The shapes that the file holds out are its validation split, and its test split too. An item is a whole shape in
    its unit frame: even input points and, apart from them, even points of the ground truth.

    Args:
        dataset_path: the .npz.
        num_points: input points.
        ratio: ground-truth points for each input point.
        others: see `ZooDataset`.

    Raises:
        FileError: the file is missing or broken.
        OptionError: its shapes have fewer than ratio * num_points points.
    """

    def __init__(
        self,
        dataset_path: Any = None,
        name: str = "TrainingFile",
        num_points: int = 2048,
        ratio: float = 4,
        **others: Any,
    ) -> None:
        from ..datasets import TrainingSet

        super().__init__(dataset_path, name=name, num_points=num_points, ratio=ratio, **others)
        self.training_set = TrainingSet.load(self.cfg.dataset_path)

    def get_split_list(self, split: str) -> Sequence[Any]:
        data = self.training_set
        lists = {"training": data.train, "validation": data.held_out, "test": data.held_out, "all": range(len(data))}
        if split not in lists:
            raise self._no_split(split, "'training', 'validation', 'test' and 'all'")
        if split == "test" and not data.held_out:
            raise OptionError(
                f"{self.cfg.dataset_path} holds out no shapes, so there is nothing to test on; build it with a larger "
                "--held-out, or with more shapes"
            )
        return lists[split]

    def training_file(self, folder: Path, report: Callable[[str], None]) -> Path:
        return Path(self.cfg.dataset_path)

    def read_item(self, item: Any) -> dict[str, Any]:
        from ..datasets.patches import NONE, draw

        cfg = self.cfg
        drawn = draw(
            self.training_set, item, self.seed, 1, "cloud", cfg.num_points, cfg.ratio, shapes=[item], augmentation=NONE
        )
        point, truth = (part[0].astype(float) for part in (drawn.sparse, drawn.dense))
        return {"point": point, "feat": None, "normals": drawn.sparse_normals[0], GROUND_TRUTH: truth, MESH: None}

    def name_item(self, item: Any) -> tuple[str, str]:
        return self.training_set.shapes[item].name.replace("/", "_"), self.cfg.dataset_path


class CloudFolder(ZooDataset):
    """Clouds of your own, in any format that `pcsr_zoo.read` knows, for inference and tests.

    `run_train` takes them too, if they are dense: as `pcsr finetune` does, it makes a training file of them first.

    Args:
        dataset_path: a folder, or one file.
        ratio: None: the clouds are the input, and there is no ground truth. Else they are the ground truth, and the
            input is a sample of them, so many times thinner.
        input_sampler: the zoo's sampler that draws it.
        num_points: drawn from each mesh, where a file holds one.
        others: see `ZooDataset`.

    Raises:
        FileError: there are no clouds.
    """

    def __init__(
        self,
        dataset_path: Any = None,
        name: str = "CloudFolder",
        ratio: float | None = None,
        input_sampler: str = "fps",
        num_points: int | None = None,
        **others: Any,
    ) -> None:
        super().__init__(
            dataset_path, name=name, ratio=ratio, input_sampler=input_sampler, num_points=num_points, **others
        )
        self.files = find_clouds(self.cfg.dataset_path)

    def get_split_list(self, split: str) -> Sequence[Any]:
        if split not in ("test", "all"):
            raise self._no_split(split, "'test'")
        return self.files

    def training_file(self, folder: Path, report: Callable[[str], None]) -> Path:
        from ..training.own_data import training_file

        return training_file([self.cfg.dataset_path], folder, report)

    def read_item(self, item: Any) -> dict[str, Any]:
        from ..zoo import sample

        cloud: Cloud = read(item, points=self.cfg.num_points, seed=self.seed)
        if self.cfg.ratio is None:
            return {**to_data(cloud), GROUND_TRUTH: None, MESH: None}
        thin = sample(cloud, self.cfg.ratio, model=self.cfg.input_sampler, seed=self.seed)
        return {**to_data(thin), GROUND_TRUTH: cloud.positions, MESH: None}

    def name_item(self, item: Any) -> tuple[str, str]:
        stem = item.stem if [file.stem for file in self.files].count(item.stem) == 1 else item.name.replace(".", "_")
        return stem, str(item)


DATASETS = (PUGAN, TrainingFile, CloudFolder)
