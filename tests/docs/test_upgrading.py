"""What docs/upgrading.md says of the way here and from one release to the next."""

from __future__ import annotations

import re

import dask.config
import pytest
import yaml
from distributed import Client
from distributed.config import defaults as upstream_defaults

from leandask import Retention, _versions
from leandask.settings import config
from tests.helpers.codeblocks import Shell, assert_alike, blocks, commands
from tests.helpers.paths import ROOT
from tests.helpers.processes import PYTHON, Process, wait_for

PAGE = (ROOT / "docs" / "upgrading.md").read_text()

#: A worker of one process, in an environment that looks as if it had no leandask.
WORKER = (
    "import sys; sys.modules['leandask'] = None; "
    "from distributed.cli.dask_worker import main; main()"
)


def of(language):
    return [text for name, text in blocks(PAGE) if name == language]


def test_the_bounds_for_as_much_as_upstream_keeps_are_upstreams():
    [text] = of("yaml")
    bounds = Retention.of(yaml.safe_load(text)["leandask"]["retention"])
    assert bounds.effective() == bounds
    for field in bounds.__dataclass_fields__.values():
        if field.name == "messages":
            continue  # nothing reads them
        if keys := field.metadata["upstream"]:
            theirs = [dask.config.get(k, config=upstream_defaults) for k in keys]
            assert getattr(bounds, field.name) == max(theirs), field.name


def test_an_old_release_is_refused_as_shown():
    [text] = of("text")
    kind, message = text.strip().split(": ", 1)
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$") as info:
        _versions.check_version(message.split()[-1])
    assert type(info.value).__name__ == kind


def test_its_commands(tmp_path):
    version, tests = (c for block in of("console") for c in commands(block))
    with Shell(tmp_path) as shell:
        assert_alike(shell.run(version[0]), version[1])
    program, file = tests[0].split()
    assert program == "pytest"
    assert (ROOT / file).exists()


def test_the_size_of_the_event_log():
    size, backups = config.read("event-log.max-bytes"), config.read("event-log.backups")
    [mebibytes] = re.findall(r"(\d+) MiB by default", PAGE)
    assert int(mebibytes) * 2**20 == size * (backups + 1)


def test_workers_and_clients_need_no_leandask_and_end_with_the_scheduler(
    start, tmp_path
):
    scheduler, file = start()
    options = ("--no-nanny", "--nthreads=1", "--host=127.0.0.1", "--no-dashboard")
    command = (PYTHON, "-c", WORKER, f"--scheduler-file={file}", *options)
    with (
        Process(tmp_path, "worker", *command) as worker,
        Client(scheduler_file=str(file)) as client,
    ):
        future = client.submit(sum, [1, 2, 3])
        assert future.result(timeout=60) == 6
        assert client.scheduler_info()["type"] == "LeanScheduler"
        assert scheduler.stop() == 0
        assert worker.popen.wait(timeout=60) == 0
        wait_for(lambda: future.status == "cancelled")
