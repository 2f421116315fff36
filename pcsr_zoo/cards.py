"""Model cards: README.md of a checkpoint, from the facts of its config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render_card(config: Mapping[str, Any]) -> str:
    """The card of a checkpoint as Markdown, with the front matter of the Hugging Face Hub."""
    return f"# {config['name']}\n\nModel `{config['model']}` of pcsr-zoo, {config['parameters']:,} parameters.\n"
