"""The public names of the package."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import leandask
from tests.helpers.paths import ROOT


def test_all_lists_of_the_public_names_agree():
    assert leandask.__all__ == sorted(leandask.__all__)
    assert set(leandask.__all__) == set(leandask._MODULES)
    tree = ast.parse(Path(leandask.__file__).read_text())
    [typed] = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(typed.test) == "TYPE_CHECKING"
    assert {alias.name: node.module for node in typed.body for alias in node.names} == {
        name: f"leandask.{module}" for name, module in leandask._MODULES.items()
    }


def test_the_overview_names_each_folder():
    folders = {
        path.parent.name
        for path in Path(leandask.__file__).parent.glob("*/__init__.py")
        if not path.parent.name.startswith("_")
    }
    assert set(re.findall(r"``([a-z]+)``", leandask.__doc__)) - {"extension"} == folders


def test_each_public_name_can_be_imported():
    for name in leandask.__all__:
        assert getattr(leandask, name).__name__ == name


def test_upstreams_suite_gets_our_class_in_every_process():
    program = """if True:
        from distributed.deploy import local, spec
        from distributed.cli import dask_scheduler
        from distributed import Scheduler, scheduler, utils_test
        for module in (local, spec, dask_scheduler, scheduler, utils_test):
            assert module.Scheduler is Scheduler, module
        print(Scheduler)
    """
    path = os.pathsep.join([str(ROOT / "tests" / "upstream"), *sys.path])
    shown = subprocess.check_output(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path},
        text=True,
        timeout=60,
    )
    assert shown == f"{leandask.LeanScheduler}\n"
