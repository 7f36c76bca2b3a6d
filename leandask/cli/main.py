"""leandask: the command that reads event logs and asks running schedulers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from leandask.cli import tail as tail_logs
from leandask.cli.arguments import AS_JSON, FILTER_HELP, LOG, OUTPUT, filter_options
from leandask.cli.history import history, runs
from leandask.cli.output import (
    bars_for,
    count_lines,
    problem_lines,
    reading,
    warn_of_killed,
    write_records,
)
from leandask.cli.reportlines import report_lines
from leandask.cli.terminal import abandon_stdout, stdout, warn, write_json, write_lines
from leandask.reading.filter import EventFilter, Filter, ListFilter, Story
from leandask.reading.lives import Lives
from leandask.records.text import printable


class Group(click.Group):
    """Commands that show an expected exception as one line, without a traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options before the name of a command."""
        with one_line_errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with one_line_errors():
            return super().invoke(ctx)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Show an expected exception as one line that can't control a terminal."""
    try:
        yield
    except click.ClickException as e:
        e.message = printable(e.message)  # type: ignore[misc]  # it may have an argument
        raise
    except BrokenPipeError:
        raise  # click exits without a message
    except (OSError, TypeError, ValueError) as e:
        abandon_stdout()
        raise click.ClickException(printable(str(e))) from e


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
    files; or a URL such as s3://bucket/dask, of one run or of many. The scheduler that
    writes it may be running or not. The exit code is 1 if LOG
    can't be read, and 3 if a part of it can't.
    """


@main.command()
@LOG
@filter_options(*[name for name in FILTER_HELP if name != "key"])
@AS_JSON
def events(log: Path | str, as_json: bool, **options: Any) -> None:
    """Show events, starts and stops of schedulers, and reports of dropped records.

    Samples of memory and tasks are shown with --event-name leandask.sample.
    """
    wanted = EventFilter(**filters_of(options))
    lives = Lives()
    with reading(log) as reader:
        write_records(reader.select(wanted, lives), as_json)
        warn_of_killed(lives.killed(reader.quiet_at()))


@main.command()
@LOG
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@filter_options("since", "until")
@AS_JSON
def story(
    log: Path | str, keys: tuple[str, ...], as_json: bool, **options: Any
) -> None:
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
def stats(log: Path | str, as_json: bool, **options: Any) -> None:
    """Count records by event, state, topic and action."""
    from leandask.reading.stats import LogStats

    counts, lives = LogStats(), Lives()
    with reading(log) as reader:
        for record in reader.select(Filter(**filters_of(options)), lives):
            counts.add(record)
        found = counts.as_dict() | {
            "missing": reader.problems.missing,
            "problems": reader.problems.counts,
        }
        killed = [*lives.killed(reader.quiet_at())]
        if as_json:
            write_json(found | {"killed": {life.id: how for life, how in killed}})
        else:
            bars = bars_for(stdout().encoding)
            write_lines(count_lines(found, counts.rates(), bars))
        warn_of_killed(killed)


@main.command()
@LOG
@OUTPUT
@filter_options("since", "until")
def timeline(log: Path | str, output: Path, **options: Any) -> None:
    """Write an HTML page that shows what happened, and which worker ran which task.

    The page is a single file that needs no other and no network.
    """
    write_page(log, output, is_report=False, **options)


@main.command()
@LOG
@OUTPUT
@filter_options("since", "until")
def performance_report(log: Path | str, output: Path, **options: Any) -> None:
    """Write the timeline with what tasks took, by prefix and by worker, and errors.

    It is made of the log alone, so that the cluster may be gone.
    """
    write_page(log, output, is_report=True, **options)


def write_page(
    log: Path | str, output: Path, *, is_report: bool, **options: Any
) -> None:
    """Write the page of a timeline, or that of a performance report."""
    from leandask.reading.timeline.page import render
    from leandask.reading.timeline.timeline import Timeline

    summary = Timeline()
    with reading(log) as reader:
        for record in reader.records(**filters_of(options)):
            summary.add(record)
        for text in problem_lines(reader.problems):
            summary.note(text)
        if not options["until"]:  # else the log may go on
            summary.quiet_at = reader.quiet_at()
        output.write_text(render(summary, is_report=is_report), encoding="utf-8")
        click.echo(printable(f"{summary.n_records} records in {output}"))


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
def tail(log: Path | str, follow: bool, n: int, as_json: bool, **options: Any) -> None:
    """Show the last records, and new ones with --follow."""
    wanted = ListFilter(**filters_of(options))
    show = tail_logs.follow if follow else tail_logs.show_last
    show(log, wanted, n, as_json)


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
        write_json(found)
    else:
        write_lines(report_lines(found))


main.add_command(history)
main.add_command(runs)
