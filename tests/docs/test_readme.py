"""The README: all of its commands and programs run, in their order."""

from __future__ import annotations

import re
import shutil

from tests.helpers.codeblocks import (
    Shell,
    assert_alike,
    blocks,
    commands,
    has_in_order,
    run_program,
)
from tests.helpers.paths import ROOT
from tests.helpers.processes import free_port, wait_for

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
GATE = (ROOT / ".ci" / "run").read_text()

#: Commands that the gate runs, in its own environments, and this test does not.
INSTALLS = ("python3 -m venv", "pip install")


def on_port(command, port):
    """A command that listens at a free port."""
    if command.startswith("leandask history"):
        return command.replace("&", f"--port={free_port()} --index=index.sqlite &")
    own = f"--host=127.0.0.1 --port={port} --dashboard-address=127.0.0.1:0"
    return re.sub("^leandask-scheduler", rf"\g<0> {own}", command)


def run_command(shell, command, shown, port):
    """Run a command, and compare its output."""
    if command.endswith(("&", "& done")):
        shell.run(on_port(command, port))
        # It keeps running, and writes more than is shown.
        wait_for(lambda: has_in_order(shell.err.read_text(), shown), timeout=60)
    else:
        assert_alike(shell.run(command), shown)


def test_everything_in_the_readme_runs_with_the_output_shown(tmp_path):
    port = free_port()  # 8786 may be in use
    skipped = INSTALLS if shutil.which("jq") else (*INSTALLS, "jq")
    with Shell(tmp_path) as shell:
        for language, block in blocks(README.replace("8786", str(port))):
            if language == "python":
                run_program(tmp_path, block)
                continue
            assert language == "console"
            for command, shown in commands(block):
                if not command.startswith(skipped):
                    run_command(shell, command, shown, port)
        # The scheduler that the README stops at the end of its first part closes.
        log = tmp_path / "events.jsonl"
        wait_for(lambda: '"dask.scheduler.stop"' in log.read_text())
    assert (tmp_path / "timeline.html").stat().st_size > 0


def test_the_gate_installs_and_tests_as_the_readme_says():
    found = {
        part
        for _, block in blocks(README + CONTRIBUTING)
        for command, _ in commands(block)
        if command.startswith(INSTALLS)
        for part in command.split(" && ")
    }
    assert {"pip install .", 'pip install ".[test]"', "pytest"} <= found
    for part in found:
        # Its environments have other names.
        part = part.replace(".venv", ".venv-ci")
        line = rf"^ *{re.escape(part)}$"
        assert re.search(line, GATE.replace(" --quiet", ""), flags=re.M), part
