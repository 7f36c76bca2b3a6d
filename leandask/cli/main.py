"""leandask: the command that reads event logs back, and asks live schedulers."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson

from leandask.cli.console import reading, summary, write
from leandask.cli.output import report_lines, table
from leandask.reading.backward import last_records, last_written_first
from leandask.reading.files import bases_of
from leandask.reading.filter import EventFilter, Filter, Story
from leandask.reading.follow import Follow

#: Seconds between two looks at a log that is followed.
POLL_SECONDS = 0.2
#: Logs of a folder that are followed, those that were written last.
FOLLOWED = 100

LOG = click.argument("log", type=click.Path(path_type=Path))
AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="As JSON, one record a line."
)


class Group(click.Group):
    """Commands whose errors say which file and what."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click ends quietly
        except (OSError, TypeError, ValueError) as e:
            raise click.ClickException(str(e)) from e


def filters(*names: str, but: str = "") -> Callable[[Any], Any]:
    """Add the options of a filter to a command: some, all, or all but one."""
    helps = {
        "topic": "Topic of events.",
        "action": "Action of events, such as remove-worker.",
        "event_name": "Kind of record, such as dask.task.transition.",
        "key": "Key of a task: its transitions, and those that recommend one to it.",
        "stimulus_id": "What set it off.",
        "worker": "Address of a worker.",
        "client": "Name of a client.",
        "level": "Smallest level: DEBUG, INFO, WARNING, ERROR.",
        "since": "ISO 8601 time, or how long ago: '15 minutes'.",
        "until": "The same, for the end.",
    }

    def add(command: Any) -> Any:
        for name in reversed(names or [name for name in helps if name != but]):
            many = name not in ("level", "since", "until")
            flag = f"--{name.replace('_', '-')}"
            text = helps[name] + (" Repeatable." if many else "")
            command = click.option(flag, multiple=many, help=text)(command)
        return command

    return add


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the filters that were given, as :class:`Filter` takes them."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if value
    }


@click.group(cls=Group)
@click.version_option(package_name="leandask")
def main() -> None:
    """Read the event logs of leandask back, and ask live schedulers.

    LOG is a file, with those that were rotated out of it, or a folder of such files.
    The scheduler may be writing it, or be dead. Exit code 1: it can't be read; 3: a
    part of it can't be.
    """


@main.command()
@LOG
@filters(but="key")
@AS_JSON
def events(log: Path, as_json: bool, **options: Any) -> None:
    """Show the events of a log, and the scheduler's starts, ends and losses."""
    wanted = EventFilter(**given(options))
    with reading(log) as reader:
        write(reader.select(wanted), as_json)


@main.command()
@LOG
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@filters("since", "until")
@AS_JSON
def story(log: Path, keys: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show the transitions of tasks.

    KEY is the key of a task, or a stimulus_id.
    """
    wanted = Story(*keys, within=Filter(**given(options)))
    with reading(log) as reader:
        if not write(reader.select(wanted), as_json):
            click.echo(
                f"leandask: no transition of {', '.join(keys)} in {log}", err=True
            )


@main.command()
@LOG
@filters()
@AS_JSON
def stats(log: Path, as_json: bool, **options: Any) -> None:
    """Count what is in a log."""
    from leandask.reading.stats import LogStats

    counts = LogStats()
    with reading(log) as reader:
        for record in reader.records(**given(options)):
            counts.add(record)
        found = counts.as_dict() | {
            "missing": reader.problems.missing,
            "problems": reader.problems.counts,
        }
        if as_json:
            click.echo(orjson.dumps(found))
        else:
            click.echo("\n".join(table(found, counts.rates())))


@main.command()
@LOG
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The page to write.",
)
@filters("since", "until")
def timeline(log: Path, output: Path, **options: Any) -> None:
    """Write one page that shows what happened, and needs nothing beside itself."""
    from leandask.reading.timeline.page import render
    from leandask.reading.timeline.timeline import Timeline

    seen = Timeline()
    with reading(log) as reader:
        for record in reader.records(**given(options)):
            seen.add(record)
        for text in summary(reader.problems):
            seen.note(text)
        output.write_text(render(seen), encoding="utf-8")
        click.echo(f"{seen.n_records} records in {output}")


@main.command()
@LOG
@click.option("-f", "--follow", is_flag=True, help="Show what comes, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    "n",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Records to show of what is there.",
)
@filters()
@AS_JSON
def tail(log: Path, follow: bool, n: int, as_json: bool, **options: Any) -> None:
    """Show the end of a log, and what is appended to it."""
    wanted = Filter(**given(options))
    with contextlib.ExitStack() as stack:
        bases = last_written_first(bases_of(log))[: FOLLOWED if follow else 0]
        if log.is_dir():  # a log that ended may have no file of this name any more
            bases = [base for base in bases if base.exists()]
        coming = [stack.enter_context(Follow(base, wanted)) for base in bases]
        last, broken = last_records(log, wanted, n) if n else ([], 0)
        write(last, as_json)
        tell_broken(broken)
        shown = {(r["scheduler_id"], r["seq"]) for r in last}
        while follow:
            before = sum(each.broken for each in coming)
            records = [*itertools.chain(*(each.records() for each in coming))]
            write(
                (r for r in records if (r["scheduler_id"], r["seq"]) not in shown),
                as_json,
            )
            tell_broken(sum(each.broken for each in coming) - before)
            time.sleep(POLL_SECONDS)


def tell_broken(lines: int) -> None:
    """Tell how many lines can't be read, if there are any."""
    if lines:
        click.echo(f"leandask: {lines} lines can't be read", err=True)


@main.command()
@click.argument("address")
@click.option("--tls-ca-file", help="CA's certificate, for a scheduler with TLS.")
@click.option("--tls-cert", help="Certificate of your own.")
@click.option("--tls-key", help="Its key.")
@AS_JSON
def report(
    address: str,
    tls_ca_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    as_json: bool,
) -> None:
    """Show what a live scheduler holds, and how it fares.

    ADDRESS is the scheduler's, such as tcp://127.0.0.1:8786.
    """
    from leandask.serving.client import fetch_report  # imports distributed

    tls = {"ca_file": tls_ca_file, "client_cert": tls_cert, "client_key": tls_key}
    given_tls = {f"tls_{name}": path for name, path in tls.items() if path}
    found = fetch_report(address, **given_tls)
    if as_json:
        click.echo(orjson.dumps(found))
    else:
        click.echo("\n".join(report_lines(found)))


if __name__ == "__main__":
    main()
