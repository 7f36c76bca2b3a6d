"""Coverage-guided fuzzing from a msg to its line, with atheris.

Not part of the tests; ``pip install atheris`` and run ``python -m
tests.records.fuzz_payload -max_total_time=300``. A failure becomes a case of
``tests/records/test_payload.py`` or ``tests/eventlog/test_formatter.py``.
"""

from __future__ import annotations

import json
import sys

import atheris

with atheris.instrument_imports(include=["leandask"]):
    from leandask.eventlog.formatter import JSONFormatter
    from leandask.records.factory import RecordFactory
    from leandask.records.payload import plain

FACTORY = RecordFactory("Scheduler-1")
FORMATTERS = [JSONFormatter(1024), JSONFormatter("16 KiB", fields="ecs")]


class Hostile:
    """An object whose repr is anything."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        if self.text.startswith("!"):
            raise ValueError(self.text)
        return self.text


def build(data: atheris.FuzzedDataProvider, depth: int) -> object:
    """Make any msg from the bytes of the fuzzer."""
    kind = data.ConsumeIntInRange(0, 12 if depth < 40 else 7)
    if kind == 0:
        return data.ConsumeUnicode(data.ConsumeIntInRange(0, 3000))
    if kind == 1:
        return data.ConsumeBytes(data.ConsumeIntInRange(0, 300))
    if kind == 2:
        return data.ConsumeInt(data.ConsumeIntInRange(1, 700))
    if kind == 3:
        return data.ConsumeFloat()
    if kind == 4:
        return data.ConsumeBool()
    if kind == 5:
        return None
    if kind == 6:
        return Hostile(data.ConsumeUnicode(100))
    if kind == 7:
        return ValueError(data.ConsumeUnicode(100))
    items = [build(data, depth + 1) for _ in range(data.ConsumeIntInRange(0, 4))]
    if kind == 8:
        return tuple(items)
    if kind == 9:
        items.append(items)
        return items
    if kind == 10:
        return {repr(type(i)): i for i in items}
    if kind == 11:
        return {name: i for name, i in zip(map(data.ConsumeUnicode, range(9)), items)}  # noqa: B905
    return {
        (n, str(i)[:9] if isinstance(i, str) else n): i for n, i in enumerate(items)
    }


def test_one_input(raw: bytes) -> None:
    """Check what is documented of every line."""
    data = atheris.FuzzedDataProvider(raw)
    limit = data.ConsumeIntInRange(0, 9000)
    topic = data.ConsumeUnicode(data.ConsumeIntInRange(0, 600))
    value, size, truncated = plain(build(data, 0), limit)
    assert 0 <= size <= limit
    json.dumps(value, allow_nan=False)
    record = FACTORY.event(1, (20, topic, 1.5, value, truncated))
    assert record[2]["message"].isprintable()
    for formatter in FORMATTERS:
        try:
            line = formatter.encode_fields(record[2])
        except UnicodeEncodeError:
            raise AssertionError("a lone surrogate came through") from None
        assert len(line) <= formatter.record_bytes
        assert not {*b"\n\r\x1b"} & {*line}
        fields = json.loads(line)
        payload = fields.get("payload", fields.get("leandask.payload"))
        if payload is not None:
            json.loads(payload)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
