from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from contextlib import contextmanager

import dask.config
import pytest
from distributed.utils_test import gen_test

from leandask.records.loggers import EVENTS, TRANSITIONS, HeldLevel, is_held
from tests.helpers.schedulers import lean

ABOVE = logging.getLogger("leandask")


@contextmanager
def new_process():
    """Set the levels of loggers as in a new process; gen_test has set its own."""
    loggers = (ABOVE, EVENTS, TRANSITIONS)
    before = [logger.level for logger in loggers]
    for logger, level in zip(loggers, (0, 0, logging.WARNING), strict=True):
        logger.setLevel(level)
    try:
        yield lambda: [logger.level for logger in loggers]
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def config(tmp_path, name="log"):
    path = str(tmp_path / f"{name}.jsonl")
    return dask.config.set(
        {"leandask.event-log.path": path, "leandask.stream.transitions": True}
    )


FOUND = [logging.NOTSET, logging.NOTSET, logging.WARNING]
SET = [logging.INFO, logging.NOTSET, logging.DEBUG]


@gen_test()
async def test_a_scheduler_that_closes_leaves_levels_as_it_found_them(tmp_path):
    with new_process() as levels:
        for _ in range(2):
            with config(tmp_path):
                async with lean():
                    assert levels() == SET
            assert levels() == FOUND
            async with lean():
                assert levels() == FOUND


@gen_test()
async def test_levels_stay_while_another_scheduler_needs_them(tmp_path):
    with new_process() as levels:
        with config(tmp_path, "one"):
            one = await lean()
        with config(tmp_path, "other"):
            other = await lean()
        await one.close()
        await one.finished()
        await one.extensions["leandask"].close()
        assert levels() == SET
        await other.close()
        await other.extensions["leandask"].close()
        assert levels() == FOUND


@gen_test()
async def test_a_level_that_the_user_sets_while_it_is_held_stays(tmp_path):
    with new_process() as levels:
        with config(tmp_path):
            async with lean():
                ABOVE.setLevel(logging.ERROR)
                TRANSITIONS.setLevel(logging.INFO)
        assert levels() == [logging.ERROR, logging.NOTSET, logging.INFO]


def test_a_level_is_released_once():
    with new_process() as levels:
        one, other = (HeldLevel(ABOVE, logging.INFO) for _ in range(2))
        one.release()
        one.release()
        assert is_held(ABOVE)
        assert repr(one) == "<HeldLevel: <Logger leandask (INFO)>, level=20, released>"
        other.release()
        assert not is_held(ABOVE)
        assert levels() == FOUND


IMPORT = """
import json, logging, logging.config, sys
{before}
import leandask
from leandask import LeanScheduler, RecordStream
import distributed
loggers = [logging.getLogger(name) for name in sys.argv[1:]]
print(json.dumps([logger.level for logger in loggers]))
"""
SET_LEVEL = "logging.getLogger('leandask.transitions').setLevel('DEBUG')"
DICT_CONFIG = """
logging.config.dictConfig(
    {'version': 1, 'loggers': {'leandask.transitions': {'level': 'DEBUG'}}}
)
"""
OLD_STYLE = "logging: {leandask.transitions: debug, leandask.events: error}"
NEW_STYLE = """
logging:
  version: 1
  disable_existing_loggers: false
  loggers:
    leandask.transitions: {level: DEBUG}
    leandask.events: {level: ERROR}
"""


def levels_after_import(before, config_file=None):
    """Levels of the loggers of the records in a process that imports leandask."""
    program = [sys.executable, "-c", IMPORT.format(before=before)]
    env = os.environ | ({"DASK_CONFIG": str(config_file)} if config_file else {})
    done = subprocess.run(
        [*program, EVENTS.name, TRANSITIONS.name],
        capture_output=True,
        text=True,
        check=True,
        env=env,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("before", ["", "import distributed"])
@pytest.mark.parametrize("section", [OLD_STYLE, NEW_STYLE])
def test_importing_leaves_the_levels_of_dasks_configuration(tmp_path, section, before):
    path = tmp_path / "dask.yaml"
    path.write_text(section)
    assert levels_after_import(before, path) == [logging.ERROR, logging.DEBUG]


@pytest.mark.parametrize("before", [SET_LEVEL, DICT_CONFIG])
def test_importing_leaves_a_level_that_was_set_before(before):
    assert levels_after_import(before) == [logging.NOTSET, logging.DEBUG]


def test_importing_turns_transitions_off_where_no_level_is_set():
    assert levels_after_import("") == [logging.NOTSET, logging.WARNING]


def test_a_level_that_the_user_sets_while_it_is_held_is_restored():
    with new_process() as levels:
        one = HeldLevel(TRANSITIONS, logging.DEBUG)
        TRANSITIONS.setLevel(logging.INFO)
        assert not is_held(TRANSITIONS)
        other = HeldLevel(TRANSITIONS, logging.DEBUG)
        assert is_held(TRANSITIONS)
        one.release()
        other.release()
        assert levels() == [logging.NOTSET, logging.NOTSET, logging.INFO]


@gen_test()
async def test_a_second_scheduler_leaves_a_level_that_the_user_has_set(tmp_path):
    with new_process() as levels:
        with config(tmp_path, "one"):
            one = await lean()
        ABOVE.setLevel(logging.ERROR)
        with config(tmp_path, "other"):
            other = await lean()
        assert levels() == [logging.ERROR, logging.NOTSET, logging.DEBUG]
        for scheduler in (one, other):
            await scheduler.close()
            await scheduler.extensions["leandask"].close()
        assert levels() == [logging.ERROR, logging.NOTSET, logging.WARNING]
