from __future__ import annotations

from leandask.cli.output import bar_chart, count_lines, record_line
from tests.helpers.logs import record

TRANSITION = {
    "timestamp": "2026-11-24T11:57:27.206000Z",
    "event_name": "dask.task.transition",
    "task_key": "x",
    "task_start": "waiting",
    "task_finish": "processing",
    "stimulus_id": "s",
    "n_recommendations": 5,
    "recommendation_keys": ["a", "b", "c", "d"],
    "recommendation_states": ["waiting"] * 4,
}


def test_a_few_recommendations_are_shown():
    text = record_line(TRANSITION)
    assert text.endswith("(s) => a: waiting, b: waiting, c: waiting, … 2 more")


def test_a_record_can_neither_start_a_line_nor_steer_a_terminal():
    hostile = "x\n\x1b[31mforged\r\u2028"
    for text in (
        record_line(record(message=hostile)),
        record_line(TRANSITION | {"task_key": hostile, "stimulus_id": hostile}),
        record_line({"timestamp": hostile}),
        *count_lines({"first": hostile}, []),
    ):
        assert text.isprintable()
        assert "\\x1b[31mforged" in text


def test_a_bar_chart_scales_to_the_largest_value():
    assert bar_chart([]) == ""
    assert bar_chart([0, 0]) == "▁▁"
    assert bar_chart([0, 0.5, 1]) == "▁▅█"
