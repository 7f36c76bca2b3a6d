"""Fixtures and order of imports for every test."""

from __future__ import annotations

# distributed.utils_test copies the configuration when it is imported, and restores the
# copy for each test: leandask's defaults must be in it.
import leandask  # isort: skip  # noqa: F401

import importlib.util
import logging

import hypothesis
import pytest
from packaging.version import Version

# How long an example takes depends on the machine.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("untimed")

# distributed.utils_test also copies and restores the levels of all loggers.
logging.getLogger("leandask.events").setLevel(logging.INFO)

import distributed.utils_test  # noqa: E402

from leandask import _compat  # noqa: E402
from leandask.records.loggers import EVENTS, OWN, TRANSITIONS  # noqa: E402
from tests.helpers.handlers import Collector  # noqa: E402

#: Releases before this one leave sockets to the garbage collector, which warns in
#: whatever test runs then.
CLOSES_SOCKETS = "2025.1.0"


def pytest_configure(config):
    if Version(distributed.__version__) < Version(CLOSES_SOCKETS):
        category = "pytest.PytestUnraisableExceptionWarning"
        unclosed = f"ignore:Exception ignored in. <socket:{category}"
        config.addinivalue_line("filterwarnings", unclosed)


@pytest.fixture
def collected():
    """The LogRecords of the two loggers of records, in a list that grows."""
    handler = Collector()
    for logger in (EVENTS, TRANSITIONS):
        logger.addHandler(handler)
    yield handler.records
    for logger in (EVENTS, TRANSITIONS):
        logger.removeHandler(handler)


@pytest.fixture
def caplog(caplog, monkeypatch):
    """Captures the lines of leandask too, which do not reach the root's handlers."""
    monkeypatch.setattr(OWN, "propagate", False)  # as while a scheduler runs
    OWN.addHandler(caplog.handler)
    yield caplog
    OWN.removeHandler(caplog.handler)


@pytest.fixture(autouse=True)
def level_of_transitions():
    """Restore the level, which a scheduler that records all transitions changes."""
    before = TRANSITIONS.level
    yield
    TRANSITIONS.setLevel(before)


@pytest.fixture
def all_transitions(level_of_transitions):
    """Record every transition."""
    TRANSITIONS.setLevel(logging.DEBUG)


@pytest.fixture
def key_caches():
    """Restore the caches by key, which belong to the whole process."""
    before = {name: _compat.get_key_cache(name) for name in _compat.KEY_CACHES}
    yield
    for name, cached in before.items():
        _compat.set_key_cache(name, cached)


pytest_plugins = [
    "tests.helpers.browser",
    "tests.helpers.processes",
    "tests.helpers.schedulers",
    "tests.helpers.sinks",
    "tests.helpers.sshd",
]

#: Programs that need packages of other extras, or are run by a test.
collect_ignore = [
    "tests/records/fuzz_payload.py",
    "tests/deployment/programs",
    "tests/benchmarks/programs",
    "tests/upstream",
]
if importlib.util.find_spec("dask._expr") is None:
    # Graphs are in another form in old releases.
    collect_ignore.append("tests/tasks/lockstep")
