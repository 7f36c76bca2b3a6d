"""Bucket: a folder at a URL, by fsspec, whose errors are one line."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

#: Our extras that install the package of a protocol.
EXTRAS = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gs"),
    **dict.fromkeys(("abfs", "abfss", "adl", "az"), "abfs"),
}
#: The version of an object in a URL, for s3fs, gcsfs and adlfs.
_VERSION = re.compile(r"\?(versionid|generation)=", re.IGNORECASE)
#: Endings of files that are being written, where a bucket is a folder of a disk.
PARTIAL = ".part"


class BucketError(OSError):
    """What can't be done with a bucket, and why, in one line."""


class Entry(NamedTuple):
    """A file or a folder in a bucket."""

    #: The last part of its path.
    name: str
    is_folder: bool
    nbytes: int
    #: When it was written, in seconds since the epoch; None if the bucket doesn't tell.
    written: float | None


class Bucket:
    """A folder at a URL. It is connected to, and its package imported, at first use.

    Its methods wait for the network: none is for the event loop.

    Parameters
    ----------
    url : str
        Of any protocol that fsspec knows.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs: Any = None
        self._root = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.url)!r}>"

    def put(self, path: Path, key: str) -> None:
        """Upload a file, in place of one that is there."""
        with self._errors("written to", key):
            fs, target = self._connect(key)
            if "file" in _protocols(fs):  # so that nobody reads a part of it
                fs.put_file(str(path), target + PARTIAL)
                os.replace(target + PARTIAL, target)
            else:
                fs.put_file(str(path), target)

    def entries(self, key: str = "") -> list[Entry]:
        """Return what is in a folder, by name.

        Raises
        ------
        FileNotFoundError
            If nothing is there.
        BucketError
        """
        with self._errors("listed", key):
            fs, target = self._connect(key)
            fs.invalidate_cache()
            listed = fs.ls(target, detail=True)
            found = [_entry_of(each) for each in listed if not _is(each, target)]
            if not found and not listed:
                raise FileNotFoundError("nothing")
            return sorted(found)

    def file(self, key: str = "") -> Entry | None:
        """Return a file, or None if a folder, or nothing, is there."""
        with self._errors("read", key):
            fs, target = self._connect(key)
            try:
                found = _entry_of(fs.info(target))
            except FileNotFoundError:
                return None
            return None if found.is_folder else found

    def read(self, key: str, begin: int, end: int) -> bytes:
        """Return bytes of a file."""
        with self._errors("read", key):
            fs, target = self._connect(key)
            return bytes(fs.cat_file(target, start=begin, end=end))

    def _connect(self, key: str) -> tuple[Any, str]:
        if self._fs is None:
            from fsspec.core import url_to_fs

            # Not the one that other code in the process uses with other settings. A
            # folder on a disk may be missing.
            options = {"skip_instance_cache": True}
            if self.url.startswith(("file:", "local:")):
                options["auto_mkdir"] = True
            self._fs, root = url_to_fs(self.url, **options)
            self._root = root.rstrip("/")
        return self._fs, f"{self._root}/{key}" if key else self._root

    @contextlib.contextmanager
    def _errors(self, what: str, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as e:
            if what != "written to":
                raise FileNotFoundError(
                    f"There is nothing at {self.shown(key)}: {_reason(e)}"
                ) from e
            raise self._error(what, key, e) from e
        except Exception as e:  # each package has exceptions of its own
            raise self._error(what, key, e) from e

    def _error(self, what: str, key: str, error: Exception) -> BucketError:
        return BucketError(f"{self.shown(key)} can't be {what}: {_reason(error)}")

    def shown(self, key: str) -> str:
        """Return the URL of something below it, without a password."""
        return shown(f"{self.url}/{key}" if key else self.url)


def shown(url: str) -> str:
    """Return a URL without a password.

    Examples
    --------
    >>> shown("sftp://me:secret@host/logs")
    'sftp://me@host/logs'
    """
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1@", url)


def check_prefix(key: str, url: str) -> None:
    """Raise a ValueError if objects below a URL would not be where it says.

    Packages take all of ``?versionId=…`` for a version, and so each object for one of
    the same name: a segment would replace the one before. Servers refuse controls.
    """
    if _VERSION.search(url) or not url.isprintable():
        raise ValueError(
            f"{key} must be a URL with neither the version of an object nor characters "
            f"that can't be printed; got {shown(url)!r}"
        )


def check_installed(key: str, url: str) -> None:
    """Raise if the package of a URL's protocol is missing; imports fsspec alone.

    Raises
    ------
    ImportError
        Names the key of the setting, the package and the extra.
    ValueError
        If fsspec does not know the protocol.
    """
    protocol = url.split("::")[-1].partition(":")[0].lower()
    extra = EXTRAS.get(protocol)
    hint = f": pip install 'leandask[{extra}]'" if extra else ""
    try:
        from fsspec.registry import get_filesystem_class, known_implementations
    except ImportError as e:
        raise ImportError(f"{key} needs the package fsspec{hint}") from e
    known = known_implementations.get(protocol)
    if known is None:
        try:
            get_filesystem_class(protocol)  # one that the process has registered
        except Exception:
            raise ValueError(
                f"{key} must be a URL of a protocol that fsspec knows; got {url!r}"
            ) from None
        return
    package = known["class"].partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"{key} needs the package {package} for {shown(url)!r}{hint}")


def _entry_of(info: dict[str, Any]) -> Entry:
    name = str(info["name"]).rstrip("/").rpartition("/")[2]
    written = info.get("LastModified") or info.get("mtime") or info.get("updated")
    written = written or info.get("last_modified") or info.get("created")
    with contextlib.suppress(AttributeError):
        written = written.timestamp()  # type: ignore[union-attr]
    return Entry(
        name,
        info["type"] == "directory",
        int(info.get("size") or 0),
        written if isinstance(written, (int, float)) else None,
    )


def _is(info: dict[str, Any], target: str) -> bool:
    """Whether something is the folder itself, as a marker of it."""
    return str(info["name"]).strip("/") == target.strip("/")


def _protocols(fs: Any) -> tuple[str, ...]:
    protocol = fs.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, OSError) else f"{type(error).__name__}: {text}"
