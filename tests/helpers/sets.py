"""What holds of each class that stands for a set."""

from __future__ import annotations

import copy
import pickle
from collections.abc import MutableSet, Set

from distributed.utils import recursive_to_dict


def assert_copied_and_dumped_as_a_set(made_so, members):
    """Check that a set of these members is a plain one to whoever gets it."""
    for made in (
        copy.copy(made_so),
        copy.deepcopy(made_so),
        made_so.copy(),
        *(pickle.loads(pickle.dumps(made_so, protocol)) for protocol in range(6)),
    ):
        assert type(made) is set
        assert made == members
    assert repr(made_so) == repr(set(made_so))
    assert sorted(recursive_to_dict({"x": made_so})["x"]) == sorted(members)
    assert isinstance(made_so, Set)
    assert isinstance(made_so, MutableSet)
