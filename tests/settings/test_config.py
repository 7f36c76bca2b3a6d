from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dask
import jsonschema
import pytest
import yaml

import leandask
from leandask.settings import config

SCHEMA = yaml.safe_load(
    Path(config.__file__).with_name("leandask-schema.yaml").read_text()
)


def keys(mapping, below=""):
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield from keys(value, f"{below}{key}.")
        else:
            yield f"{below}{key}"


def schema_keys(schema, below=""):
    for key, value in schema["properties"].items():
        if "properties" in value:
            assert value["additionalProperties"] is False, key
            yield from schema_keys(value, f"{below}{key}.")
        else:
            assert value["description"], key
            yield f"{below}{key}"


def test_defaults_and_schema_have_the_same_keys():
    assert sorted(keys(config.defaults)) == sorted(schema_keys(SCHEMA))


def test_defaults_follow_the_schema_and_the_rules():
    jsonschema.validate(config.defaults, SCHEMA)
    config.check()


def test_every_setting_has_a_rule_and_every_bound_a_field():
    names = {key.removeprefix("leandask.") for key in keys(config.defaults)}
    bounds = {name for name in names if name.startswith("retention.")}
    assert names - bounds == set(config.RULES)
    fields = leandask.Retention.__dataclass_fields__.values()
    assert bounds == {f"retention.{field.metadata['name']}" for field in fields}


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("stream.queue-length", 0, "must be a whole number of at least 1; got 0"),
        ("stream.queue-length", True, "must be a whole number of at least 1; got True"),
        ("stream.queue-length", 2**63, f"at most {2**63 - 1}; got {2**63}"),
        ("stream.queue-bytes", "much", "must be a size of at least 1 bytes, such as"),
        ("stream.queue-bytes", True, "such as '16 MiB'; got True"),
        ("stream.queue-bytes", None, "such as '16 MiB'; got None"),
        ("stream.queue-bytes", "1e400", "'16 MiB'; got '1e400'"),
        ("stream.queue-bytes", "1e30", f"at most {2**63 - 1} bytes, such as '16 MiB'"),
        ("stream.queue-bytes", float("inf"), "such as '16 MiB'; got inf"),
        ("stream.queue-bytes", float("nan"), "such as '16 MiB'; got nan"),
        ("stream.record-bytes", 1023, "must be a size of at least 1024 bytes"),
        ("stream.close-timeout", "-1s", "must be a duration of at least 0 seconds"),
        ("housekeeping.interval", 0, "must be a duration of more than 0 seconds"),
        ("stream.close-timeout", "soon", "such as '500 ms'; got 'soon'"),
        ("stream.close-timeout", float("inf"), "such as '500 ms'; got inf"),
        ("stream.close-timeout", float("nan"), "such as '500 ms'; got nan"),
        ("stream.close-timeout", "1e400 s", "such as '500 ms'; got '1e400 s'"),
        pytest.param("stream.close-timeout", 10**400, "at most", id="beyond-floats"),
        ("stream.close-timeout", 1e10, "must be a duration of at most"),
        ("stream.block-timeout", None, "such as '500 ms'; got None"),
        ("stream.overflow", "wait", "must be one of drop, block; got 'wait'"),
        ("workers.log-level", "loud", "DEBUG, INFO, WARNING, ERROR, CRITICAL, or null"),
        ("workers.log-level", 30, "or null for off; got 30"),
        ("stream.fields", "gelf", "must be one of leandask, ecs, otel; got 'gelf'"),
        ("stream.transitions", "yes", "must be true or false; got 'yes'"),
        ("event-log.path", 5, "must be a path; got 5"),
        ("event-log.path", "", "must be a path; got ''"),
        ("event-log.path", Path("s3://b/x"), "not a URL; got PosixPath('s3:/b/x')"),
        ("event-log.path", "GS+x://", "must be a URL of a folder, such as s3://"),
        ("event-log.path", "s3://b/{pid}", "must be a URL without placeholders: each"),
        ("event-log.path", "s3://$NONE/x", "must be a URL whose environment variables"),
        ("event-log.archive", "/logs", "must be a URL of a folder, such as s3://"),
        ("event-log.archive", 5, "must be a URL, or null; got 5"),
        ("event-log.archive-bytes", "1 kB", "must be a size of at least 65536 bytes"),
        ("event-log.archive-folder", "s3://b", "a path on this machine and not"),
        ("event-log.archive-folder", 5, "must be a path; got 5"),
        ("run.name", 5, "must be a text, or null; got 5"),
        ("run.labels", "team", "must be a mapping of names to texts, or a text such"),
        ("run.labels", {"team": []}, "must be a mapping of names to texts, or a text"),
        ("run.labels", {"a": "x" * 201}, "must be at most 50 labels, with at most 200"),
        ("event-log.path", "logs/", "a file and not of a folder; got 'logs/'"),
        ("event-log.path", "a\0b", "must be a path without NUL; got 'a\\x00b'"),
        ("event-log.path", "~nobody-here/x", "whose ~ is the home folder of a user"),
        ("event-log.path", "$NOT_SET_HERE/x", "whose environment variables are set"),
        ("event-log.path", "${NOT_SET_HERE}/x", "whose environment variables are set"),
        ("event-log.path", "x.{pid}", "that does not end with a placeholder"),
        ("event-log.path", "x.{pid}.zst", "that does not end with a placeholder"),
        (
            "event-log.path",
            "{date}.jsonl",
            "or {start}, with {{ for a brace",
        ),
        ("event-log.path", "{}.jsonl", "whose placeholders are {scheduler_id}, {pid}"),
        ("event-log.path", "{pid:>9}.jsonl", "whose placeholders are"),
        ("event-log.path", "{pid!r}.jsonl", "whose placeholders are"),
        ("event-log.path", "a}.jsonl", "with {{ for a brace; got 'a}.jsonl'"),
        (
            "event-log.compression",
            "lz4",
            "must be one of auto, none, gzip, zstd; got 'lz4'",
        ),
        ("event-log.max-bytes", 0, "must be a size of at least 1 bytes"),
        ("event-log.max-bytes", "1e400", "or null for unbounded; got '1e400'"),
        ("event-log.backups", None, "must be a whole number of at least 0; got None"),
        ("event-log.backups", -1, "must be a whole number of at least 0; got -1"),
        ("strict", "yes", "must be true or false; got 'yes'"),
        ("event-log.compress", 1, "must be true or false; got 1"),
        ("event-log.flush-interval", [], "such as '500 ms'; got []"),
    ],
)
def test_a_bad_setting_is_refused_with_key_rule_and_value(
    key, value, error, monkeypatch
):
    monkeypatch.setenv("BUCKET", "s3://b")
    with dask.config.set({f"leandask.{key}": value}):
        with pytest.raises((TypeError, ValueError)) as info:
            config.check()
    assert str(info.value).startswith(f"leandask.{key} must be ")
    assert error in str(info.value)


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("stream.queue-bytes", "2 MiB", 2 * 2**20),
        ("stream.queue-bytes", 5000, 5000),
        ("event-log.flush-interval", "250 ms", 0.25),
        ("event-log.flush-interval", 0, 0.0),
        ("event-log.max-bytes", None, None),
        ("event-log.path", "~/x", os.path.expanduser("~/x")),
        ("event-log.path", "$HOME/${HOME}", os.path.expandvars("$HOME/$HOME")),
        ("event-log.path", "./s3:/x", "./s3:/x"),
        ("event-log.path", "./C:x", "./C:x"),
        ("event-log.path", None, None),
    ],
)
def test_sizes_durations_and_paths_are_converted(key, value, read):
    assert config.read(key, value) == read
    with dask.config.set({f"leandask.{key}": value}):
        assert config.read(key) == read


def test_defaults_hold_where_the_configuration_was_cleared():
    with dask.config.set({"leandask": {}}):
        assert config.read("stream.queue-length") == 40_000


@pytest.mark.parametrize("source", ["environment", "yaml"])
def test_bounds_come_from_the_environment_and_from_yaml(tmp_path, source):
    env = dict(os.environ)
    if source == "yaml":
        text = "leandask: {retention: {events: 50, transition-log: 7}}"
        (tmp_path / "own.yaml").write_text(text)
        env["DASK_CONFIG"] = str(tmp_path)
    else:
        env["DASK_LEANDASK__RETENTION__EVENTS"] = "50"
        env["DASK_LEANDASK__RETENTION__TRANSITION_LOG"] = "7"
    code = (
        "import json, leandask; r = leandask.Retention(); "
        "print(json.dumps([r.events, r.transition_log, r.topics]))"
    )
    out = subprocess.check_output([sys.executable, "-c", code], env=env)
    assert json.loads(out) == [50, 7, 1000]


def test_an_unknown_key_is_logged(caplog):
    given = {"leandask.event-log.pth": "x", "leandask.give_back.part": 0.5}
    with dask.config.set(given):
        config.check()
        assert not caplog.records
        config.warn_of_unknown_keys()
    [line] = [r.getMessage() for r in caplog.records if r.name == "leandask"]
    assert line == "leandask.event-log.pth is not a setting"
