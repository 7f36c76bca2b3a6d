from __future__ import annotations

import pickle

import numpy as np
import pytest
from distributed.protocol.serialize import pickle_dumps, pickle_loads

from leandask.guard.unpickling import LARGE, load


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_function_is_called_for_large_pieces_only(protocol):
    words = [str(number) for number in range(LARGE // 4)]
    pickled = pickle.dumps(words, protocol=protocol)
    assert len(pickled) > LARGE
    calls = []
    loaded = load({"writeable": ()}, [pickled], lambda: calls.append(1))
    assert loaded == words
    assert len(calls) < 10 * len(pickled) / 2**16
    assert calls or protocol < 4


def test_arrays_are_as_upstream_makes_them():
    is_read_only = np.ones(10)
    is_read_only.flags.writeable = False
    data = [np.ones(10), is_read_only, np.ones((4, 5), order="F"), "x" * LARGE]
    header, frames = pickle_dumps(data)
    frames = [bytes(frame) for frame in frames]
    ours = load(header, frames, lambda: None)
    upstreams = pickle_loads(header, frames)
    assert [str(a.flags) for a in ours[:3]] == [str(a.flags) for a in upstreams[:3]]
    assert ours[3] == data[3]
