"""Arguments: what several commands take, a log, filters and forms of output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from leandask.reading.files.logfiles import place_of_log


class LogType(click.Path):
    """A path, or a URL as it is."""

    def convert(self, value: Any, *args: Any) -> Any:
        """Return a Path, or the text of a URL."""
        return place_of_log(str(super().convert(value, *args)))


LOG = click.argument("log", type=LogType())
AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON, one object per line."
)


OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="HTML file to write.",
)

#: Help of the options that select records, by the parameter of :class:`Filter`.
FILTER_HELP = {
    "topic": "Topic of an event.",
    "action": "Action of an event, such as remove-worker.",
    "event_name": "Kind of record, such as dask.task.transition.",
    "key": "Key of a task: its transitions, and those that recommend one for it.",
    "stimulus_id": "stimulus_id of a transition.",
    "worker": "Address of a worker.",
    "client": "Name of a client.",
    "level": "Lowest level: DEBUG, INFO, WARNING or ERROR.",
    "since": "Oldest time: ISO 8601, or a duration before now such as '15 minutes'.",
    "until": "Newest time, in the same forms.",
}


def filter_options(*names: str) -> Callable[[Any], Any]:
    """Add options that select records to a command."""

    def add(command: Any) -> Any:
        for name in reversed(names):
            many = name not in ("level", "since", "until")
            flag = f"--{name.replace('_', '-')}"
            text = FILTER_HELP[name] + (" Repeatable." if many else "")
            command = click.option(flag, multiple=many, help=text)(command)
        return command

    return add
