"""Train or test from a configuration file, like Open3D-ML's own scripts/run_pipeline.py.

    python examples/open3d_ml/run_pipeline.py torch -c examples/open3d_ml/jet.yml --split test --device cpu
    python examples/open3d_ml/run_pipeline.py torch -c examples/open3d_ml/jet.yml --split test \
        --dataset_path my_scans/ --dataset.ratio 8

--section.key VALUE changes a key of the file. In a test of upsampling, the data set's ratio says how many times fewer
points the input has than the cloud, and the result has as many points as the cloud.

Open3D-ML's own script does the same with these files:
    python -m pcsr_zoo.open3d_ml Open3D-ML/scripts/run_pipeline.py torch -c ...
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from pcsr_zoo.errors import OptionError, PcsrError, suggestion
from pcsr_zoo.open3d_ml import register
from pcsr_zoo.training.config import parse_yaml


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, dict[str, str]]:
    """The named arguments, and a dict of all others, section.key -> value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=["torch"], help="deep learning framework")
    parser.add_argument("-c", "--cfg_file", required=True, help="path to the config file")
    parser.add_argument("--split", choices=["train", "test"], default="train", help="default: train")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ...; default: cuda if there is a CUDA device, else cpu")
    parser.add_argument("--dataset_path", help="instead of the path in the file")
    parser.add_argument("--ckpt_path", help="name or folder of a checkpoint, instead of the one in the file")
    parser.add_argument("--main_log_dir", help="folder for logs and checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    args, rest = parser.parse_known_args(arguments)
    if len(rest) % 2 or not all(word.startswith("--") and "." in word for word in rest[::2]):
        parser.error(f"cannot understand {' '.join(rest)}; write --section.key VALUE")
    return args, {word[2:]: value for word, value in zip(rest[::2], rest[1::2], strict=True)}


def main(arguments: list[str] | None = None) -> Any:
    args, changes = parse(arguments)
    register()
    import open3d.ml as ml3d

    parse_yaml(Path(args.cfg_file).read_text(encoding="utf-8"), args.cfg_file)  # an error names its line
    cfg = ml3d.utils.Config.load_from_file(args.cfg_file)
    for kind in ("dataset", "pipeline", "model"):
        if not isinstance(cfg.cfg_dict.get(kind), dict):
            raise OptionError(f"{args.cfg_file}: the section '{kind}' is missing")
    of_dataset, of_pipeline, of_model = ml3d.utils.Config.merge_cfg_file(cfg, args, changes)
    for section in (of_dataset, of_pipeline, of_model):
        section.setdefault("seed", args.seed)

    def class_of(kind: str, section: dict[str, Any], framework: str | None = None) -> Any:
        """The class that a section names; OptionError if there is none."""
        known = getattr(ml3d.utils, kind.upper()).module_dict
        known, name = known[framework] if framework else known, section.get("name")
        if name not in known:
            raise OptionError(f"{args.cfg_file}: no {kind} '{name}'; {suggestion(name, known)}")
        return known[name]

    Pipeline = class_of("pipeline", of_pipeline, args.framework)
    Model = class_of("model", of_model, args.framework)
    Dataset = class_of("dataset", of_dataset)
    model = Model(**of_model)
    if args.split == "train" and not getattr(model, "is_learned", True):
        raise OptionError(f"{args.cfg_file}: {of_model.name} has no parameters to train; use --split test")
    try:
        dataset = Dataset(**of_dataset)
    except (AttributeError, KeyError, TypeError) as error:  # how Open3D-ML's data sets report a missing key
        fault = str(error).replace("'ConfigDict' object has no attribute", "it needs the key")
        raise OptionError(f"{args.cfg_file}: section 'dataset': {of_dataset.name}: {fault}") from error
    pipeline = Pipeline(model, dataset, **of_pipeline)
    return pipeline.run_test() if args.split == "test" else pipeline.run_train()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s - %(asctime)s - %(module)s - %(message)s")
    try:
        main()
    except (PcsrError, FileNotFoundError) as error:
        sys.exit(f"Error: {error}")
