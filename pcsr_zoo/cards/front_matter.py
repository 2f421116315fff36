"""The YAML at the head of a model card, which the Hugging Face Hub reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .measured import own_rows

# Identifiers that the Hub knows; any other license is "other" there, under its own name.
_HUB_LICENSES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0"),
    *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
)
# Column of a measured row -> (the metric's identifier, its name).
_METRICS = {
    "cd": ("chamfer-distance", "CD"),
    "hd": ("hausdorff-distance", "HD"),
    "p2f": ("point-to-surface-distance", "P2F"),
}
_TEST_SET = {"type": "pu-gan-test-shapes", "name": "the 27 test shapes of PU-GAN"}


def front_matter(config: Mapping[str, Any], tasks: Sequence[str]) -> str:
    """With the lines around it. It names no pipeline: none of the Hub's is about point clouds.

    Args:
        config: of config.json. Data sets are those of its "data", metrics and results its measured rows.
        tasks: of the model class, see `models.base.tasks_of`.
    """
    about = config["about"]
    purposes = [purpose for task, purpose in (("sample", "sampling"), ("upsample", "upsampling")) if task in tasks]
    tags = ["point-cloud", *(f"point-cloud-{purpose}" for purpose in purposes), "3d", config["model"]]
    rows = own_rows(about.get("measured") or [], config["name"])
    metrics = [name for key, (name, _) in _METRICS.items() if any(row.get(key) is not None for row in rows)]
    lines = [*_license(about.get("license")), "library_name: pcsr-zoo", *_list("tags", tags)]
    lines += [*_list("datasets", _data_sets(about.get("data"))), *_list("metrics", metrics)]
    if metrics:
        lines += ["model-index:", f"- name: {_text(config['name'])}", "  results:"]
        lines += [line for row in rows for line in _result(row, purposes[-1] if purposes else "upsampling")]
    return "\n".join(["---", *lines, "---"])


def _license(license: Any) -> list[str]:
    if not isinstance(license, str) or not license:
        return ["license: unknown"]
    slug = re.sub(r"[^a-z0-9.+-]+", "-", license.lower()).strip("-")
    if slug in _HUB_LICENSES:
        return [f"license: {slug}"]
    return ["license: other", f"license_name: {slug or 'other'}"]


def _data_sets(data: Any) -> list[str]:
    """The sources, without their revisions. None is a data set on the Hub, where "owner/name" would be a link."""
    items = data if isinstance(data, list) else [data]
    sources = [item.get("source") for item in items if isinstance(item, Mapping)]
    plain = [re.sub(r"[^A-Za-z0-9._]+", "-", str(source).partition("@")[0]).strip("-") for source in sources if source]
    return list(dict.fromkeys(name for name in plain if name))


def _result(row: Mapping[str, Any], purpose: str) -> list[str]:
    sampler = str(row["model"]).rpartition("+")[0]
    task = f"{row['task']}, sampled by {sampler}" if sampler else str(row["task"])
    lines = ["  - task:", f"      type: point-cloud-{purpose}", f"      name: {_text(task)}", "    dataset:"]
    lines += [f"      type: {_TEST_SET['type']}", f"      name: {_text(_TEST_SET['name'])}", "    metrics:"]
    for key, (identifier, name) in _METRICS.items():
        if row.get(key) is not None:
            label = _text(f"{name} x 1000 ({row['convention']}, {row['task']})")
            lines += [f"    - type: {identifier}", f"      name: {label}", f"      value: {float(row[key]):.6g}"]
    return lines


def _list(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key}:", *(f"- {_text(value)}" for value in values)] if values else []


def _text(value: str) -> str:
    """JSON's text is YAML's."""
    return json.dumps(value, ensure_ascii=False)
