from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

from leandask.settings import memorylimit
from leandask.settings.memorylimit import (
    as_limit,
    cgroup_folders,
    count_oom_kills,
    find_limit,
    get_limit,
)

KEY = "leandask.memory.limit"


@pytest.mark.parametrize(
    "value, expected",
    [(None, None), ("auto", "auto"), ("1 GiB", 2**30), (4096, 4096), (0.5, 0.5)],
)
def test_a_limit_is_auto_a_size_a_part_or_none(value, expected):
    assert as_limit(KEY, value) == expected


@pytest.mark.parametrize("value", [True, 0, -1, 0.0, 1.5, "much", [], "0.5 parts"])
def test_anything_else_is_refused_by_its_key(value):
    with pytest.raises(ValueError, match=re.escape(f"{KEY} must be auto, a size")):
        as_limit(KEY, value)


def test_a_part_is_one_of_what_is_found():
    found = find_limit()
    half = get_limit(0.5)
    assert half.nbytes == found.nbytes // 2
    assert half.source == f"0.5 of {found.source}"
    assert get_limit("auto") == found
    assert get_limit(None) is None
    assert get_limit(1024) == (1024, KEY)
    assert found.nbytes <= psutil.virtual_memory().total


@pytest.fixture
def make_group(tmp_path, monkeypatch):
    """A function that makes a file of a control group of this process."""

    def make(line, name, text):
        monkeypatch.setattr(memorylimit, "CGROUPS", tmp_path / "cgroup")
        monkeypatch.setattr(memorylimit, "OWN_GROUPS", tmp_path / "own")
        (tmp_path / "own").write_text(line)
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return make


@pytest.mark.parametrize(
    "line, name",
    [
        ("0::/system.slice/dask.service\n", "system.slice/dask.service/memory.max"),
        ("0::/system.slice/dask.service\n", "system.slice/memory.high"),
        ("0::/\n", "memory.max"),
        ("5:cpu:/x\n4:hugetlb,memory:/pod/a\n", "memory/pod/memory.limit_in_bytes"),
        ("4:memory:/\n0::/\n", "memory/memory.limit_in_bytes"),
    ],
)
def test_the_smallest_limit_of_a_control_group_and_those_above_is_found(
    line, name, make_group
):
    file = make_group(line, name, "33554432\n")
    make_group(line, name.replace(file.name, "other"), "1\n")
    assert find_limit() == (33554432, str(file))
    file.write_text("max\n")
    assert find_limit().source == "RLIMIT_RSS or the machine"


@pytest.mark.parametrize(
    "line, name, text",
    [
        ("0::/pod\n", "pod/memory.events", "low 0\noom 3\noom_kill 2\n"),
        ("4:memory:/pod\n", "memory/pod/memory.oom_control", "under_oom 0\noom_kill 2"),
    ],
)
def test_kills_for_memory_are_counted_where_the_group_tells(
    line, name, text, make_group
):
    make_group(line, name, text)
    assert count_oom_kills() == 2
    make_group(line, name, "nothing")
    assert count_oom_kills() is None


def test_without_proc_there_are_no_groups(monkeypatch, tmp_path):
    monkeypatch.setattr(memorylimit, "OWN_GROUPS", tmp_path / "none")
    assert [*cgroup_folders()] == []
    assert count_oom_kills() is None


@pytest.mark.skipif(not Path("/sys/fs/cgroup").is_dir(), reason="no control groups")
def test_the_groups_of_this_process_exist():
    assert any(folder.is_dir() for folder in cgroup_folders())
