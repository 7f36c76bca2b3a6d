"""BucketFile: one file of a log in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from leandask.eventlog.archive.bucket import Bucket, Entry
from leandask.reading.bucket.blocks import Blocks
from leandask.reading.files.contents import codec_at
from leandask.reading.files.logfile import LogFile


class FoundObject(NamedTuple):
    """A file in a bucket, as it was found: what a :class:`FoundFile` tells."""

    name: str
    path: str
    nbytes: int
    identity: None = None


class BucketFile(LogFile):
    """A file of a log in a bucket. It is fetched while it is read.

    Parameters
    ----------
    bucket : Bucket
    key : str
        Its place below the URL of the bucket.
    entry : Entry
    """

    def __init__(self, bucket: Bucket, key: str, entry: Entry) -> None:
        found: Any = FoundObject(entry.name, bucket.shown(key), entry.nbytes)
        super().__init__(found)
        self.key = key
        self._bucket = bucket

    def open(self) -> bool:
        """Fetch its start. If that fails, the reason is its :attr:`error`."""
        if self._raw is not None or self.error is not None:
            return True
        raw: Any = Blocks(self._bucket, self.key, self.nbytes)
        try:
            self.codec = codec_at(self.found.name, raw.read(4))
            raw.seek(0)
        except OSError as e:
            raw.close()
            self.error = e
        except BaseException:
            raw.close()
            raise
        else:
            self._raw = raw
        return True

    def spans(self) -> Iterator[int]:
        """Yield its start: a segment is read from there, as it is fetched anyway."""
        yield 0

    def read_at(self, begin: int, n: int) -> bytes:
        """Return bytes of the file."""
        return self._read(begin, n)
