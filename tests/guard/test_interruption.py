from __future__ import annotations

import gc
import importlib
import sys
import threading

import pytest

from leandask.guard.interruption import Interrupted, Interruption


@pytest.fixture(autouse=True)
def no_hook(monkeypatch):
    """Show no exception that was lost where Python raises none: it is sent again."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


#: Of a module that is imported.
has_begun, may_end = threading.Event(), threading.Event()


class Work:
    """A function in a thread, which goes on until it is interrupted."""

    def __init__(self, function):
        self.interruption = Interruption()
        self.has_begun = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self._run, args=(function,))
        self.thread.start()
        self.has_begun.wait()

    def _run(self, function):
        try:
            self.interruption.run(lambda: function(self.has_begun))
        except BaseException as e:
            self.error = e
        self.is_intact = sum(range(100_000)) > 0  # nothing is raised here

    def interrupt(self):
        while self.thread.is_alive():
            self.interruption.interrupt()
            self.thread.join(0.001)


def spin(has_begun):
    has_begun.set()
    while True:
        pass


def swallow(has_begun):
    while True:
        try:
            spin(has_begun)
        except Exception:
            pass


def collect(has_begun):
    """Spend the time in callbacks, where an exception is lost."""
    has_begun.set()
    while True:
        gc.collect(0)


def convert(has_begun):
    try:
        spin(has_begun)
    except BaseException as e:
        raise ValueError("out of place") from e


@pytest.mark.parametrize("function", [spin, swallow, collect, convert])
def test_a_function_is_interrupted_and_what_follows_is_not(function):
    for _ in range(20):
        work = Work(function)
        work.interrupt()
        assert isinstance(work.error, Interrupted)
        assert work.is_intact


def test_an_import_is_not_interrupted(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = "import_that_lasts"
    (tmp_path / f"{module}.py").write_text(
        "from tests.guard.test_interruption import has_begun, may_end\n"
        "has_begun.set(), may_end.wait()\n"
    )

    def load(event):
        event.set()
        importlib.import_module(module)
        spin(event)

    work = Work(load)
    has_begun.wait()
    work.interruption.interrupt()
    may_end.set()
    work.interrupt()
    assert isinstance(work.error, Interrupted)
    assert module in sys.modules


def test_a_function_that_has_ended_is_not_interrupted():
    interruption = Interruption()
    assert interruption.run(lambda: 1) == 1
    interruption.interrupt()
    assert sum(range(100_000)) > 0
    with pytest.raises(ZeroDivisionError):
        interruption.run(lambda: 1 // 0)


def test_after_an_interruption_at_the_begin_of_the_end_nothing_is_interrupted():
    class AtTheEnd(Interruption):
        n_ends = 0

        def _end(self):
            self.n_ends += 1
            if self.n_ends == 1:
                self._is_sent = True
                raise Interrupted
            super()._end()

    interruption = AtTheEnd()
    with pytest.raises(Interrupted):
        interruption.run(lambda: 1)
    interruption.interrupt()
    assert sum(range(100_000)) > 0


def test_interrupting_at_the_end_raises_in_it_or_not_at_all():
    outcomes = set()
    for count in range(300):
        work = Work(lambda event, n=count: (event.set(), sum(range(n * 10))))
        work.interruption.interrupt()
        work.thread.join()
        assert work.is_intact
        outcomes.add(type(work.error))
    assert outcomes <= {Interrupted, type(None)}
