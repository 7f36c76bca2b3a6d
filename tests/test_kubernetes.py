from __future__ import annotations

import sys

import pytest

from leandask.cli.scheduler import main
from leandask.kubernetes import lean_args, lean_cluster_spec


@pytest.mark.parametrize("command", [["dask-scheduler"], ["dask", "scheduler"]])
def test_the_arguments_of_the_command_are_kept(command):
    following = ["--host", "0.0.0.0", "--jupyter"]
    assert lean_args([*command, *following]) == ["leandask-scheduler", *following]


@pytest.mark.parametrize("args", [[], ["dask"], ["dask", "worker"], ["sh", "-c", "x"]])
def test_another_command_than_upstreams_is_refused(args):
    with pytest.raises(ValueError, match="args of the scheduler must start with dask-"):
        lean_args(args)


def test_without_dask_kubernetes_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", None)
    with pytest.raises(ImportError, match="needs dask-kubernetes: pip install dask-k"):
        lean_cluster_spec("mine")


@pytest.mark.parametrize("jupyter", [False, True])
def test_only_the_command_differs_from_upstreams_spec(jupyter):
    operator = pytest.importorskip("dask_kubernetes.operator")
    given = {
        "image": "leandask:1.0.0rc1",
        "n_workers": 2,
        "env": {"DASK_LEANDASK__RETENTION__EVENTS": "50"},
        "resources": {"limits": {"memory": "1Gi"}},
        "jupyter": jupyter,
    }
    ours = lean_cluster_spec("mine", **given)
    theirs = operator.make_cluster_spec("mine", **given)
    [container] = ours["spec"]["scheduler"]["spec"]["containers"]
    [other] = theirs["spec"]["scheduler"]["spec"]["containers"]
    command, *following = container["args"]
    assert command == "leandask-scheduler"
    assert following == other["args"][1:]
    assert ("--jupyter" in following) is jupyter
    assert main.make_context(command, following).params["host"] == "0.0.0.0"

    other["args"] = container["args"]
    assert ours == theirs


def test_the_spec_is_valid_for_kubernetes():
    pytest.importorskip("dask_kubernetes.operator")
    validate = pytest.importorskip("kubernetes_validate")
    spec = lean_cluster_spec("mine", env={}, resources={}, n_workers=1)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mine"},
        "spec": spec["spec"]["scheduler"]["spec"],
    }
    validate.validate(pod, validate.latest_version(), strict=True)
