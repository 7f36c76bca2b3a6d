"""Tests with every supported release of distributed and Python, and the long tests.

``nox`` runs all of them, ``nox --session "upstream(distributed='2025.12.0')"`` one. The
gate, ``.ci/run``, has the oldest and the newest.
"""

from __future__ import annotations

import nox

#: The oldest one, the last of each year, and every one of the newest three months.
RELEASES = [
    "2024.8.0",
    "2024.12.1",
    "2025.12.0",
    "2026.6.0",
    "2026.7.0",
    "2026.7.1",
    "2026.8.0",
]
UNSUPPORTED = "2024.7.1"

#: The first one names what upstream has moved; the others show whether we still work.
TESTS = [
    "tests/test_compat.py",
    "tests/test_versions.py",
    "tests/test_scheduler.py",
    "tests/test_scheduler_records.py",
    "tests/test_scheduler_settings.py",
    "tests/test_preload.py",
    "tests/test_cluster.py",
    "tests/deployment/test_deployment.py",
]

nox.options.default_venv_backend = "venv"


@nox.session
@nox.parametrize("distributed", RELEASES)
def upstream(session: nox.Session, distributed: str) -> None:
    """Run the tests, or those that are named, with a release of distributed."""
    pins = [f"dask=={distributed}", f"distributed=={distributed}"]
    if distributed < "2026":
        pins.append("bokeh==3.5.2")  # its templates move
    session.install(".[test]", "asyncssh", *pins)
    session.run("pytest", *(session.posargs or TESTS))


@nox.session(python=["3.12", "3.13"])
def pythons(session: nox.Session) -> None:
    """Run the tests, or those that are named, with a Python that the gate lacks."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def unsupported(session: nox.Session) -> None:
    """An older release is refused with the range."""
    session.install(".")
    session.install(f"dask=={UNSUPPORTED}", f"distributed=={UNSUPPORTED}", "--no-deps")
    error = session.run(
        "python", "-c", "import leandask", success_codes=[1], silent=True
    )
    if not str(error).strip().endswith(f"; got {UNSUPPORTED}"):
        session.error(f"expected the supported range; got {error}")


@nox.session
def nightly(session: nox.Session) -> None:
    """Run the tests that take minutes: the soak, the floods and the benchmarks."""
    session.install(".[test,benchmarks]")
    # One at a time: they measure.
    session.run("pytest", "-n0", "-m", "nightly", *(session.posargs or ["tests"]))
