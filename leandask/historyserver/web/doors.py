"""Doors: who may read the pages, under which names, and what a browser may do there."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import inspect
import ipaddress
import math
import re
import secrets
import sqlite3
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tornado.web import Finish, HTTPError, RequestHandler

from leandask.historyserver.index.index import Index
from leandask.historyserver.runpage.jobs import Busy, JobError, Jobs
from leandask.historyserver.web.attempts import Attempts
from leandask.records.text import one_line

#: Name of the cookie of those who gave the password.
_KNOWN = "leandask_history"
T = TypeVar("T")
#: A prefix of all paths, as a proxy may name it.
_PREFIX = re.compile(r"(/[A-Za-z0-9_.~-]+)*")
#: Names by which a machine calls itself. A page of another site that has its name
#: point to this machine would send that name.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ]
)


@dataclass
class Site:
    """What all pages share."""

    index: Index
    jobs: Jobs
    #: Before all paths, without a slash at its end.
    prefix: str = ""
    #: The password, or token; None lets everyone in.
    password: bytes | None = None
    #: Names that a request may be for; empty for any.
    hosts: frozenset[str] = frozenset()
    #: Addresses whose X-Forwarded headers count.
    proxies: frozenset[str] = frozenset()
    #: Readers that follow a run.
    followers: int = 0
    #: Wrong passwords, and what those have in a cookie who gave the right one.
    attempts: Attempts = field(default_factory=Attempts)
    token: str = field(default_factory=secrets.token_urlsafe, repr=False)
    environment: Any = field(default=None, repr=False)


def checked_prefix(text: str) -> str:
    """Return a prefix as ``Site.prefix`` has it.

    Raises
    ------
    ValueError
        If it is not the start of a path.

    Examples
    --------
    >>> checked_prefix("/dask/history/")
    '/dask/history'
    """
    prefix = text.rstrip("/")
    if not _PREFIX.fullmatch(prefix) or {".", ".."} & {*prefix.split("/")}:
        raise ValueError(f"--prefix must be a path such as /history; got {text!r}")
    return prefix


class Refused(HTTPError):
    """A request that is answered with an error, and why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status)
        #: Not as HTTP's own reason, which takes few characters.
        self.text = text


class Handler(RequestHandler):
    """Answers GET and HEAD to those who may read; other methods are refused."""

    def initialize(self, site: Site) -> None:
        """Take what all pages share."""
        self.site = site
        self._waiting: asyncio.Future[Any] | None = None

    def set_default_headers(self) -> None:
        """Set what holds for each answer, also for errors."""
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("X-Content-Type-Options", "nosniff")

    def compute_etag(self) -> None:
        """Return no ETag: browsers must not store the response."""

    def prepare(self) -> None:
        """Let in who may read."""
        forwarded = self._forwarded("X-Forwarded-Host") or self.request.host
        try:
            host = urlsplit(f"//{forwarded}").hostname or ""
        except ValueError:  # such as a bracket that is not closed
            raise Refused(400, "The host name is not valid") from None
        if self.site.hosts and host not in self.site.hosts:
            raise Refused(403, "This host name is not known: see --allow-host")
        if self.site.password is not None:
            self._check_password(self.site.password)

    def _check_password(self, password: bytes) -> None:
        """End with 401 or 429, unless the reader gives the password."""
        # Who gave it once need not wait while another one guesses from the same
        # address. The cookie alone lets nobody in.
        cookie = (self.get_cookie(_KNOWN) or "").encode("utf-8", "replace")
        known = hmac.compare_digest(cookie, self.site.token.encode())
        attempts, address = self.site.attempts, self._address
        given = self._given_password()
        if given is not None and not known and (wait := attempts.wait(address)):
            self.set_header("Retry-After", str(math.ceil(wait)))
            self.problem(429, "Too many wrong passwords; try again later")
            raise Finish
        if given is not None and hmac.compare_digest(given, password):
            if not known:
                self.set_cookie(
                    _KNOWN,
                    self.site.token,
                    httponly=True,
                    samesite="Strict",
                    secure=self.request.protocol == "https",
                )
            return
        if given is not None:
            attempts.add(address)
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="leandask history"')
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        raise Finish("A password is needed.\n")

    @property
    def _address(self) -> str:
        """Where a request comes from, also through a proxy that is trusted."""
        forwarded = self._forwarded("X-Forwarded-For", which=-1)
        return forwarded or str(self.request.remote_ip)

    def _given_password(self) -> bytes | None:
        """Return the password of a request, right or wrong; None without one."""
        kind, _, given = self.request.headers.get("Authorization", "").partition(" ")
        secret = given.strip().encode("utf-8", "replace")
        if kind.lower() == "basic":
            try:
                return base64.b64decode(secret, validate=True).partition(b":")[2]
            except binascii.Error:
                return None
        return secret if kind.lower() == "bearer" else None

    def _forwarded(self, name: str, which: int = 0) -> str:
        """Return a value of a proxy's header, if it is trusted; "" for all others."""
        if not self.site.proxies or self.request.remote_ip not in self.site.proxies:
            return ""
        return self.request.headers.get(name, "").split(",")[which].strip()

    @property
    def base(self) -> str:
        """What links begin with."""
        try:
            forwarded = checked_prefix(self._forwarded("X-Forwarded-Prefix"))
        except ValueError:
            forwarded = ""
        return forwarded or self.site.prefix

    async def head(self, *args: str) -> None:
        """Answer as to GET; the server leaves the body out."""
        found: Any = self.get(*args)
        if inspect.isawaitable(found):
            await found

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait for an answer, until its reader leaves."""
        task = self._waiting = asyncio.ensure_future(awaitable)
        try:
            return await task
        except asyncio.CancelledError:
            raise Finish from None
        except Busy as e:
            raise Refused(503, str(e)) from None
        except JobError as e:
            self.problem(422, f"This log can't be shown: {e}")
            raise Finish from None

    def on_connection_close(self) -> None:
        """End the work for a reader that has left."""
        if self._waiting is not None:
            self._waiting.cancel()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say in one line what is wrong."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        text = getattr(error, "text", self._reason)
        if isinstance(error, sqlite3.Error):
            self.set_status(503)
            text = "The index is being made; try again in a moment"
        self.problem(self.get_status(), text)

    def problem(self, status: int, text: str) -> None:
        """Finish with an error, as JSON; pages show it in their own way."""
        self.set_status(status)
        self.finish({"error": {"status": status, "message": one_line(text, 500)}})

    def log_exception(self, *exc_info: Any) -> None:
        """Leave out the traceback of an index that is not there yet."""
        if not isinstance(exc_info[1], sqlite3.Error):
            super().log_exception(*exc_info)


def checked_addresses(texts: tuple[str, ...]) -> frozenset[str]:
    """Return the addresses of proxies.

    Raises
    ------
    ValueError
        If one is no IP address.
    """
    return frozenset(str(ipaddress.ip_address(text)) for text in texts)
