"""Index: the runs that were found, in a sqlite file of this machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leandask.historyserver.index.growth import Positions
from leandask.historyserver.index.places import Place
from leandask.settings.rules import is_url

#: Version of the tables below and of what is in them. A file with another one is made
#: again.
VERSION = 2
#: Fields of a run in the index, by their types in sqlite. Texts of JSON are at the end.
FIELDS = {
    "id": "TEXT PRIMARY KEY",
    "place": "TEXT NOT NULL",
    "scheduler_id": "TEXT NOT NULL",
    "name": "TEXT",
    "address": "TEXT",
    "dashboard": "TEXT",
    "started": "REAL",
    "updated": "REAL",
    "ended": "REAL",
    "state": "TEXT",
    "reason": "TEXT",
    "tasks": "INTEGER",
    "erred": "INTEGER",
    "workers_max": "INTEGER",
    "workers_lost": "INTEGER",
    "rss_peak": "INTEGER",
    "rss_limit": "INTEGER",
    "dropped": "INTEGER",
    "labels": "TEXT",
    "versions": "TEXT",
    "exceptions": "TEXT",
    "prefixes": "TEXT",
}
JSON_FIELDS = ("labels", "versions", "exceptions", "prefixes")
#: `counts` and `positions` are JSON, from which the scan of a log goes on; `tries` are
#: scans of this signature that did not end.
_TABLES = f"""
CREATE TABLE runs ({", ".join(f"{n} {t}" for n, t in FIELDS.items())}, counts TEXT);
CREATE INDEX runs_by_place ON runs (place, started);
CREATE INDEX runs_by_start ON runs (started);
CREATE TABLE places (
    path TEXT PRIMARY KEY, signature TEXT, nbytes INTEGER, positions TEXT,
    tries INTEGER, error TEXT
);
PRAGMA user_version = {VERSION};
"""
#: The id of a run: a part of a URL's path, and of a file's name, as it is.
RUN_ID = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,150}"
#: Ids of schedulers that are one, also with a digest.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def cache_folder() -> Path:
    """Return the user's folder for what can be made again."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


def default_path(roots: list[str]) -> Path:
    """Return where the index of some roots is, unless the user says so."""
    names = sorted(r if is_url(r) else os.path.abspath(r) for r in roots)
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    return cache_folder() / "leandask" / f"history-{digest}.sqlite"


class Index:
    """The runs of all places. One process writes it, others read it.

    Parameters
    ----------
    path : pathlib.Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self.path)!r}>"

    def make(self) -> None:
        """Make the file, unless it is there and usable."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.connected() as db:
                (version,) = db.execute("PRAGMA user_version").fetchone()
                if version == VERSION:
                    db.execute("SELECT id FROM runs LIMIT 1").fetchone()
                    return
        except sqlite3.OperationalError as e:
            if self.path.exists() and "no such table" not in str(e):
                raise  # it is locked, or its disk fails
        except sqlite3.DatabaseError:  # not a database, or a broken one
            pass
        for ending in ("", "-wal", "-shm"):
            Path(f"{self.path}{ending}").unlink(missing_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
        with self.connected() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_TABLES)

    @contextlib.contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Open the file for a transaction: it may have been removed meanwhile.

        Raises
        ------
        sqlite3.Error
            If it can't be read or written, or is missing.
        """
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        db = sqlite3.connect(uri, uri=True, timeout=10)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = NORMAL")
            with db:
                yield db
        finally:
            db.close()


def put_run(db: sqlite3.Connection, row: dict[str, Any], counts: str = "") -> None:
    """Add a run, or replace it."""
    fields = dict.fromkeys(FIELDS) | row
    for name in JSON_FIELDS:
        empty: Any = {} if name in ("labels", "versions") else []
        fields[name] = json.dumps(fields[name] or empty, ensure_ascii=False)
    fields["id"] = id_of(db, row["scheduler_id"], row["place"])
    for name, value in fields.items():
        if type(value) is str and not value.isascii():  # sqlite takes no surrogates
            fields[name] = value.encode("utf-8", "backslashreplace").decode()
    fields["counts"] = counts
    marks = ", ".join(f":{name}" for name in fields)
    db.execute(f"REPLACE INTO runs ({', '.join(fields)}) VALUES ({marks})", fields)


def id_of(db: sqlite3.Connection, scheduler_id: str, place: str) -> str:
    """Return the id of a run: of its scheduler, if it is plain and no other has it."""
    digest = hashlib.sha256(
        f"{scheduler_id}\0{place}".encode("utf-8", "backslashreplace")
    ).hexdigest()[:16]
    if not _PLAIN_ID.fullmatch(scheduler_id):
        return f"run-{digest}"
    found = db.execute("SELECT place FROM runs WHERE id = ?", (scheduler_id,))
    if (row := found.fetchone()) is None or row["place"] == place:
        return scheduler_id
    return f"{scheduler_id}-{digest}"  # a copy of its log


def put_place(
    db: sqlite3.Connection,
    place: Place,
    positions: Positions,
    tries: int = 0,
    error: str = "",
) -> None:
    """Note how far a place was read."""
    db.execute(
        "REPLACE INTO places VALUES (?, ?, ?, ?, ?, ?)",
        (
            place.path,
            place.signature,
            place.nbytes,
            json.dumps(positions),
            tries,
            error[:500],
        ),
    )


def run_of(row: sqlite3.Row) -> dict[str, Any]:
    """Return a run with the values of its texts of JSON."""
    run = {name: row[name] for name in FIELDS}
    for name in JSON_FIELDS:
        run[name] = json.loads(run[name])
    return run
