"""leandask: the command that reads event logs and asks running schedulers."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import orjson

from leandask.cli.output import (
    count_lines,
    problem_lines,
    reading,
    report_lines,
    warn,
    write_records,
)
from leandask.reading.backward import last_records, last_written_first
from leandask.reading.files import bases_of
from leandask.reading.filter import EventFilter, Filter, Story
from leandask.reading.follow import Follow

#: Logs of a folder that `tail --follow` reads: those that were written last.
FOLLOWED_LOGS = 100

LOG = click.argument("log", type=click.Path(path_type=Path))
AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON, one object per line."
)


class Group(click.Group):
    """Commands that show an expected exception as one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click exits without a message
        except (OSError, TypeError, ValueError) as e:
            raise click.ClickException(str(e)) from e


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


def filters_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given as parameters of :class:`Filter`."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if value
    }


@click.group(cls=Group)
@click.version_option(package_name="leandask", prog_name="leandask")
def main() -> None:
    """Read the event logs of leandask, and ask running schedulers.

    LOG is a file, read together with the files rotated out of it, or a folder of such
    files. The scheduler that writes it may be running or not. The exit code is 1 if LOG
    can't be read, and 3 if a part of it can't.
    """


@main.command()
@LOG
@filter_options(*[name for name in FILTER_HELP if name != "key"])
@AS_JSON
def events(log: Path, as_json: bool, **options: Any) -> None:
    """Show events, starts and stops of schedulers, and reports of dropped records."""
    wanted = EventFilter(**filters_of(options))
    with reading(log) as reader:
        write_records(reader.select(wanted), as_json)


@main.command()
@LOG
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@filter_options("since", "until")
@AS_JSON
def story(log: Path, keys: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show the transitions of tasks.

    KEY is the key of a task or a stimulus_id.
    """
    wanted = Story(*keys, within=Filter(**filters_of(options)))
    with reading(log) as reader:
        if not write_records(reader.select(wanted), as_json):
            warn(f"no transition of {', '.join(keys)} in {log}")


@main.command()
@LOG
@filter_options(*FILTER_HELP)
@AS_JSON
def stats(log: Path, as_json: bool, **options: Any) -> None:
    """Count records by event, state, topic and action."""
    from leandask.reading.stats import LogStats

    counts = LogStats()
    with reading(log) as reader:
        for record in reader.records(**filters_of(options)):
            counts.add(record)
        found = counts.as_dict() | {
            "missing": reader.problems.missing,
            "problems": reader.problems.counts,
        }
        if as_json:
            click.echo(orjson.dumps(found))
        else:
            click.echo("\n".join(count_lines(found, counts.rates())))


@main.command()
@LOG
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="HTML file to write.",
)
@filter_options("since", "until")
def timeline(log: Path, output: Path, **options: Any) -> None:
    """Write an HTML page that shows what happened.

    The page is a single file that needs no other and no network.
    """
    from leandask.reading.timeline.page import render
    from leandask.reading.timeline.timeline import Timeline

    summary = Timeline()
    with reading(log) as reader:
        for record in reader.records(**filters_of(options)):
            summary.add(record)
        for text in problem_lines(reader.problems):
            summary.note(text)
        output.write_text(render(summary), encoding="utf-8")
        click.echo(f"{summary.n_records} records in {output}")


@main.command()
@LOG
@click.option(
    "-f",
    "--follow",
    is_flag=True,
    help="Show new records as they are written, until Ctrl-C.",
)
@click.option(
    "-n",
    "--lines",
    "n",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Number of last records to show.",
)
@filter_options(*FILTER_HELP)
@AS_JSON
def tail(log: Path, follow: bool, n: int, as_json: bool, **options: Any) -> None:
    """Show the last records, and new ones with --follow."""
    wanted = Filter(**filters_of(options))
    with contextlib.ExitStack() as stack:
        # Opened before the last records are read, so that none is missed.
        bases = logs_to_follow(log)
        followed = [
            stack.enter_context(Follow(base, wanted)) for base in bases if follow
        ]
        last, broken = last_records(log, wanted, n) if n else ([], 0)
        write_records(last, as_json)
        warn_broken(broken)
        if follow:
            shown = {(r["scheduler_id"], r["seq"]) for r in last}
            write_new_records(followed, shown, as_json)


def logs_to_follow(log: Path) -> list[Path]:
    """Return the paths that may still be written to: one, or several in a folder."""
    bases = last_written_first(bases_of(log))[:FOLLOWED_LOGS]
    if log.is_dir():  # a finished log may have rotated files only
        bases = [base for base in bases if base.exists()]
    return bases


def write_new_records(
    followed: list[Follow],
    shown: set[tuple[str, int]],
    as_json: bool,
    interval: float = 0.2,
) -> NoReturn:
    """Poll for new records, and write those that were not shown yet."""
    while True:
        n_broken = sum(each.broken for each in followed)
        records = [*itertools.chain(*(each.records() for each in followed))]
        new = (r for r in records if (r["scheduler_id"], r["seq"]) not in shown)
        write_records(new, as_json)
        warn_broken(sum(each.broken for each in followed) - n_broken)
        time.sleep(interval)


def warn_broken(lines: int) -> None:
    """Report how many lines can't be read, if there are any."""
    if lines:
        warn(f"{lines} lines can't be read")


@main.command()
@click.argument("address")
@click.option("--tls-ca-file", help="File with the CA certificate of the cluster.")
@click.option("--tls-cert", help="File with a certificate for this command.")
@click.option("--tls-key", help="File with the private key of that certificate.")
@AS_JSON
def report(
    address: str,
    tls_ca_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    as_json: bool,
) -> None:
    """Show what a running scheduler holds, and its counters.

    ADDRESS is the address of the scheduler, such as tcp://127.0.0.1:8786.
    """
    from leandask.serving.client import fetch_report  # imports distributed

    tls = {"ca_file": tls_ca_file, "client_cert": tls_cert, "client_key": tls_key}
    given_tls = {f"tls_{name}": path for name, path in tls.items() if path}
    found = fetch_report(address, given_tls)
    if as_json:
        click.echo(orjson.dumps(found))
    else:
        click.echo("\n".join(report_lines(found)))
