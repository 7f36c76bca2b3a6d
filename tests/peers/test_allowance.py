from __future__ import annotations

from types import SimpleNamespace

from leandask.peers.allowance import Allowance


def test_each_source_has_a_burst_and_then_a_rate(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("leandask.peers.allowance.time", clock)
    now = 100.0
    allowance = Allowance(rate=2, burst=4)
    assert [allowance.acquire("a") for _ in range(6)] == [True] * 4 + [False] * 2
    assert allowance.acquire("b")
    now += 0.5
    assert [allowance.acquire("a") for _ in range(2)] == [True, False]
    now += 60
    assert [allowance.acquire("a") for _ in range(6)] == [True] * 4 + [False] * 2


def test_a_source_is_forgotten_when_it_has_its_whole_burst_again(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("leandask.peers.allowance.time", clock)
    now = 100.0
    allowance = Allowance(rate=1, burst=10)
    for source in "aab":
        allowance.acquire(source)
    assert repr(allowance) == "<Allowance: 10, then 1/s, 2 sources>"
    now += 1.5
    allowance.forget_idle()
    assert len(allowance) == 1  # "a" has used two
    now += 1
    allowance.forget_idle()
    assert len(allowance) == 0
