"""Places: where the event logs of runs lie, in folders and below fsspec URLs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import orjson

from leandask.eventlog.archive.segments import RUN
from leandask.eventlog.filenames import place_of
from leandask.reading.files.listing import Log, find_log, find_logs
from leandask.reading.files.logfile import open_regular
from leandask.records.text import encodable
from leandask.settings.rules import is_url

#: Bytes of a summary that are read.
SUMMARY_BYTES = 2**20
#: Summaries of a bucket that are read together.
TOGETHER = 100
#: Folders below a root that are looked into.
DEPTH = 8


class Place(NamedTuple):
    """A log, or the folder of an archived run."""

    #: What a LogReader takes.
    path: str
    #: Changes when the log, or the summary, has changed.
    signature: str
    #: Bytes of its files.
    nbytes: int
    #: The files of a log on this machine; None for an archived run, and for a URL.
    log: Log | None = None
    #: Where the summary of an archived run is; "" for any other log.
    summary: str = ""
    #: Why it can't be in the index; "" if it can.
    error: str = ""

    def seen_again(self) -> Place | None:
        """Return a log as it is now; None if its files were renamed or removed."""
        log = self.log and self.log.seen_again()
        return _place_of_log(log) if log else None


def find_places(root: str) -> Iterator[Place]:
    """Return the logs of a root, one after the other.

    Raises
    ------
    OSError
        If it can't be listed.
    ImportError
        If the package that its URL needs is not installed.
    """
    if is_url(root):
        found = _places_of_url(root)
    elif os.path.isdir(root):
        found = _places_of_folder(root, DEPTH)
    else:
        found = iter([_place_of_log(find_log(Path(root)))])
    return map(_checked, found)


def _checked(place: Place) -> Place:
    """Return a place under a name that sqlite takes."""
    if encodable(place.path) == place.path:
        return place
    # In quotes, so that it takes the name of no other log.
    error = "its path must be UTF-8"
    return Place(repr(place.path), "", place.nbytes, error=error)


def _places_of_folder(folder: str, depth: int) -> Iterator[Place]:
    names, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith("."):
                    folders.append(entry.path)
            else:
                names.append(entry.name)
    if RUN in names:
        yield _archived(folder)
        return
    if any(map(place_of, names)):
        yield from map(_place_of_log, find_logs(Path(folder)))
    if depth:
        for each in sorted(folders):
            try:
                yield from _places_of_folder(each, depth - 1)
            except OSError:  # it may be another user's
                continue


def _archived(folder: str) -> Place:
    summary = os.path.join(folder, RUN)
    status = os.stat(summary)
    nbytes = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                nbytes += entry.stat(follow_symlinks=False).st_size
    signature = f"{status.st_ino} {status.st_mtime_ns} {nbytes}"
    return Place(folder, signature, nbytes, summary=summary)


def _place_of_log(log: Log) -> Place:
    parts = [
        f"{s.st_ino} {s.st_size} {s.st_mtime_ns}"
        for file in log.files
        if (s := file.status) is not None
    ]
    return Place(str(log.base), "; ".join(parts), log.nbytes, log)


def _places_of_url(url: str) -> Iterator[Place]:
    fs, root = filesystem(url)
    folders: dict[str, dict[str, dict[str, Any]]] = {}
    for name, info in fs.find(root, detail=True).items():
        path = PurePosixPath(name)
        folders.setdefault(str(path.parent), {})[path.name] = info
    for folder, infos in folders.items():
        if RUN in infos:
            nbytes = _nbytes(infos.values())
            signature = f"{_version(infos[RUN])} {nbytes}"
            summary = fs.unstrip_protocol(f"{folder}/{RUN}")
            path = fs.unstrip_protocol(folder)
            yield Place(path, signature, nbytes, summary=summary)
            continue
        logs: dict[str, list[dict[str, Any]]] = {}
        for name, info in infos.items():
            if (found := place_of(name)) is not None:
                logs.setdefault(found[0], []).append(info)
        for base, files in logs.items():
            signature = "; ".join(sorted(map(_version, files)))
            path = fs.unstrip_protocol(f"{folder}/{base}")
            yield Place(path, signature, _nbytes(files))


def filesystem(url: str) -> tuple[Any, str]:
    """Return the filesystem of a URL, and the path there; fresh, not a cached list."""
    from fsspec.core import url_to_fs  # of no use to folders

    fs, path = url_to_fs(url, use_listings_cache=False)
    return fs, path


def _nbytes(infos: Iterable[dict[str, Any]]) -> int:
    return sum(int(info.get("size") or 0) for info in infos)


def _version(info: dict[str, Any]) -> str:
    """Return what changes with a file, whatever its filesystem calls it."""
    names = ("ETag", "etag", "md5Hash", "mtime", "created", "LastModified", "updated")
    found = [str(info[name]) for name in names if info.get(name)]
    return " ".join([str(info.get("name")), str(info.get("size")), *found])


def read_summaries(
    places: Iterable[Place],
) -> Iterator[tuple[Place, dict[str, Any] | Exception]]:
    """Yield the summary of each archived run, or why it can't be read."""
    at_urls: list[Place] = []
    for place in places:
        if is_url(place.summary):
            at_urls.append(place)
            continue
        try:
            with open_regular(Path(place.summary)) as file:  # a FIFO would wait
                yield place, _parsed(file.read(SUMMARY_BYTES), place)
        except (OSError, ValueError) as e:
            yield place, e
    # A bucket takes as long for a hundred as for one.
    for begin in range(0, len(at_urls), TOGETHER):
        yield from _summaries_of_url(at_urls[begin : begin + TOGETHER])


def _summaries_of_url(
    places: list[Place],
) -> Iterator[tuple[Place, dict[str, Any] | Exception]]:
    try:
        fs, _ = filesystem(places[0].summary)
        paths = [fs._strip_protocol(place.summary) for place in places]
        ends = [SUMMARY_BYTES] * len(paths)
        found = fs.cat_ranges(paths, [0] * len(paths), ends, on_error="return")
    except (OSError, ImportError, ValueError) as e:
        found = [e] * len(places)
    for place, text in zip(places, found, strict=True):
        try:
            if isinstance(text, Exception):
                raise text
            yield place, _parsed(text, place)
        except Exception as e:  # of any filesystem
            yield place, e


def _parsed(text: bytes, place: Place) -> dict[str, Any]:
    summary = orjson.loads(text)
    if type(summary) is not dict:
        raise ValueError(f"{place.summary} must be a JSON object")
    return summary
