from __future__ import annotations

from distributed import Worker
from distributed.diagnostics.plugin import SchedulerUploadFile
from distributed.utils_test import gen_test

from leandask.housekeeping.uploads import forget_uploads
from tests.helpers.schedulers import lean, lean_cluster


def contents(s):
    plugins = s.plugins.values()
    return [p.data for p in plugins if isinstance(p, SchedulerUploadFile)]


@gen_test()
async def test_of_files_that_clients_uploaded_no_contents_stay(tmp_path):
    file = tmp_path / "uploaded.txt"
    async with lean_cluster() as (s, c):
        for text in (b"first" * 1000, b"second" * 10_000):
            file.write_bytes(text)
            await c.upload_file(str(file), load=False)
        names = list(s.plugins)
        await s.extensions["leandask"].housekeeping.run()
        assert contents(s) == [b"", b""]
        assert list(s.plugins) == names
        await c.restart(wait_for_workers=False)
        # Workers that come later get it from a plugin of their own.
        async with Worker(s.address, dashboard=False) as late:
            for server in (s, late):
                with open(f"{server.local_directory}/{file.name}", "rb") as copied:
                    assert copied.read() == text


@gen_test()
async def test_a_file_that_the_scheduler_is_given_is_written_once_it_starts(tmp_path):
    file = tmp_path / "given.txt"
    file.write_bytes(b"given")
    given = SchedulerUploadFile(str(file), load=False)
    for _ in range(2):  # as two clusters with the same plugins
        s = lean(plugins=[given])
        forget_uploads(s)
        async with s:
            forget_uploads(s)
            assert contents(s) == [b""]
            with open(f"{s.local_directory}/{file.name}", "rb") as copied:
                assert copied.read() == b"given"


@gen_test()
async def test_a_plugin_of_the_users_own_keeps_what_it_has(tmp_path):
    class Mine(SchedulerUploadFile):
        pass

    file = tmp_path / "mine.txt"
    file.write_bytes(b"mine")
    async with lean(plugins=[Mine(str(file), load=False)]) as s:
        forget_uploads(s)
        assert contents(s) == [b"mine"]
