"""History: the runs that a history server knows, in Python."""

from __future__ import annotations

import base64
import json
import re
import ssl
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leandask.historyserver.index.index import RUN_ID
from leandask.reading.reader import LogReader

#: Runs that are asked for at once.
PER_PAGE = 1000
#: Bytes of a log that are written at once, and of an answer that are read.
PART, ANSWER = 2**18, 64 * 2**20
_PORTS = {"http": 80, "https": 443}


class History:
    """The runs that a server, started by ``leandask history``, shows.

    Parameters
    ----------
    url : str
        Such as ``http://127.0.0.1:18080``, with the prefix if there is one.
    password : str, optional
        What is in the server's ``--password-file``.
    tls_ca_file : str, optional
        File with the CA certificate of the server.
    timeout : float, optional
        Seconds without an answer after which a request fails.

    Examples
    --------
    ::

        history = leandask.History("http://127.0.0.1:18080")
        for run in history.runs(label="team=etl", errors=True):
            print(run["id"], run["started"], run["erred"])
        log = history.run("Scheduler-90c9d4b6")
        list(log.story("fit-92648a1bcfae9d8e17b177fece011861"))
    """

    def __init__(
        self,
        url: str,
        password: str | None = None,
        tls_ca_file: str | None = None,
        timeout: float = 300.0,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url must start with http:// or https://; got {url!r}")
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._password = password
        tls = ssl.create_default_context(cafile=tls_ca_file)
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=tls), _Redirects
        )
        self._folder = tempfile.TemporaryDirectory(prefix="leandask-history-")
        weakref.finalize(self, self._folder.cleanup)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url!r}>"

    def runs(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the runs that match all of a query, the newest first.

        Parameters
        ----------
        **query
            ``q`` (words of the name, the labels, the address and the reason of the
            end), ``label`` (``"key=value"``), ``state``, ``errors``, ``prefix``,
            ``exception``, ``since``, ``until``, ``sort``.

        Yields
        ------
        dict
            As ``/api/v1/runs`` has them.
        """
        page = pages = 1
        given = {name: value for name, value in query.items() if value is not None}
        while page <= pages:
            found = self.ask("runs", per_page=PER_PAGE, **given, page=page)
            yield from found["runs"]
            page, pages = page + 1, found["pages"]

    def run(self, run_id: str, folder: str | None = None) -> LogReader:
        """Return a reader of the records of one run, which are downloaded.

        Parameters
        ----------
        run_id : str
            The ``id`` of a run.
        folder : str, optional
            Where to put the log, as ``<run_id>.jsonl``. By default a temporary folder,
            which is removed with this object.

        Raises
        ------
        ValueError
            If there is no such run.
        OSError
            If there is no answer.
        """
        # It may come from the server's list, and becomes the name of a file.
        if not re.fullmatch(RUN_ID, run_id):
            raise ValueError(f"run_id must be the id of a run; got {run_id!r}")
        self.ask("runs", run_id)  # says why, if there is none
        path = Path(folder or self._folder.name, f"{run_id}.jsonl")
        with self._open(f"/runs/{_quoted(run_id)}/log") as answer, path.open("wb") as f:
            while part := answer.read(PART):
                f.write(part)
        return LogReader(path)

    def ask(self, *parts: str, **query: Any) -> Any:
        """Return an answer of the API: ``ask("runs", run_id, "tasks", limit=10)``.

        Raises
        ------
        ValueError
            If the server says that it is not valid.
        OSError
            If there is no answer.
        """
        path = "/".join(map(_quoted, parts))
        text = urllib.parse.urlencode(
            {n: int(v) if isinstance(v, bool) else v for n, v in query.items()},
            doseq=True,
        )
        with self._open(f"/api/v1/{path}?{text}") as answer:
            return json.loads(answer.read(ANSWER))

    def _open(self, path: str) -> Any:
        request = urllib.request.Request(f"{self.url}{path}")
        if self._password is not None:
            pair = base64.b64encode(f":{self._password}".encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        try:
            return self._opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as e:
            with e:
                text = _message_of(e.read(2**16)) or e.reason
            error = ValueError if e.code in (400, 404) else OSError
            raise error(f"{self.url}: {text}") from None
        except ValueError as e:  # it redirects to what is no URL
            raise OSError(f"{self.url}: {e}") from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but takes a password to no other server."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        is_secret = req.has_header("Authorization")
        if is_secret and _origin(newurl) != _origin(req.full_url):
            fp.close()
            text = f"redirects to {newurl!r}, which does not get the password"
            raise OSError(f"{req.host} {text}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Return what one server has: the scheme, the host and the port."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")


def _message_of(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace").strip()[:500]
