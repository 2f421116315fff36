"""Data sets of Open3D-ML's kind: clouds of your own, a training file, PU-GAN's test shapes.

An item has `point` (N, 3) and `feat` (or None), as in Open3D-ML. It may have `gt` (M, 3), the ground truth, and `mesh`,
the true surface, both in the frame of `point`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cloud import Cloud
from ..datasets import pugan
from ..datasets.patches import NONE, draw
from ..datasets.pugan_tasks import get_task
from ..datasets.training_set import TrainingSet, is_training_file
from ..errors import FileError, OptionError
from ..io import WRITE_SUFFIXES, find_clouds, read, write
from .bases import BaseDataset, BaseDatasetSplit
from .convert import GROUND_TRUTH, MESH, result_cloud, to_data
from .options import as_seed, check_ratio, refuse_unused

_ALIASES = {"train": "training", "val": "validation", "valid": "validation", "testing": "test"}


class ZooSplit(BaseDatasetSplit):
    """Some items of a data set of the zoo; `path_list` has what `read_item` needs for each."""

    def __len__(self) -> int:
        return len(self.path_list)

    def get_data(self, idx: int) -> dict[str, Any]:
        return self.dataset.read_item(self.path_list[idx])

    def get_attr(self, idx: int) -> dict[str, Any]:
        """{"idx", "name", "path", "split"}; results are stored under the name."""
        name, path = self.dataset.name_item(self.path_list[idx])
        return {"idx": idx, "name": name, "path": path, "split": self.split}


class ZooDataset(BaseDataset):
    """The base of the zoo's data sets.

    Args:
        dataset_path: the file or folder.
        name: of the folder with the results.
        own: options of the class.
        test_result_folder: results are stored as <test_result_folder>/<name>/<item>.<result_format>.
        result_format: a file suffix that `pcsr_zoo.write` supports.
        seed: seed of inputs that are drawn at random, a number or a NumPy generator.
        unknown: other options, which are an error.

    Raises:
        OptionError: an option is unknown, `result_format` cannot be written, or there is no `dataset_path`.
    """

    def __init__(
        self,
        dataset_path: Any,
        name: str,
        own: Mapping[str, Any],
        *,
        test_result_folder: str = "./test",
        result_format: str = "ply",
        seed: Any = 0,
        **unknown: Any,
    ) -> None:
        known = ["dataset_path", "name", *own, "test_result_folder", "result_format", "seed"]
        refuse_unused(type(self).__name__, unknown, known)
        check_ratio(type(self).__name__, own.get("ratio"), "points of the ground truth for each input point")
        if dataset_path is None:
            raise OptionError(f"{type(self).__name__} needs a dataset_path")
        if f".{result_format}" not in WRITE_SUFFIXES:
            formats = " ".join(suffix[1:] for suffix in WRITE_SUFFIXES)
            raise OptionError(f"result_format '{result_format}' cannot be written; use one of {formats}")
        super().__init__(
            dataset_path=str(dataset_path),
            name=name,
            test_result_folder=test_result_folder,
            result_format=result_format,
            seed=seed,
            use_cache=False,  # for Open3D-ML's own pipelines
            **own,
        )
        self.seed = as_seed(seed, self.rng)

    @staticmethod
    def get_label_to_names() -> dict[int, str]:
        """Return an empty dict: points are not classified."""
        return {}

    def get_split(self, split: str) -> ZooSplit:
        """The items of "training", "validation", "test" or "all"; OptionError if there is no such split."""
        return ZooSplit(self, split=_ALIASES.get(split, split))

    def get_split_list(self, split: str) -> Sequence[Any]:
        raise NotImplementedError

    def read_item(self, item: Any) -> dict[str, Any]:
        raise NotImplementedError

    def name_item(self, item: Any) -> tuple[str, str]:
        """The name and the path of an item."""
        raise NotImplementedError

    def training_file(self, folder: Path, report: Callable[[str], None]) -> Path:
        """The training file for `run_train`; it is made in `folder` if there is none.

        Raises:
            OptionError: the data set is not for training.
            FileError: the data cannot be read or the file cannot be written.
        """
        raise NotImplementedError

    def _result_path(self, attr: dict[str, Any]) -> Path:
        return Path(self.cfg.test_result_folder, self.name, f"{attr['name']}.{self.cfg.result_format}")

    def is_tested(self, attr: dict[str, Any]) -> bool:
        """Whether the result of this item is stored."""
        return self._result_path(attr).is_file()

    def save_test_result(self, results: dict[str, Any], attr: dict[str, Any]) -> None:
        """Write the result of a pipeline, atomically; FileError if it cannot be written."""
        path = self._result_path(attr)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(result_cloud(results), path)

    def _no_split(self, split: str, has: str, remedy: str = "") -> OptionError:
        return OptionError(f"{type(self).__name__} has no split '{split}', it has {has}{remedy}")


class CloudFolder(ZooDataset):
    """Clouds of your own, in any format that `pcsr_zoo.read` supports.

    All clouds are in the test split and in the training split, unless these have folders of their own. Clouds for
    training should be dense. As with `pcsr finetune`, they are sampled to the size of the smallest, and a tenth of
    them, at least one, is held out for validation.

    Args:
        dataset_path: a folder, or one file.
        train_dir, test_dir: folders in dataset_path with the clouds of a split.
        ratio: None: the clouds are the input, and there is no ground truth. A number: they are the ground truth, and
            the input is a sample of them with so many times fewer points.
        input_sampler: the zoo's sampler for this input.
        num_points: number of points that are drawn from each file that holds a mesh.
        others: see `ZooDataset`.

    Raises:
        FileError: there are no clouds.
    """

    def __init__(
        self,
        dataset_path: Any = None,
        name: str = "CloudFolder",
        train_dir: str = "",
        test_dir: str = "",
        ratio: float | None = None,
        input_sampler: str = "fps",
        num_points: int | None = None,
        **others: Any,
    ) -> None:
        own = {"input_sampler": input_sampler, "num_points": num_points, "train_dir": train_dir, "test_dir": test_dir}
        super().__init__(dataset_path, name, {**own, "ratio": ratio}, **others)
        train, test = (find_clouds(Path(self.cfg.dataset_path, part)) for part in (train_dir, test_dir))
        self.splits = {"training": train, "test": test, "all": sorted({*train, *test})}

    def get_split_list(self, split: str) -> Sequence[Any]:
        if split not in self.splits:
            raise self._no_split(split, "'training', 'test' and 'all'; training holds out a tenth for validation")
        return self.splits[split]

    def training_file(self, folder: Path, report: Callable[[str], None]) -> Path:
        from ..training.own_data import training_file

        return training_file(self.splits["training"], folder, report)

    def read_item(self, item: Any) -> dict[str, Any]:
        from ..zoo import sample

        cloud: Cloud = read(item, points=self.cfg.num_points, seed=self.seed)
        if self.cfg.ratio is None:
            return {**to_data(cloud), GROUND_TRUTH: None, MESH: None}
        thin = sample(cloud, self.cfg.ratio, model=self.cfg.input_sampler, seed=self.seed)
        return {**to_data(thin), GROUND_TRUTH: cloud.positions, MESH: None}

    def name_item(self, item: Any) -> tuple[str, str]:
        unique = [file.stem for file in self.splits["all"]].count(item.stem) == 1
        return item.stem if unique else item.name.replace(".", "_"), str(item)


class TrainingFile(ZooDataset):
    """A training file that `pcsr data build` made.

    The shapes that the file holds out are its validation split and its test split. An item is a whole shape in its unit
    frame: evenly spread input points and, drawn apart from them, evenly spread points of the ground truth.

    Args:
        dataset_path: the .npz file.
        num_points: number of input points.
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
        super().__init__(dataset_path, name, {"num_points": num_points, "ratio": ratio}, **others)
        if not is_training_file(dataset_path):
            fault = "is not a training file (.npz)" if Path(dataset_path).exists() else "does not exist"
            raise FileError(
                f"{dataset_path} {fault}; `pcsr data build --generated 60 -o FILE.npz` makes a training file; for "
                "clouds or a folder of them, use CloudFolder"
            )
        self.training_set = TrainingSet.load(dataset_path)

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
        cfg = self.cfg
        drawn = draw(
            self.training_set, item, self.seed, 1, "cloud", cfg.num_points, cfg.ratio, shapes=[item], augmentation=NONE
        )
        point, truth = (part[0].astype(float) for part in (drawn.sparse, drawn.dense))
        return {"point": point, "feat": None, "normals": drawn.sparse_normals[0], GROUND_TRUTH: truth, MESH: None}

    def name_item(self, item: Any) -> tuple[str, str]:
        return self.training_set.shapes[item].name.replace("/", "_"), self.cfg.dataset_path


_NOT_FOR_TRAINING = "; test shapes are not for training: use a TrainingFile or a CloudFolder of other shapes"


class PUGANTestSet(ZooDataset):
    """The 27 test shapes of PU-GAN's authors, on which published tables measure; see `pcsr_zoo.datasets.pugan`.

    Args:
        dataset_path: the folder with `input_2048`, `gt_8192` and `mesh`.
        task: the input and the ground truth, a key of `pcsr_zoo.datasets.pugan_tasks.TASKS`: "up4", "pcsr4", ...
        shapes: names of the shapes to use; all by default.
        others: see `ZooDataset`.

    Raises:
        FileError: the folder is not complete.
        OptionError: the task or a shape is unknown.
    """

    def __init__(
        self,
        dataset_path: Any = None,
        name: str = "PUGANTestSet",
        task: str = "up4",
        shapes: Sequence[str] | None = None,
        **others: Any,
    ) -> None:
        super().__init__(dataset_path, name, {"task": task, "shapes": shapes}, **others)
        self.task = get_task(task)
        test_set = pugan.PUGANTestSet(self.cfg.dataset_path, shapes)
        self.shapes = test_set.with_mesh if self.task.needs_mesh else list(test_set)

    def get_split_list(self, split: str) -> Sequence[Any]:
        if split not in ("test", "all"):
            raise self._no_split(split, "'test'", _NOT_FOR_TRAINING)
        return self.shapes

    def training_file(self, folder: Path, report: Callable[[str], None]) -> Path:
        raise self._no_split("training", "'test'", _NOT_FOR_TRAINING)

    def read_item(self, item: Any) -> dict[str, Any]:
        truth = self.task.truth(item, self.seed)
        return {"point": self.task.given(item, self.seed), "feat": None, GROUND_TRUTH: truth, MESH: item.surface}

    def name_item(self, item: Any) -> tuple[str, str]:
        return item.name, str(item.input_path)


DATASETS = (CloudFolder, TrainingFile, PUGANTestSet)
