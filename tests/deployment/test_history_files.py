"""The files of docs/deploy for the history, as far as they can be checked here."""

from __future__ import annotations

import re

import pytest
import yaml

from leandask.cli.history import history
from tests.helpers.deployfiles import (
    assert_passes_hadolint,
    validate_for_kubernetes,
)
from tests.helpers.paths import ROOT

DEPLOY = ROOT / "docs" / "deploy"
DOCKERFILE = DEPLOY / "history.Dockerfile"
DEPLOYMENT, SERVICE = yaml.safe_load_all((DEPLOY / "history.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
COMPOSE = yaml.safe_load((DEPLOY / "history-compose.yaml").read_text())
COMPOSED = COMPOSE["services"]["history"]


def commands():
    """The command of each of the files."""
    [command] = re.findall(r"^CMD (.*)$", DOCKERFILE.read_text(), flags=re.M)
    return [yaml.safe_load(command), CONTAINER["args"], COMPOSED["command"]]


@pytest.mark.parametrize("command", commands())
def test_the_commands_are_valid(command):
    assert command[:2] == ["leandask", "history"]
    # The password is a file of the container.
    args = [arg for arg in command[2:] if not arg.startswith("--password-file")]
    params = history.make_context("history", args).params
    assert params["roots"] == ("/logs",) and params["host"] == "0.0.0.0"
    assert str(params["index"]) == "/cache/runs.sqlite"


def test_images_are_pinned_and_run_as_a_user():
    text = DOCKERFILE.read_text()
    images = [CONTAINER["image"], COMPOSED["image"]]
    images += re.findall(r"^FROM (\S+)", text, flags=re.M)
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+", image), image
    user = re.findall(r"^USER (\d+):\d+$", text, flags=re.M)
    assert int(user[-1]) == POD["securityContext"]["runAsUser"] > 0


def test_the_dockerfile_passes_hadolint():
    assert_passes_hadolint(DOCKERFILE)


def test_the_manifests_are_valid_for_kubernetes():
    validate_for_kubernetes(DEPLOYMENT, SERVICE)


def test_the_container_has_limits_and_no_privileges():
    assert POD["securityContext"]["runAsNonRoot"] is True
    resources = CONTAINER["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    assert CONTAINER["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    volumes = {volume["name"] for volume in POD["volumes"]}
    mounts = {m["name"]: m for m in CONTAINER["volumeMounts"]}
    assert {*mounts} == volumes and mounts["logs"]["readOnly"] is True
    assert COMPOSED["read_only"] is True and COMPOSED["cap_drop"] == ["ALL"]
    assert COMPOSED["ports"] == ["127.0.0.1:18080:18080"]


def test_the_probes_and_the_service_have_the_port():
    [port] = CONTAINER["ports"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = CONTAINER[probe]["httpGet"]
        assert asked == {"path": "/health", "port": port["name"]}
    assert SERVICE["spec"]["ports"][0]["targetPort"] == port["name"]
    assert SERVICE["spec"]["selector"] == DEPLOYMENT["spec"]["selector"]["matchLabels"]
