"""History: the commands that serve and list past and present runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from dask.utils import parse_bytes, parse_timedelta

from leandask.cli.terminal import warn, write_json, write_lines
from leandask.reading.words import counted, duration, memory, number
from leandask.records.text import one_line
from leandask.records.times import rfc3339

if TYPE_CHECKING:
    from leandask.historyserver.index.retention import Keep

_FILE = click.Path(exists=True, dir_okay=False)
#: Options of the list, and their help.
_QUERY = {
    "q": "Words of the name, the labels, the address and the reason of the end.",
    "label": "A label, as key=value or key.",
    "state": "running, stopped, killed or killed-memory.",
    "prefix": "Part of a prefix of the tasks.",
    "exception": "Part of the text of an exception.",
    "since": "Only runs that went on after this time, or duration before now.",
    "until": "Only runs that began before it.",
    "sort": "A field such as tasks, with - in front of it for the largest first.",
}


@click.command()
@click.argument("roots", metavar="URL...", nargs=-1, required=True)
@click.option("--port", type=click.IntRange(0, 65535), default=18080, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--index",
    type=click.Path(dir_okay=False, path_type=Path),
    help="sqlite file of the runs that were found, which can be removed at any time. "
    "By default in the user's cache folder.",
)
@click.option("--prefix", default="", help="What a proxy puts before all paths.")
@click.option(
    "--password-file", type=_FILE, help="File with the password, or token, of readers."
)
@click.option("--tls-cert", type=_FILE, help="File with the server's certificate.")
@click.option("--tls-key", type=_FILE, help="File with its private key.")
@click.option(
    "--trusted-proxy",
    multiple=True,
    help="Address of a proxy whose X-Forwarded-Prefix and -Host count. Repeatable.",
)
@click.option(
    "--allow-host",
    multiple=True,
    help="Host name that requests may be for, others are refused. Repeatable. "
    "By default those of the loopback, if nobody needs a password there.",
)
@click.option("--keep", help="Remove runs that ended before, such as 30d.")
@click.option(
    "--keep-runs", type=click.IntRange(0), help="Remove all but the newest runs."
)
@click.option("--keep-bytes", help="Remove the oldest runs beyond this, as 100GiB.")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be removed, and remove nothing."
)
@click.option(
    "--page-timeout",
    default="5 minutes",
    show_default=True,
    help="Longest time that a page may take.",
)
def history(
    roots: tuple[str, ...],
    port: int,
    host: str,
    index: Path | None,
    prefix: str,
    password_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    trusted_proxy: tuple[str, ...],
    allow_host: tuple[str, ...],
    keep: str | None,
    keep_runs: int | None,
    keep_bytes: str | None,
    dry_run: bool,
    page_timeout: str,
) -> None:
    """Serve pages of all runs whose event logs lie in some places.

    URL is a folder, a log or a URL of fsspec, such as s3://bucket/prefix. What is new
    there appears by itself.
    """
    from leandask.historyserver.index.retention import Keep  # sqlite, and later tornado

    kept = Keep(
        _parsed("--keep", keep, parse_timedelta, "a time such as 30d"),
        keep_runs,
        _parsed("--keep-bytes", keep_bytes, parse_bytes, "a size such as 100GiB"),
    )
    timeout = _parsed("--page-timeout", page_timeout, parse_timedelta, "a time")
    if dry_run:
        write_lines(_old_lines([*roots], index, kept))
        return
    from leandask.historyserver.web import doors, server

    options = server.Options(
        roots=[*roots],
        host=host,
        port=port,
        index=index,
        prefix=doors.checked_prefix(prefix),
        password=_password(password_file),
        tls_cert=tls_cert,
        tls_key=tls_key,
        proxies=doors.checked_addresses(trusted_proxy),
        hosts=frozenset(name.lower() for name in allow_host),
        keep=kept,
        timeout=timeout,
    )
    if (tls_cert is None) != (tls_key is None):
        raise ValueError("--tls-cert and --tls-key must be given together")
    if options.is_open:
        warn(f"everyone who reaches {host} can read all runs: see --password-file")
    asyncio.run(server.serve(options))


def _parsed(
    option: str, text: str | None, parse: Callable[[str], Any], rule: str
) -> Any:
    """Return the value of an option, or raise ValueError with its rule."""
    if text is None:
        return None
    try:
        value = parse(text)
    except (ValueError, LookupError):
        value = -1
    if value < 0:
        raise ValueError(f"{option} must be {rule}; got {text!r}")
    return value


def _password(file: str | None) -> bytes | None:
    if file is None:
        return None
    if not (password := Path(file).read_bytes().strip()):
        raise ValueError(f"--password-file must not be empty; got {file!r}")
    return password


def _old_lines(roots: list[str], path: Path | None, keep: Keep) -> Iterator[str]:
    """Show what would be removed."""
    from leandask.historyserver.index.index import Index, default_path
    from leandask.historyserver.index.indexing import Indexer
    from leandask.historyserver.index.process import lock
    from leandask.historyserver.index.retention import find_old

    index = Index(path or default_path(roots))
    indexer = Indexer(index, roots)
    try:
        with lock(index.path, wait=False):
            while indexer.run_once():
                pass
    except BlockingIOError:
        pass  # a server keeps it up to date: two that write would count records twice
    n = nbytes = 0
    for old in find_old(index, keep):
        n, nbytes = n + old.n_runs, nbytes + old.nbytes
        runs = counted(old.n_runs, "run")
        ended = rfc3339(old.ended)[:19]
        yield f"{old.path}: {runs}, ended {ended}, {memory(old.nbytes)}"
    yield f"{counted(n, 'run')} would be removed, {memory(nbytes)}"


def _query_options(command: Any) -> Any:
    for name, text in reversed(_QUERY.items()):
        command = click.option(f"--{name}", help=text)(command)
    return command


@click.command()
@click.argument("url")
@_query_options
@click.option("--errors", is_flag=True, help="Only runs with tasks that erred.")
@click.option("-n", "limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--password-file", type=_FILE, help="File with the server's password.")
@click.option("--tls-ca-file", type=_FILE, help="File with its CA certificate.")
@click.option("--json", "as_json", is_flag=True, help="One object of JSON per line.")
def runs(
    url: str,
    errors: bool,
    limit: int,
    password_file: str | None,
    tls_ca_file: str | None,
    as_json: bool,
    **query: str | None,
) -> None:
    """List the runs that a history server shows.

    URL is its address, such as http://127.0.0.1:18080.
    """
    from leandask.historyserver.client import History

    password = _password(password_file)
    shown = History(url, None if password is None else password.decode(), tls_ca_file)
    found = shown.runs(errors=errors or None, **query)
    for _, run in zip(range(limit), found, strict=False):
        if as_json:
            write_json(run)
        else:
            write_lines([run_line(run)])


def run_line(run: dict[str, Any]) -> str:
    """Show a run as one line.

    Examples
    --------
    >>> print(run_line({"id": "Scheduler-1", "name": "etl", "labels": {"team": "a"},
    ...     "started": "2026-11-24T11:57:27.206000Z", "duration": 90.0, "tasks": 1200,
    ...     "state": "killed-memory", "erred": 2, "workers_lost": 0, "rss_peak": 2**29,
    ...     "rss_limit": 2**30}))
    2026-11-24T11:57:27Z killed-memory  1 min 30 s  1,200 tasks, 2 erred, 512 of 1,024 \
MiB  Scheduler-1 etl team=a
    """
    figures = [f"{number(run['tasks'] or 0)} tasks"]
    for name, label in (("erred", "erred"), ("workers_lost", "workers lost")):
        if run[name]:
            figures.append(f"{number(run[name])} {label}")
    if run["rss_peak"] is not None:
        figures.append(memory(run["rss_peak"], run["rss_limit"]))
    lasted = "-" if run["duration"] is None else duration(round(run["duration"] * 1000))
    started = f"{run['started'][:19]}Z" if run["started"] else "-"
    names = [run["id"], run["name"], *(f"{k}={v}" for k, v in run["labels"].items())]
    text = " ".join(name for name in names if name)
    line = f"{started} {run['state']:13}  {lasted:10}  {', '.join(figures)}  {text}"
    return one_line(line, 1000)
