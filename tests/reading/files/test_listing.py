from __future__ import annotations

import os
import socket

import pytest

from leandask import LogReader
from leandask.reading.files.listing import find_log, find_logs
from leandask.reading.files.logfiles import LogFiles, logs_at
from leandask.reading.filter import Filter
from leandask.reading.lastrecords import LastRecords
from tests.helpers.logs import lines, write


def read(path):
    return [record["seq"] for record in LogReader(path).records()]


def tail(path):
    last = LastRecords(Filter(), 10)
    last.read(logs_at(path))
    return [record["seq"] for record in last.records()]


@pytest.mark.parametrize("look", [read, tail])
def test_a_folder_is_listed_as_often_for_many_logs_as_for_one(
    tmp_path, monkeypatch, look
):
    listed, opened = [], []
    scandir, open_file = os.scandir, os.open

    def count_scandir(path):
        listed.append(path)
        return scandir(path)

    def count_open(path, *args):
        if path != tmp_path:  # it is held while it is listed
            opened.append(path)
        return open_file(path, *args)

    monkeypatch.setattr(os, "scandir", count_scandir)
    monkeypatch.setattr(os, "open", count_open)
    for i in range(300):
        write(tmp_path / f"{i}.jsonl", *lines(1, f"Scheduler-{i}"))
    assert len(look(tmp_path)) == (300 if look is read else 10)
    assert len(listed) == 2
    assert len(opened) <= 2 * 300  # once for its start, once to be read


def test_names_may_have_line_breaks(tmp_path):
    path = write(tmp_path / "lo\ng.jsonl", *lines(1, first=3))
    write(tmp_path / "lo\ng.jsonl.1", *lines(1, first=2))
    write(tmp_path / "lo\ng.jsonl.2", *lines(1))
    assert read(path) == read(tmp_path) == [1, 2, 3]


def test_files_with_a_number_in_two_forms_are_both_read(tmp_path):
    path = write(tmp_path / "log.jsonl", *lines(1, first=3))
    write(tmp_path / "log.jsonl.1", *lines(1, first=2))
    write(tmp_path / "log.jsonl-1", *lines(1))
    assert read(path) == [1, 2, 3]


def test_only_regular_files_are_listed(tmp_path):
    path = write(tmp_path / "log.jsonl", *lines(1))
    os.mkfifo(tmp_path / "log.jsonl.1")
    (tmp_path / "log.jsonl.2").mkdir()
    (tmp_path / "log.jsonl.3").symlink_to("..")
    (tmp_path / "log.jsonl.4").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "log.jsonl.5"))
    if os.geteuid() == 0:  # a node of our own: reading it gives zeros for ever
        os.mknod(tmp_path / "log.jsonl.6", 0o20600, os.makedev(1, 5))
    (tmp_path / "log.jsonl.7").symlink_to("log.jsonl.8")
    write(tmp_path / "log.jsonl.8", *lines(1))
    found = [file.path.name for file in find_log(path).files]
    assert found == ["log.jsonl.8", "log.jsonl.7", "log.jsonl"]
    assert [log.base for log in find_logs(tmp_path)] == [path]


def test_a_file_that_is_replaced_by_a_fifo_is_not_waited_for(tmp_path):
    path = write(tmp_path / "log.jsonl", *lines(1))
    log = find_log(path)
    path.unlink()
    os.mkfifo(path)
    with LogFiles.of(log) as files:
        assert "must be a regular file" in str(files.error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any folder")
def test_a_file_in_a_folder_that_can_not_be_listed_is_read(tmp_path):
    path = write(tmp_path / "log.jsonl", *lines(1))
    tmp_path.chmod(0o100)
    try:
        reader = LogReader(path)
        assert [record["seq"] for record in reader.records()] == [1]
        assert reader.problems.counts["unreadable"] == 1
    finally:
        tmp_path.chmod(0o700)


def test_a_file_that_is_renamed_while_its_folder_is_listed_is_found(
    tmp_path, monkeypatch
):
    path = write(tmp_path / "log.jsonl", *lines(1, first=2))
    oldest = write(tmp_path / "log.jsonl.1", *lines(1))
    scandir = os.scandir
    away = tmp_path / "moved"

    def rename_once(folder):
        if oldest.exists() and not away.exists():
            oldest.rename(away)
            entries = scandir(folder)
            away.rename(oldest)
            away.symlink_to("nowhere")
            return entries
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", rename_once)
    assert [file.path for file in find_log(path).files] == [oldest, path]
