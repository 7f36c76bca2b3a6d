"""Tests with many supported releases of distributed and Python, and the long tests.

``nox`` runs all, ``nox --session "upstream(distributed='2025.12.0')"`` one of them. The
gate, ``.ci/run``, tests the oldest and the newest.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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

#: The first one names what upstream has moved; the others show what no longer works.
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

#: What upstream's own tests need besides Dask.
UPSTREAM_SUITE = [
    "aiohttp",
    "asyncssh",
    "cryptography",
    "ipykernel",
    "ipywidgets",
    "jinja2",
    "jsonschema",
    "pytest",
    "pytest-rerunfailures",
    "pytest-timeout",
    "pytest-xdist",
    "requests",
    "scipy",
    "zarr",
]

#: Suites of other projects that start schedulers: what each needs besides leandask, and
#: which of its tests those are, in its package or in a folder of its sources.
OTHERS = {
    "dask": (
        ["dask[complete]", "pytest-rerunfailures"],
        ["--pyargs", "dask.tests.test_distributed"],
    ),
    "xarray": (["xarray[complete]"], ["--pyargs", "xarray.tests.test_distributed"]),
    # It says itself that it does not work with dask 2025.3 and newer.
    "dask-ml": (
        [
            "bokeh==3.5.2",
            "dask-ml==2025.1.0",
            "dask[complete]==2025.2.0",
            "distributed==2025.2.0",
            "pandas<3",
            "pytest-mock",
            "scikit-learn<1.7",
        ],
        [
            "--override-ini=addopts=",
            "tests/feature_extraction/test_text.py",
            "tests/model_selection/dask_searchcv/test_model_selection.py",
            "tests/model_selection/test_hyperband.py",
            "tests/model_selection/test_incremental.py",
            "tests/model_selection/test_incremental_warns.py",
            "tests/model_selection/test_successive_halving.py",
            "tests/test_incremental.py",
            "tests/test_model_selection.py",
        ],
    ),
    "prefect-dask": (
        ["dask[complete]", "prefect-dask", "pytest-asyncio", "pytest-env"],
        ["tests"],
    ),
}

nox.options.default_venv_backend = "venv"


def run_theirs(
    session: nox.Session, scheduler: str, tests: list[str], *path: str
) -> None:
    """Run tests of others, with ``lean`` as in upstream_suite."""
    paths = [*path]
    if scheduler == "lean":
        paths.append(str(Path(__file__).parent / "tests" / "upstream"))
    session.run(
        "pytest",
        "--timeout-method=signal",
        *tests,
        env={"PYTHONPATH": os.pathsep.join(paths)},
    )


@nox.session
@nox.parametrize("distributed", RELEASES)
def upstream(session: nox.Session, distributed: str) -> None:
    """Run the tests, or those that are named, with a release of distributed."""
    pins = [f"dask=={distributed}", f"distributed=={distributed}"]
    if distributed < "2026":
        pins.append("bokeh==3.5.2")  # newer ones moved the templates that it imports
    session.install(".[test]", "asyncssh", *pins)
    session.run("pytest", *(session.posargs or TESTS))


@nox.session(python=["3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """Run the tests, or those that are named, with a Python that the gate lacks."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def uvloop(session: nox.Session) -> None:
    """Run the tests, or those that are named, on uvloop."""
    session.install(".[test,uvloop]")
    env = {"DASK_DISTRIBUTED__ADMIN__EVENT_LOOP": "uvloop"}
    session.run("pytest", *session.posargs, env=env)


@nox.session
def opentelemetry(session: nox.Session) -> None:
    """Test the records in the OpenTelemetry of a year ago; the gate has the newest."""
    tools = ["hypothesis", "pytest", "pytest-timeout", "pytest-xdist"]
    session.install(".", "opentelemetry-sdk==1.38.0", *tools)
    session.run("pytest", "-n0", "tests/records/test_opentelemetry.py")


@nox.session(default=False)
@nox.parametrize("scheduler", ["lean", "upstream"])
def upstream_suite(session: nox.Session, scheduler: str) -> None:
    """Run upstream's own tests with LeanScheduler in place of its class, or without.

    ``nox --session upstream_suite -- CHECKOUT``, and then tests or options for pytest.
    CHECKOUT is a clone of dask/distributed at the newest release, which has no tests.
    """
    if not session.posargs:
        session.error("name the folder of a clone of dask/distributed")
    checkout, *args = session.posargs
    session.install(".[dashboard,metrics]", "dask[complete]", *UPSTREAM_SUITE)
    find = "import distributed; print(*distributed.__path__)"
    installed = str(session.run("python", "-c", find, silent=True)).strip()
    # The tests are imported as parts of the package: it gets them here.
    merged = Path(session.create_tmp()).absolute() / "merged"
    no_git = shutil.ignore_patterns(".git")
    shutil.copytree(checkout, merged, ignore=no_git, dirs_exist_ok=True)
    shutil.copytree(installed, merged / "distributed", dirs_exist_ok=True)
    session.chdir(merged)
    run_theirs(session, scheduler, args or ["distributed"], str(merged))


@nox.session(default=False)
@nox.parametrize("scheduler", ["lean", "upstream"])
@nox.parametrize("suite", [*OTHERS])
def others(session: nox.Session, suite: str, scheduler: str) -> None:
    """Run tests of a project that uses Dask, with LeanScheduler or upstream's.

    ``nox --session "others(suite='xarray', scheduler='lean')"``, and then options for
    pytest. dask-ml and prefect-dask have no tests in their wheels: ``-- SOURCES`` names
    the folder of a clone or of an unpacked sdist.
    """
    packages, tests = OTHERS[suite]
    sources, args = "", [*session.posargs]
    if "--pyargs" not in tests:
        if not args:
            session.error(f"name the folder of the sources of {suite}")
        sources, *args = args
    tools = ["pytest", "pytest-timeout"]
    session.install(".[dashboard,metrics]", *tools, *packages)
    folder = Path(session.create_tmp()).absolute()
    if sources:  # only the tests: the package itself is the installed one
        shutil.copytree(Path(sources, "tests"), folder / "tests", dirs_exist_ok=True)
        shutil.copy(Path(sources, "pyproject.toml"), folder)
    else:
        Path(folder, "pytest.ini").touch()  # or pytest takes ours, and our fixtures
    session.chdir(folder)
    run_theirs(session, scheduler, ["--timeout=300", *tests, *args])


@nox.session
def package(session: nox.Session) -> None:
    """Make the sdist and the wheel, check both, and run the README with each."""
    dist = Path(session.create_tmp()).absolute()
    session.install("build", "check-wheel-contents", "twine")
    session.run("python", "-m", "build", f"--outdir={dist}")
    [sdist], [wheel] = dist.glob("*.tar.gz"), dist.glob("*.whl")
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    session.run("check-wheel-contents", str(wheel))
    session.run("python", ".ci/contents.py", str(dist))
    # The tests of the sdist; the package is the one that is installed.
    shutil.unpack_archive(sdist, dist, filter="data")
    [tests] = dist.glob("leandask-*/")
    shutil.rmtree(tests / "leandask")
    session.chdir(tests)
    session.install(f"leandask[test] @ {wheel.as_uri()}")
    session.run("pytest", "-n0", "tests/docs/test_readme.py")
    session.install("--force-reinstall", "--no-deps", str(sdist))
    session.run("pytest", "-n0", "tests/docs/test_readme.py")


@nox.session
def unsupported(session: nox.Session) -> None:
    """Check that an older release is refused with the supported range."""
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
