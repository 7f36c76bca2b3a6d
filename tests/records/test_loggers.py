from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial

import dask.config
from distributed.utils_test import gen_test

from leandask import LeanScheduler
from leandask.records.loggers import EVENTS, TRANSITIONS, HeldLevel, is_held

lean = partial(
    LeanScheduler, dashboard=False, host="127.0.0.1", dashboard_address="127.0.0.1:0"
)
ABOVE = logging.getLogger("leandask")


@contextmanager
def new_process():
    """Has the levels of loggers as in a new process; gen_test sets its own before."""
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
async def test_a_level_that_the_user_sets_meanwhile_stays(tmp_path):
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
        assert repr(one) == "<HeldLevel: leandask at 20, released>"
        other.release()
        assert not is_held(ABOVE)
        assert levels() == FOUND
