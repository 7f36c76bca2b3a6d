"""The public names of the package."""

from __future__ import annotations

import ast
from pathlib import Path

import leandask


def test_all_lists_of_the_public_names_agree():
    assert leandask.__all__ == sorted(leandask.__all__)
    assert set(leandask.__all__) == set(leandask._MODULES)
    tree = ast.parse(Path(leandask.__file__).read_text())
    [typed] = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(typed.test) == "TYPE_CHECKING"
    assert {alias.name: node.module for node in typed.body for alias in node.names} == {
        name: f"leandask.{module}" for name, module in leandask._MODULES.items()
    }


def test_each_public_name_can_be_imported():
    for name in leandask.__all__:
        assert getattr(leandask, name).__name__ == name
