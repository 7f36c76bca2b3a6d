from __future__ import annotations

import logging
import pickle
import sys
from collections import deque

import pytest
from distributed import Client, LocalCluster, Scheduler
from distributed.utils import DequeHandler
from distributed.utils_test import gen_test

from leandask import _compat, install
from leandask.histories.loglines import LINE_LENGTH, LogLines
from tests.helpers.schedulers import LOCAL


class Held:
    """Something a LogRecord's args would keep alive."""

    def __repr__(self):
        return "held"


@pytest.fixture
def lines():
    old = DequeHandler(n=100)
    old.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    old.emit(logging.makeLogRecord({"msg": "before", "levelname": "INFO"}))
    return LogLines(old, maxlen=3)


def log(lines: LogLines, msg: str, *args: object) -> None:
    lines.handle(logging.LogRecord("x", logging.WARNING, __file__, 1, msg, args, None))


def test_log_lines_take_over_what_was_logged_before(lines):
    assert [lines.format(line) for line in lines.deque] == ["INFO before"]


def test_a_log_line_has_what_readers_of_log_records_read(lines):
    try:
        raise ValueError("broken")
    except ValueError:
        exc_info = sys.exc_info()
    args = ("x.y", logging.ERROR, __file__, 7, "100%% of %s", ("it",), exc_info, "func")
    record = logging.LogRecord(*args)
    lines.handle(record)
    line = lines.deque[-1]
    assert isinstance(line, logging.LogRecord)
    assert (line.msg, line.args, line.getMessage()) == ("100% of it", (), "100% of it")
    same = set(vars(record)) - {"msg", "args", "exc_info"}
    assert {name: vars(line).get(name) for name in same} == {
        name: vars(record)[name] for name in same
    } | {"message": None}
    assert line.exc_info is None
    assert line.exc_text.endswith("ValueError: broken")
    everything = (
        "%(asctime)s %(created)f %(filename)s %(funcName)s %(levelname)s %(levelno)s "
        "%(lineno)d %(message)s %(module)s %(msecs)d %(name)s %(pathname)s %(process)d "
        "%(processName)s %(relativeCreated)d %(thread)d %(threadName)s"
    )
    formatter = logging.Formatter(everything)
    assert formatter.format(line) == formatter.format(record)


def test_the_lines_read_as_upstreams_deque(lines):
    for i in range(4):
        log(lines, "%s", i)
    messages = [line.getMessage() for line in lines.deque]
    assert messages == ["1", "2", "3"]
    assert [line.msg for line in reversed(lines.deque)] == messages[::-1]
    assert [line.msg for line in lines.deque[:2]] == messages[:2]
    assert (len(lines.deque), lines.deque.maxlen) == (3, 3)
    fetched = pickle.loads(pickle.dumps(lines.deque))  # by a client without leandask
    assert (type(fetched), type(fetched[0])) == (deque, logging.LogRecord)
    assert [line.getMessage() for line in fetched] == messages
    lines.clear()
    assert not lines.deque


def test_a_format_without_the_message_keeps_its_text(lines):
    lines.setFormatter(logging.Formatter("%(name)s"))
    log(lines, "%s", "hello")
    assert (lines.deque[-1].text, lines.deque[-1].msg) == ("x", "x")


@pytest.mark.parametrize("message", ["", "s", "WARNING", "two\nlines", "broken"])
def test_a_message_may_occur_elsewhere_in_its_line(lines, message, capsys):
    lines.setFormatter(logging.Formatter("%(levelname)s %(name)s s %(message)s [x]"))
    record = logging.LogRecord("s", logging.WARNING, "", 1, message, (), None)
    record.exc_text, record.stack_info = "ValueError: broken", "Stack of s"
    lines.handle(record)
    line = lines.deque[-1]
    below = "ValueError: broken\nStack of s"
    assert (line.getMessage(), line.exc_text) == (message, below)
    assert line.text == f"WARNING s s {message} [x]\n{below}"
    assert capsys.readouterr().err == ""


def test_who_holds_the_deque_sees_later_lines(lines):
    held = lines.deque
    lines.resize(2)
    log(lines, "%s", "later")
    assert (held.maxlen, held[-1].msg) == (2, "later")


def test_log_lines_are_text_and_keep_no_args_alive(lines):
    held = Held()
    count = sys.getrefcount(held)
    log(lines, "%r went", held)
    assert sys.getrefcount(held) == count
    line = lines.deque[-1]
    assert (line.levelname, lines.format(line)) == ("WARNING", "WARNING held went")


def test_log_lines_keep_a_traceback_as_text(lines):
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.makeLogRecord({"msg": "it failed", "exc_info": sys.exc_info()})
    lines.handle(record)
    assert "ValueError: broken" in lines.deque[-1].text


def test_log_lines_are_bounded_in_number_and_length(lines):
    for i in range(5):
        log(lines, "%s", i)
    log(lines, "x" * 400_000)
    assert (len(lines.deque), lines.seen) == (3, 7)
    assert len(lines.deque[-1].text) < LINE_LENGTH + 50
    assert lines.deque[-1].text.endswith("characters more")


def test_a_line_that_cannot_be_formatted_raises_nothing(lines, capsys):
    log(lines, "%d", "no number")
    assert "Logging error" in capsys.readouterr().err
    assert len(lines.deque) == 1


@gen_test()
async def test_the_log_records_of_a_scheduler_that_becomes_lean_are_released():
    async with Scheduler(**LOCAL) as s:
        logging.getLogger("distributed.scheduler").warning("%s is here", Held())
        old = _compat.get_log_handler(s)
        assert len(old.deque) > 0
        install(s)
        assert "held is here" in s.get_logs()[0][1]
        assert len(old.deque) == 0


@gen_test()
async def test_clients_and_cluster_managers_get_the_logs():
    async with (
        LocalCluster(
            processes=False, n_workers=1, asynchronous=True, dashboard_address=":0"
        ) as cluster,
        Client(cluster, asynchronous=True) as c,
    ):
        install(cluster.scheduler)
        logging.getLogger("distributed.scheduler").warning("%s scheduler", "this")
        logging.getLogger("distributed.worker").warning("%s worker", "this")
        [newest] = await c.get_scheduler_logs(n=1)
        assert (newest[0], newest[1][-14:]) == ("WARNING", "this scheduler")
        [of_worker] = (await c.get_worker_logs(n=1)).values()
        assert of_worker[0][1].endswith("WARNING - this worker")
        logs = await cluster.get_logs()
        assert "this scheduler" in logs["Scheduler"]
        assert "this worker" not in logs["Scheduler"]
        [(created, _, text)] = cluster.scheduler.get_logs(n=1, timestamps=True)
        assert text == newest[1]
        assert not cluster.scheduler.get_logs(start=created + 1)
