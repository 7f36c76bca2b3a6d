"""Blocks: a file in a bucket as one that is read from, a few MiB at a time."""

from __future__ import annotations

import io
from concurrent.futures import Future, ThreadPoolExecutor

from leandask.eventlog.archive.bucket import Bucket

#: Bytes that are asked for at once: a request takes some 50 ms before its first byte.
BLOCK = 4 * 2**20


class Blocks(io.RawIOBase):
    """A file in a bucket. While one block is used, the next one is fetched in a thread.

    Two blocks are in memory at most.

    Parameters
    ----------
    bucket : Bucket
    key : str
    nbytes : int
        Size of the file.
    """

    def __init__(self, bucket: Bucket, key: str, nbytes: int) -> None:
        self._bucket = bucket
        self._key = key
        self._nbytes = nbytes
        self._position = 0
        #: The block that is used, and its place.
        self._block, self._begin = b"", 0
        self._thread = ThreadPoolExecutor(1, "leandask-fetch")
        #: The next block, and its place.
        self._next: tuple[int, Future[bytes]] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only from the start")
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read bytes; fewer at the end of the file only."""
        end = self._nbytes if size < 0 else min(self._position + size, self._nbytes)
        parts = []
        while self._position < end:
            self._have(self._position)
            begin = self._position - self._begin
            part = self._block[begin : begin + end - self._position]
            parts.append(part)
            self._position += len(part)
        return b"".join(parts)

    def close(self) -> None:
        if not self.closed:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._block, self._next = b"", None
        super().close()

    def _have(self, position: int) -> None:
        """Have the block of a place, and fetch the one after it."""
        if self._begin <= position < self._begin + len(self._block):
            return
        begin = position - position % BLOCK
        waiting, self._next = self._next, None
        if waiting is not None and waiting[0] == begin:
            block = waiting[1].result()
        else:
            block = self._fetch(begin)
        if position - begin >= len(block):
            raise EOFError("it is shorter than it was")
        self._block, self._begin = block, begin
        following = begin + BLOCK
        if following < self._nbytes:
            self._next = following, self._thread.submit(self._fetch, following)

    def _fetch(self, begin: int) -> bytes:
        return self._bucket.read(self._key, begin, min(begin + BLOCK, self._nbytes))
