"""A release of distributed that is not supported is refused, with the range."""

from __future__ import annotations

import os
import re
import subprocess

import distributed
import pytest
from packaging.version import Version

from leandask import _versions
from tests.helpers.paths import ROOT
from tests.helpers.processes import COMMAND, LOOPBACK, PYTHON

UPSTREAM = [PYTHON, "-m", "distributed.cli.dask_scheduler"]
REFUSAL = "ImportError: leandask needs distributed >= 2024.8.0; got 2023.1.0"


def test_the_installed_release_is_supported():
    _versions.check_version()
    _versions.check_version(distributed.__version__)


def test_an_old_release_is_refused_with_the_range():
    with pytest.raises(ImportError, match=r"needs distributed >= 2024\.8\.0; got 2024"):
        _versions.check_version("2024.7.1")


def test_nox_and_the_gate_start_at_the_oldest_release():
    releases = re.findall(r'"(\d{4}\.\d+\.\d+)"', (ROOT / "noxfile.py").read_text())
    *supported, refused = releases
    assert supported[0] == _versions.OLDEST
    assert supported == sorted(supported, key=Version)
    with pytest.raises(ImportError):
        _versions.check_version(refused)
    pins = (ROOT / ".ci" / "oldest.txt").read_text()
    assert f"distributed=={_versions.OLDEST}" in pins
    requirements = (ROOT / "pyproject.toml").read_text()
    assert f'"distributed>={_versions.OLDEST}"' in requirements


@pytest.fixture
def old_release(tmp_path):
    """Environment that looks as if an old release were installed."""
    folder = tmp_path / "distributed-2023.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: distributed\nVersion: 2023.1.0\n"
    )
    return os.environ | {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize(
    "command",
    [
        [PYTHON, "-c", "import leandask"],
        [COMMAND, *LOOPBACK],
        [*UPSTREAM, *LOOPBACK, "--preload=leandask.preload"],
    ],
    ids=["import", "command", "preload"],
)
def test_an_old_release_stops_every_command_that_imports_leandask(command, old_release):
    done = subprocess.run(
        command, env=old_release, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == REFUSAL


def test_an_old_release_stops_a_scheduler_that_has_the_preload_in_its_environment(
    old_release,
):
    old_release["DASK_DISTRIBUTED__SCHEDULER__PRELOAD"] = "leandask.preload"
    done = subprocess.run(
        [*UPSTREAM, *LOOPBACK],
        env=old_release,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert REFUSAL in done.stderr
