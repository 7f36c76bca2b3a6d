"""Files of docs/deploy, as the tools that take them judge them."""

from __future__ import annotations

import subprocess

import pytest

from tests.helpers.processes import PYTHON


def assert_passes_hadolint(dockerfile):
    """Assert that a linter of Dockerfiles has no remark, if it is installed."""
    program = PYTHON.with_name("hadolint")
    if not program.exists():
        pytest.skip("hadolint is not installed")
    done = subprocess.run([program, dockerfile], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def validate_for_kubernetes(*documents):
    """Raise if a manifest is not valid for the newest Kubernetes that is known."""
    validate = pytest.importorskip("kubernetes_validate")
    for document in documents:
        validate.validate(document, validate.latest_version(), strict=True)
