from __future__ import annotations

import subprocess
import sys

import pytest

from leandask.cli.start import deferred


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_the_command_does_not_import_numpy_which_can_be_imported_later():
    assert run("""
import sys
from leandask.cli.start import deferred
with deferred("numpy"):
    import leandask.cli.scheduler
print("numpy" in sys.modules, "bokeh" in sys.modules, "pandas" in sys.modules)
import numpy
print(numpy.ones(3).sum())
from distributed.protocol.utils import host_array
buffer = host_array(1000)
buffer[:3] = b"abc"
print(bytes(buffer[:3]).decode(), buffer.nbytes, buffer.readonly)
""") == ["False", "False", "False", "3.0", "abc", "1000", "False"]


def test_importing_leandask_does_not_import_distributed_or_orjson():
    assert run("""
import sys
import leandask
print("distributed" in sys.modules, "orjson" in sys.modules)
from leandask import LeanScheduler, Retention
print(LeanScheduler.__name__, "LeanScheduler" in dir(leandask))
""") == ["False", "False", "LeanScheduler", "True"]


def test_reading_and_writing_logs_does_not_import_distributed():
    assert run("""
import sys
import leandask.cli.main
from leandask import JSONFormatter, LogReader, RotatingFileSink
print("distributed" in sys.modules, "numpy" in sys.modules)
""") == ["False", "False"]


def test_a_package_that_is_already_imported_is_not_deferred():
    before = sys.modules["json"]
    with deferred("json"):
        import json
    assert json is before
    with pytest.raises(ImportError), deferred("no_such_package"):
        import no_such_package  # noqa: F401
    assert "no_such_package" not in sys.modules


def test_an_unknown_attribute_of_the_package_is_an_error():
    import leandask

    with pytest.raises(AttributeError, match="'leandask' has no attribute 'Lean'"):
        leandask.Lean  # noqa: B018


def test_a_plug_in_of_another_package_can_import_numpy(tmp_path):
    (tmp_path / "needs_numpy.py").write_text("import numpy\n\ndef register(): pass\n")
    dist = tmp_path / "needs_numpy-1.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Name: needs-numpy\nVersion: 1\n")
    (dist / "entry_points.txt").write_text(
        "[dask.sizeof]\nneeds = needs_numpy:register\n"
    )
    assert (
        run(f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
sys.argv[1:] = ["--version"]
from leandask.cli.start import main
try:
    main()
finally:
    print("needs_numpy" in sys.modules)
""")[-1]
        == "True"
    )


def test_the_command_loads_no_module_before_it_is_used():
    """Lazy modules are in sys.modules, and are loaded at the first access to a name."""
    assert run("""
import sys
sys.argv[1:] = ["--help"]
sys.stdout = open("/dev/null", "w")
from leandask.cli import start
try:
    start.main()
except SystemExit:
    sys.stdout = sys.__stdout__
print(*(type(sys.modules[name]) is start.LazyModule for name in start.LAZY))
print(*(name in sys.modules for name in (
    "leandask.eventlog.eventlog", "leandask.eventlog.formatter",
    "leandask.reading", "leandask.serving.report", "leandask.serving.history.answers",
)))
import curses, orjson, xml.etree.ElementTree
print(bool(curses.setupterm), orjson.dumps(1).decode())
print(xml.etree.ElementTree.fromstring("<a/>").tag)
""") == ["True"] * 3 + ["False"] * 5 + ["True", "1", "a"]


def test_threads_wait_until_a_lazy_module_is_loaded(tmp_path):
    (tmp_path / "slow.py").write_text("import time; time.sleep(0.2); n = 1; m = 1")
    assert run(f"""
import sys, threading
from types import ModuleType
from leandask.cli.start import LazyModule, LazyModules
sys.path.insert(0, {str(tmp_path)!r})
with LazyModules("slow").installed():
    import slow
print(type(slow) is LazyModule)
found, both = [], threading.Barrier(2)
def look():
    both.wait()
    found.append(slow.n)
threads = [threading.Thread(target=look) for _ in range(2)]
for each in threads: each.start()
for each in threads: each.join()
print(found == [1, 1], type(slow) is ModuleType)
with LazyModules("colorsys").installed():
    import colorsys
colorsys.hls_to_rgb = 5
print(colorsys.hls_to_rgb, colorsys.__loader__ is colorsys.__spec__.loader)
""") == ["True", "True", "True", "5", "True"]
