"""leandask-scheduler: the command ``dask scheduler``, with a LeanScheduler."""

from __future__ import annotations

import functools
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

import click
import dask.config
import distributed
from dask.config import interpret_value
from distributed.cli import dask_scheduler

import leandask
from leandask import _compat
from leandask.cli.console import Console, json_format, writes_to_console
from leandask.cli.eventloop import prefer_uvloop
from leandask.housekeeping.process import tune_memory
from leandask.records.loggers import OWN
from leandask.scheduler import LeanScheduler
from leandask.settings import config
from leandask.settings.logpath import UnusablePath, as_log_path
from leandask.settings.retention import Retention


def _parse_retention(
    context: click.Context, parameter: click.Parameter, given: Sequence[str]
) -> dict[str, Any]:
    bounds = {}
    for item in given:
        key, equals, number = item.partition("=")
        if not equals:
            raise click.BadParameter(f"must be KEY=N, such as events=50; got {item!r}")
        bounds[key] = interpret_value(number)
    try:
        Retention.of(bounds).effective()
        config.check()
    except (TypeError, ValueError) as e:
        raise click.UsageError(str(e)) from e
    return bounds


def _parse_event_log(
    context: click.Context, parameter: click.Parameter, given: str | None
) -> str | None:
    try:
        as_log_path("--event-log", given)
    except (TypeError, ValueError) as e:
        raise click.UsageError(str(e)) from e
    return given


def _set_format(context: click.Context, parameter: click.Parameter, given: str) -> str:
    """Set the format of the lines that the preloads log while options are parsed."""
    if given == "json":
        format_as_json()
    return given


#: Options that ``dask scheduler`` does not have.
OWN_OPTIONS: list[click.Parameter] = [
    click.Option(
        ["--retention"],
        metavar="KEY=N",
        multiple=True,
        callback=_parse_retention,
        help="Bound of a history, such as events=50; null is unbounded. Repeatable.",
    ),
    click.Option(
        ["--log-format"],
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        is_eager=True,
        callback=_set_format,
        help="Format of the lines on the console.",
    ),
    click.Option(
        ["--event-log"],
        metavar="PATH",
        callback=_parse_event_log,
        help="File to which every event is appended as a line of JSON. It may have "
        "{scheduler_id}, {pid}, {hostname} and {start} in it. It is compressed if it "
        "ends with .gz or .zst. Or a URL such as s3://bucket/dask, to which segments "
        "of the log are uploaded.",
    ),
    click.Option(
        ["--log-transitions"],
        is_flag=True,
        help="Record task transitions too.",
    ),
    click.Option(
        ["--log-tasks/--no-log-tasks"],
        default=None,
        help="Record each run of a task: where, when, how long, and why it erred. "
        "Default: where there is an event log.",
    ),
]


def scheduler(
    retention: dict[str, Any],
    log_format: str,
    event_log: str | None,
    log_transitions: bool,
    log_tasks: bool | None,
    **upstream: Any,
) -> None:
    """Launch a Dask scheduler whose memory stays flat."""
    configure_console(log_format)
    if event_log is not None:
        dask.config.set({"leandask.event-log.path": event_log})
    if log_transitions:
        dask.config.set({"leandask.stream.transitions": True})
    if log_tasks is not None:
        dask.config.set({"leandask.stream.tasks": log_tasks})
    if config.has_event_log():
        reopen_on_hangup()
    prefer_uvloop()
    tune_memory()
    upstream |= combined_preloads(upstream["preload"], upstream["preload_argv"])
    factory = functools.partial(LeanScheduler, retention=retention)
    with _compat.scheduler_factory(factory):
        upstream_command = dask_scheduler.main.callback
        assert upstream_command is not None
        try:
            upstream_command(**upstream)
        except UnusablePath as e:
            raise click.UsageError(str(e)) from e


def combined_preloads(given: Sequence[str], argv: Sequence[str]) -> dict[str, Any]:
    """Return the preloads of a scheduler, the configured ones and then those given.

    Upstream takes only the given ones, if there are any. A module that is both has its
    place among the configured ones, and the arguments that were given.
    """
    configured = dask.config.get("distributed.scheduler.preload") or []
    configured_argv = dask.config.get("distributed.scheduler.preload-argv") or []
    if not given or not configured:
        return {"preload": given, "preload_argv": argv}
    # In the environment they may be one text.
    configured = [configured] if isinstance(configured, str) else configured
    if isinstance(configured_argv, str):
        configured_argv = [configured_argv]
    is_for_all = all(isinstance(argument, str) for argument in configured_argv)
    if is_for_all:
        argv = argv or configured_argv  # as upstream does
        configured_argv = [configured_argv] * len(configured)
    if len(configured_argv) != len(configured):
        raise click.UsageError(
            "distributed.scheduler.preload-argv must have a list for each of "
            f"{configured!r}; got {configured_argv!r}"
        )
    preloads = dict(zip(configured, configured_argv, strict=True))
    preloads |= dict.fromkeys(given, argv)
    return {"preload": [*preloads], "preload_argv": [*preloads.values()]}


def configure_console(log_format: str) -> None:
    """Show the log of leandask on stderr, as text like Dask's own or as JSON.

    Handlers and levels that the user has configured stay.
    """
    json = log_format == "json"
    propagates = config.read("stream.propagate") is not False
    if not (OWN.hasHandlers() if propagates else OWN.handlers):
        OWN.addHandler(Console(json))
    if not OWN.level:
        OWN.setLevel(logging.INFO)
    if json:
        format_as_json()


def format_as_json() -> None:
    """Have every handler that writes to the console write JSON, and log what prints."""
    known = logging.root.manager.loggerDict.values()
    for logger in (logging.root, *known):
        for handler in getattr(logger, "handlers", ()):
            if writes_to_console(handler):
                handler.setFormatter(json_format())
    last = logging.lastResort  # the handler of loggers that have none
    if last is not None:
        last.setFormatter(json_format())
        warned = logging.getLogger("py.warnings")
        if not warned.hasHandlers():
            warned.addHandler(last)
    logging.captureWarnings(True)
    sys.excepthook = log_uncaught
    threading.excepthook = lambda args: log_uncaught(*args[:3])


def log_uncaught(kind: type, error: Any, traceback: Any) -> None:
    """Log an exception that ends the process or a thread, instead of printing it."""
    if kind is not SystemExit:  # threading ignores it too
        OWN.critical("Uncaught %s", kind.__name__, exc_info=(kind, error, traceback))


def reopen_on_hangup() -> None:
    """Let SIGHUP reopen the event log, as logrotate and other tools expect.

    On a terminal SIGHUP still ends the process: it means that the terminal is closed.
    """
    if not sys.stderr.isatty() and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _reopen_sinks)


def _reopen_sinks(*_: object) -> None:
    from leandask.records.recordsink import record_sinks  # there may be none

    for sink in record_sinks():
        sink.reopen()


main = click.Command(
    "lean-scheduler",
    context_settings=dask_scheduler.main.context_settings,
    callback=scheduler,
    params=[p for p in dask_scheduler.main.params if p.name != "version"] + OWN_OPTIONS,
    help=scheduler.__doc__,
)
click.version_option(
    leandask.__version__,
    prog_name="leandask-scheduler",
    message=f"%(prog)s %(version)s, distributed {distributed.__version__}",
)(main)
