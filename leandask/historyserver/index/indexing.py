"""Indexing: the process that finds runs and brings the index up to date.

A process of its own, so that the server answers meanwhile, and a log that takes all of
its memory ends this process, not the server.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from leandask.historyserver.index.archived import row_of
from leandask.historyserver.index.counting import (
    SCHEDULERS,
    count_lines,
    count_record,
)
from leandask.historyserver.index.growth import Growth, Positions
from leandask.historyserver.index.index import Index, put_place, put_run
from leandask.historyserver.index.places import Place, find_places, read_summaries
from leandask.historyserver.index.runsummary import RunSummary
from leandask.reading.files.listing import Log
from leandask.reading.reader import LogReader
from leandask.records.text import printable
from leandask.settings.rules import is_url

#: Bytes of one log that are read before the others have their turn.
SLICE_BYTES = 64 * 2**20
#: Scans of the same log that may fail to end, as their process was killed.
TRIES = 3
#: Seconds after which a log at a URL, which is read from its start, is read again.
URL_SECONDS = 60.0


class Indexer:
    """Brings an index up to date with the logs of some roots.

    Parameters
    ----------
    index : Index
    roots : list of str
        Folders, files and URLs.
    check : callable, optional
        Called before the index is written; raises if another process may write it.
    """

    def __init__(
        self,
        index: Index,
        roots: list[str],
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self.index = index
        self.roots = roots
        self._check = check
        #: What is wrong with roots and logs, as it was said last.
        self._said: dict[str, str] = {}
        self._url_read: dict[str, float] = {}
        #: The logs of runs that go on, by their paths, as they were looked at last.
        self._going_on: dict[str, Place] = {}

    def run_once(self) -> bool:
        """Look at all places; return whether there is more to read at once."""
        self._check()
        self.index.make()
        places: dict[str, Place] = {}
        is_complete = True
        for root in self.roots:
            try:
                places |= {place.path: place for place in find_places(root)}
            except Exception as e:  # of any filesystem; the others are still listed
                is_complete = False
                self.report(root, f"{root}: {e}")
            else:
                self._said.pop(root, None)
        with self.index.connected() as db:
            known = {row["path"]: row for row in db.execute("SELECT * FROM places")}
            if is_complete:  # else its runs may only be out of reach
                self._forget(db, known.keys() - places.keys())
            has_more = self._look(db, places.values(), known)
            self._going_on = {
                path: places[path] for path in places.keys() & _running(db)
            }
            return has_more

    def follow(self) -> bool:
        """Look again at the logs of runs that go on, not at all places.

        Returns whether there is more to read at once, for which all are looked at.
        """
        grown = [
            place
            for last in self._going_on.values()
            if (place := last.seen_again()) and place.signature != last.signature
        ]
        if not grown:
            return False
        self._check()
        self.index.make()
        self._going_on |= {place.path: place for place in grown}
        with self.index.connected() as db:
            one = "SELECT * FROM places WHERE path = ?"
            known = {p.path: row for p in grown for row in db.execute(one, [p.path])}
            return self._look(db, grown, known)

    def _look(
        self,
        db: sqlite3.Connection,
        places: Iterable[Place],
        known: dict[str, sqlite3.Row],
    ) -> bool:
        """Read what is new in places; return whether there is more to read."""
        running = _running(db)
        has_more = False
        archived = []
        # The small ones first: a long log must not hide all others.
        for place in sorted(places, key=lambda each: each.nbytes):
            row = known.get(place.path)
            is_same = row is not None and row["signature"] == place.signature
            # More than 0 if the last scan did not end.
            tries = row["tries"] if row is not None and is_same else 0
            if tries >= TRIES:
                continue
            if is_same and not tries and place.path not in running:
                continue
            if place.error:
                self.report(place.path, f"{place.path}: {place.error}")
                _put_error(db, place, {}, ValueError(place.error))
                self._commit(db)
                continue
            if place.summary:
                archived.append(place)
                continue
            if row is not None and is_same and not tries and place.log is not None:
                # Nothing to read, but time tells that a run goes on no more.
                positions = json.loads(row["positions"])
                runs, quiet = _runs_of(db, place), quiet_at(place.log)
                _put(db, place, runs, positions, quiet, row["error"])
                self._commit(db)
                continue
            positions = {} if row is None else json.loads(row["positions"])
            has_more |= self._update(db, place, positions, tries, not is_same)
            self._commit(db)
        for place, summary in read_summaries(archived):
            _put_archived(db, place, summary)
        return has_more

    def _commit(self, db: sqlite3.Connection) -> None:
        self._check()
        db.commit()

    def report(self, root: str, text: str) -> None:
        """Say what is wrong with a root, once as long as it stays so."""
        if self._said.get(root) != text:
            print(f"leandask: {printable(text)}", file=sys.stderr, flush=True)
        self._said[root] = text

    def _forget(self, db: sqlite3.Connection, gone: Iterable[str]) -> None:
        paths = [(path,) for path in gone]
        db.executemany("DELETE FROM runs WHERE place = ?", paths)
        db.executemany("DELETE FROM places WHERE path = ?", paths)

    def _update(
        self,
        db: sqlite3.Connection,
        place: Place,
        positions: Positions,
        tries: int,
        is_new: bool,
    ) -> bool:
        """Read a place; return whether there is more of it to read."""
        if is_new or tries:  # in case that this process is killed for it
            put_place(db, place, positions, tries + 1)
            self._commit(db)
        try:
            if place.log is None:
                return self._read_url(db, place)
            return self._read_log(db, place, place.log, positions)
        except Exception as e:  # of any filesystem, or of a log that is too much
            _put_error(db, place, positions, e)
            return False

    def _read_log(
        self, db: sqlite3.Connection, place: Place, log: Log, positions: Positions
    ) -> bool:
        growth = Growth(positions)
        runs = _runs_of(db, place)
        for block in growth.blocks(log, SLICE_BYTES):
            count_lines(runs, block.split(b"\n"))
        if growth.has_more:
            place = place._replace(signature="")  # it is read on in the next round
        error = "; ".join(growth.errors)
        _put(db, place, runs, growth.positions, quiet_at(log), error)
        return growth.has_more

    def _read_url(self, db: sqlite3.Connection, place: Place) -> bool:
        last = self._url_read.get(place.path, -URL_SECONDS)
        if time.monotonic() - last < URL_SECONDS:
            put_place(db, place._replace(signature=""), {})
            return False
        runs: dict[str, RunSummary] = {}
        for record in LogReader(place.path).records():
            count_record(runs, record)
        self._url_read[place.path] = time.monotonic()
        _put(db, place, runs, {}, None, "")
        return False


def _running(db: sqlite3.Connection) -> set[str]:
    """Return the places of runs that go on."""
    rows = db.execute("SELECT DISTINCT place FROM runs WHERE state = 'running'")
    return {row["place"] for row in rows}


def quiet_at(log: Log) -> int | None:
    """Return the time, unless a process may be writing a log, as ``LogReader`` does.

    Of the files as they were found: to find them again takes as long as there are logs
    in the folder.
    """
    now = time.time()
    return None if log.may_be_written(now) else int(now * 1000)


def _put_archived(
    db: sqlite3.Connection, place: Place, summary: dict[str, Any] | Exception
) -> None:
    """Add an archived run, or why it can't be shown."""
    try:
        if isinstance(summary, Exception):
            raise summary
        put_run(db, row_of(summary, place))
        put_place(db, place, {})
    except Exception as e:  # of any filesystem
        _put_error(db, place, {}, e)
    db.commit()


def _put_error(
    db: sqlite3.Connection, place: Place, positions: Positions, error: Exception
) -> None:
    """Note what is wrong with a place, which is left as it is until it changes."""
    tries = TRIES
    if is_url(place.path):  # it may be out of reach for a while
        place, tries = place._replace(signature=""), 0
    put_place(db, place, positions, tries, str(error) or type(error).__name__)


def _runs_of(db: sqlite3.Connection, place: Place) -> dict[str, RunSummary]:
    """Return the counts so far of the newest schedulers of a log."""
    rows = db.execute(
        "SELECT counts FROM runs WHERE place = ? ORDER BY started DESC LIMIT ?",
        [place.path, SCHEDULERS],
    )
    runs = [RunSummary.loads(row["counts"]) for row in rows]
    return {run.life.id: run for run in reversed(runs)}


def _put(
    db: sqlite3.Connection,
    place: Place,
    runs: dict[str, RunSummary],
    positions: Positions,
    quiet_at: int | None,
    error: str,
) -> None:
    lives = [run.life for run in runs.values()]
    for run in runs.values():
        row = run.row(lives, quiet_at) | {"place": place.path}
        put_run(db, row, run.dumps())
    put_place(db, place, positions, 0, error)
