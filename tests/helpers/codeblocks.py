"""Code blocks of the docs: run as a user runs them, and compared with their output."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess

from tests.helpers.processes import PYTHON, wait_for


def blocks(text):
    """Return the language and text of each code block."""
    return re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.M | re.S)


def commands(block):
    """Yield each command of a console block, with the lines shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, *shown = part.splitlines()
        yield command, shown


def shape(line):
    """Return a line without what differs between runs."""
    line = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.,]+", "TIME", line)
    line = re.sub(r"\w+://[\w.:]+", "ADDRESS", line)
    line = re.sub(r"\b\d+\.\d+\.\d+(rc\d+)?\b", "VERSION", line)
    line = re.sub(r"\b[0-9a-f]{32}\b", "HASH", line)
    line = re.sub(r"\b\d+\.\d+ (us|ms|s)\b", "DURATION", line)
    return re.sub(" +", " ", re.sub(r"\d+(\.\d+)?", "N", line))


def alike(line, shown):
    """Whether a line looks like the shown one, where … stands for any text."""
    return re.fullmatch(re.escape(shape(shown)).replace("…", ".*"), shape(line))


def assert_alike(text, shown):
    """Assert that a text has the shown lines, where … stands for more lines."""
    lines = text.splitlines()
    if shown[-1:] == ["…"]:
        shown = shown[:-1]
        assert len(lines) > len(shown), text
        lines = lines[: len(shown)]
    assert len(lines) == len(shown), text
    for line, expected in zip(lines, shown, strict=True):
        assert alike(line, expected), f"{line}\nis not like\n{expected}"


def has_in_order(text, shown):
    """Whether a text has lines like the shown ones, in this order."""
    lines = iter(text.splitlines())
    return all(any(alike(line, expected) for line in lines) for expected in shown)


class Shell(contextlib.AbstractContextManager):
    """A shell in a folder, with the programs of this environment first on its path."""

    def __init__(self, folder):
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.popen = subprocess.Popen(
                ["bash", "--norc"],
                cwd=folder,
                env=os.environ | {"PATH": f"{PYTHON.parent}:{os.environ['PATH']}"},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                text=True,
                start_new_session=True,
            )

    def __exit__(self, *exc_info):
        # Together with the processes that it started.
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.stdin.close()
        self.popen.wait()

    def run(self, command):
        """Run a command, and return what it wrote to stdout."""
        before = len(self.out.read_text())
        self.popen.stdin.write(f'{command}\necho "ended with $?"\n')
        self.popen.stdin.flush()
        end = re.compile(r"(.*?)ended with (\d+)\n", flags=re.S)
        found = wait_for(lambda: end.fullmatch(self.out.read_text()[before:]))
        assert found[2] == "0", f"{command}\n{self.err.read_text()}"
        return found[1]


def run_program(folder, text):
    """Run a program until it has printed the lines in its comments."""
    shown = re.findall(r"^ *# (.*)$", text, flags=re.M)
    out, err = folder / "program.out.txt", folder / "program.err.txt"
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(
            [PYTHON, "-u", "-c", text], cwd=folder, stdout=stdout, stderr=stderr
        )
    try:
        wait_for(
            lambda: (
                out.read_text().count("\n") == len(shown) or process.poll() is not None
            ),
            timeout=90,
        )
        assert_alike(out.read_text(), shown)
        if "finished()" in text:  # it runs until it is stopped
            process.terminate()
            assert process.wait(timeout=30) == -signal.SIGTERM
        else:
            assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
