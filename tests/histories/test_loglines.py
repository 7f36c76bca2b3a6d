from __future__ import annotations

import logging
import sys

import pytest
from distributed import Scheduler
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
