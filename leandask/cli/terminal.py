"""Terminal: how the command writes to stdout and stderr, whatever these are."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO, cast

import click
import orjson

from leandask.records.text import printable, printable_json


def warn(text: str) -> None:
    """Write a line to stderr, if that is open."""
    click.echo(f"leandask: {printable(text)}", err=True)


def stdout() -> TextIO:
    """Return stdout, which then takes any text: with escapes if its encoding lacks it.

    Raises
    ------
    OSError
        If it is closed.
    """
    out = cast("TextIO | None", sys.stdout)
    if out is None:
        raise OSError("stdout must be open to be written to")
    if isinstance(out, io.TextIOWrapper) and out.errors != "backslashreplace":
        out.reconfigure(errors="backslashreplace")
    return out


def abandon_stdout() -> None:
    """Throw away what stdout does not take, which Python would write at its exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def write_lines(lines: Iterable[str]) -> None:
    """Write lines of text to stdout, with escapes for what could control a terminal."""
    out = stdout()
    out.writelines(f"{printable(line)}\n" for line in lines)
    out.flush()


def write_json(value: Any) -> None:
    """Write a value to stdout as a line of JSON."""
    out = stdout()
    out.write(f"{json_line(value, out.encoding)}\n")
    out.flush()


def json_line(value: Any, encoding: str = "utf-8") -> str:
    """Return a value as a line of JSON, of ASCII unless the encoding is UTF-8.

    Examples
    --------
    >>> print(json_line(["é", "\\x9b"]), json_line("é", "latin-1"))
    ["é","\\u009b"] "\\u00e9"
    """
    if encoding in ("utf-8", "UTF-8"):
        try:  # this runs for every record
            return printable_json(orjson.dumps(value)).decode()
        except TypeError:  # a lone surrogate, as in the name of a file
            pass
    return json.dumps(value, separators=(",", ":"))
