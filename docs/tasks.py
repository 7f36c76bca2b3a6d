"""Which functions of the installed distributed change the sets of a task.

``python docs/tasks.py`` prints them, as the table of docs/tasks.md has them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: The sets of a task.
SETS = ("dependencies", "dependents", "waiting_on", "waiters", "who_wants", "who_has")
#: Methods that change a set.
METHODS = {
    *("add", "clear", "discard", "remove", "pop", "update", "difference_update"),
    *("intersection_update", "symmetric_difference_update"),
}
#: The worker has tasks of another class, and the tests are not the scheduler's.
ELSEWHERE = {"worker.py", "worker_state_machine.py"}


class Change(NamedTuple):
    """A place that changes a set of a task."""

    file: str
    function: str
    attribute: str
    #: A method, or ``=`` where the attribute gets another object.
    how: str
    line: int


def changes(package: Path) -> Iterator[Change]:
    """Yield what a package changes, file by file."""
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package).as_posix()
        if file in ELSEWHERE or "tests" in path.relative_to(package).parts:
            continue
        text = path.read_text("utf-8")
        if any(name in text for name in SETS):
            yield from _Finder(file).find(ast.parse(text))


class _Finder(ast.NodeVisitor):
    def __init__(self, file: str) -> None:
        self.file = file
        self.names: list[str] = []  # of the classes and functions around
        self.aliases: dict[str, str] = {}  # variables that hold a set
        self.found: list[Change] = []

    def find(self, module: ast.Module) -> list[Change]:
        self.visit(module)
        return self.found

    def _enter(
        self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    ) -> None:
        self.names.append(node.name)
        aliases, self.aliases = self.aliases, {}
        self.generic_visit(node)
        self.names.pop()
        self.aliases = aliases

    visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _enter

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._note(self._set_of(node.target), "=", node)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                self._note(self._set_of(target), "=", node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            self._note(self._set_of(node.func.value), node.func.attr, node)
        self.generic_visit(node)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self._assign(part, ast.Constant(None))
        elif isinstance(target, ast.Attribute):
            self._note(self._set_of(target), "=", target)
        elif isinstance(target, ast.Name):
            self.aliases.pop(target.id, None)
            if (name := self._set_of(value)) is not None:
                self.aliases[target.id] = name

    def _set_of(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id)
        if not isinstance(node, ast.Attribute) or node.attr not in SETS:
            return None
        owner = node.value
        is_group = getattr(owner, "attr", "") == "group" or "TaskGroup" in self.names
        return None if is_group else node.attr

    def _note(self, attribute: str | None, how: str, node: ast.AST) -> None:
        if attribute is not None:
            line: int = node.lineno  # type: ignore[attr-defined]
            function = ".".join(self.names)
            self.found.append(Change(self.file, function, attribute, how, line))


if __name__ == "__main__":
    import distributed

    for change in changes(Path(distributed.__file__).parent):
        print(*change, sep=" | ")
