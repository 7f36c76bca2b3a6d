from __future__ import annotations

import pickle

from leandask.histories.lru import SCAN, Recent


class Held(Recent):
    def __init__(self, maxlen):
        super().__init__(maxlen=maxlen)
        self.held = set()

    def is_idle(self, key, value):
        return key not in self.held


def test_the_longest_unused_goes_first():
    recent = Recent([("a", 1), ("b", 2)], maxlen=2)
    recent["a"] = 3
    recent["c"] = 4
    assert dict(recent) == {"a": 3, "c": 4}
    assert repr(recent) == "<Recent: 2/2, 3 seen>"


def test_without_a_bound_all_stay():
    recent = Recent(maxlen=None)
    recent.update((i, i) for i in range(1000))
    assert len(recent) == 1000


def test_what_is_held_stays_beyond_the_bound_and_goes_once_it_is_not():
    recent = Held(maxlen=10)
    recent.held = set(range(100))
    for i in range(100):
        recent[i] = i
    assert len(recent) == 100
    recent.held = set()
    for i in range(100, 107):
        recent[i] = i
    assert len(recent) == 10
    assert 106 in recent


def test_the_newest_stays_where_all_others_are_held():
    recent = Held(maxlen=SCAN)
    recent.held = set(range(SCAN))
    for i in range(SCAN):
        recent[i] = i
    recent["new"] = 1
    assert "new" in recent


def test_it_is_pickled_as_a_dict():
    assert type(pickle.loads(pickle.dumps(Recent([("a", 1)])))) is dict
