"""Lean tasks behave as upstream's: the same random faults to both, step by step."""

from __future__ import annotations

import inspect

import hypothesis
import pytest
from distributed import Scheduler
from hypothesis import Phase
from hypothesis.stateful import run_state_machine_as_test

if "expr_ser" not in inspect.signature(Scheduler.update_graph).parameters:
    pytest.skip("graphs are sent in another form", allow_module_level=True)

from leandask.tasks.taskstate import LeanTaskState
from tests.tasks.lockstep.faults import FAULTS, Everything, Installed
from tests.tasks.lockstep.machine import Lockstep

#: Steps that each class of faults has to pass, once a night.
NIGHTLY = 20_000


def run(machine, examples, steps, phases=(Phase.generate,), **settings):
    """Run examples of a machine; return how many steps both schedulers took."""
    before = machine.steps[machine.__name__]
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=examples,
            stateful_step_count=steps,
            database=None,
            phases=phases,
            suppress_health_check=list(hypothesis.HealthCheck),
            **settings,
        ),
    )
    return machine.steps[machine.__name__] - before


@pytest.mark.parametrize("machine", [Everything, Installed])
def test_schedulers_agree_after_every_step(machine):
    assert run(machine, examples=3, steps=80, derandomize=True) > 100


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("machine", FAULTS)
def test_schedulers_agree_for_long(machine):
    steps = 0
    while steps < NIGHTLY:
        steps += run(machine, 20, 100, phases=(Phase.generate, Phase.shrink))


def test_tasks_that_are_compared_are_lean():
    machine = Lockstep()
    try:
        machine.start(1.0, 1)
        machine.send({"a": [], "b": ["a"]}, ["b"], "Client-a")
        upstream, lean = (side.scheduler.tasks for side in machine.sides)
        assert all(type(ts) is LeanTaskState for ts in lean.values())
        assert not any(isinstance(ts, LeanTaskState) for ts in upstream.values())
    finally:
        machine.teardown()


def test_a_difference_is_found():
    machine = Lockstep()
    try:
        machine.start(1.0, 1)
        machine.send({"a": [], "b": ["a"]}, ["b"], "Client-a")
        machine.sides[1].scheduler.tasks["a"].waiters = None
        with pytest.raises(AssertionError, match="/tasks/a/waiters"):
            machine.add_worker(1)
    finally:
        machine.teardown()
