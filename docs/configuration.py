"""Writes the tables of configuration.md out of the package's schema and defaults.

Run ``python docs/configuration.py`` after a change to either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from dask.utils import format_bytes

import leandask

PAGE = Path(__file__).with_suffix(".md")
#: The tables are below this line of the page; what is above is written by hand.
MARK = "<!-- Made by configuration.py from here on. -->\n"
_SETTINGS = Path(leandask.__file__).with_name("settings")
SCHEMA = yaml.safe_load((_SETTINGS / "leandask-schema.yaml").read_text())
DEFAULTS = yaml.safe_load((_SETTINGS / "leandask.yaml").read_text())

#: Flags of leandask-scheduler that set one key.
FLAGS = {
    "leandask.event-log.path": "--event-log PATH",
    "leandask.stream.transitions": "--log-transitions",
    "leandask.stream.tasks": "--log-tasks",
}
#: What a value of some types of JSON Schema is.
KINDS = {
    ("boolean",): "`true`, `false`",
    ("string",): "path",
    ("object", "string"): "mapping, or `name=text,…`",
    ("integer",): "whole number",
    ("number",): "number",
    ("integer", "string"): "size",
    ("integer", "number", "string"): "`auto`, size or part",
    ("number", "string"): "duration",
}


def settings(schema: Any, defaults: Any, below: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield each setting in the schema's order: its full key, schema and default."""
    for name, inner in schema["properties"].items():
        key = f"{below}.{name}" if below else name
        if "properties" in inner:
            yield from settings(inner, defaults[name], key)
        else:
            yield key, inner, defaults[name]


def variable(key: str) -> str:
    """Return the environment variable of a setting."""
    return "DASK_" + key.replace("-", "_").replace(".", "__").upper()


def flag(key: str) -> str:
    """Return the flag of leandask-scheduler for a setting, or nothing."""
    section, _, name = key.removeprefix("leandask.").rpartition(".")
    return f"--retention {name}=N" if section == "retention" else FLAGS.get(key, "")


def rule(schema: Any) -> str:
    """Say what a setting may be."""
    if choices := schema.get("enum"):
        # YAML reads off as false, which is not shown.
        shown = [c for c in choices if not (c is False and "off" in choices)]
        words = [c if isinstance(c, str) else json.dumps(c) for c in shown]
        return ", ".join(f"`{word}`" for word in words)
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    what = schema.get("x-kind") or KINDS[tuple(t for t in types if t != "null")]
    if "maximum" in schema:
        what += f" from {schema['minimum']} to {schema['maximum']}"
    elif least := schema.get("minimum"):
        what += f" of at least {format_bytes(least) if what == 'size' else least}"
    return f"{what}, or null" if "null" in types else what


def show(value: Any) -> str:
    """Show a default as YAML."""
    return yaml.safe_dump(value).splitlines()[0]


def table(schema: Any, defaults: Any, below: str) -> Iterator[str]:
    """Make a table of settings."""
    yield "| key | default | what it may be | what it does | by environment, by flag |"
    yield "|---|---|---|---|---|"
    for key, inner, default in settings(schema, defaults, below):
        text = " ".join(inner["description"].split())
        ways = "<br>".join(f"`{way}`" for way in (variable(key), flag(key)) if way)
        name = key.removeprefix(f"{below}.")
        yield f"| `{name}` | {show(default)} | {rule(inner)} | {text} | {ways} |"


def tables() -> Iterator[str]:
    """Make the tables: of the settings that are in no section, and of each section."""
    schema, defaults = SCHEMA["properties"]["leandask"], DEFAULTS["leandask"]
    sections = {n: s for n, s in schema["properties"].items() if "properties" in s}
    others = {n: s for n, s in schema["properties"].items() if n not in sections}
    yield from ["", "## leandask", ""]
    yield from table({"properties": others}, defaults, "leandask")
    for name, section in sections.items():
        yield from ["", f"## leandask.{name}", "", section["description"].strip(), ""]
        yield from table(section, defaults[name], f"leandask.{name}")


def page() -> str:
    """Return the page as it should be."""
    head, mark, _ = PAGE.read_text().partition(MARK)
    return head + mark + "\n".join(tables()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
