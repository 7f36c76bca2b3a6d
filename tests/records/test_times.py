from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandask.records.times import (
    microseconds,
    milliseconds,
    moment,
    rfc3339,
    seconds_of,
)


@given(st.floats(0, 4e9))
def test_rfc3339_is_the_time_in_utc_to_the_microsecond(timestamp):
    moment = datetime.datetime.fromisoformat(rfc3339(timestamp).replace("Z", "+00:00"))
    assert abs(moment.timestamp() - timestamp) <= 1e-6


def test_rfc3339_rounds_up_to_the_next_second():
    assert rfc3339(0.9999999) == "1970-01-01T00:00:01.000000Z"
    assert rfc3339(1795515859.123) == "2026-11-24T10:24:19.123000Z"


def test_seconds_are_exact_to_the_microsecond():
    assert seconds_of("2026-11-24T11:57:32.159629Z") == 1795521452.159629


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:01.250Z",
        "1970-01-01T00:00:01.250z",
        "1970-01-01T00:00:01.250",
        "1970-01-01T02:00:01.250+02:00",
    ],
)
def test_without_an_offset_a_time_is_utc(text):
    assert seconds_of(text) == 1.25
    assert milliseconds(text) == 1250


@pytest.mark.parametrize("text", ["", "Z", "noon", "15 minutes"])
def test_any_other_text_is_refused(text):
    with pytest.raises(ValueError, match="Invalid isoformat string"):
        seconds_of(text)


def test_milliseconds_are_rounded_down():
    assert milliseconds("1969-12-31T23:59:59.999999Z") == -1


@pytest.mark.parametrize("fraction", ["12345x", "-12345", "1_2345", "²²²²²²", " 12345"])
def test_what_follows_a_second_that_is_known_is_checked_too(fraction):
    assert microseconds("2026-01-01T00:00:01.000001Z") % 1_000_000 == 1
    with pytest.raises(ValueError):
        microseconds(f"2026-01-01T00:00:01.{fraction}Z")


def test_microseconds_of_any_form_of_a_second_that_is_known():
    first = microseconds("2026-01-01T00:00:01.000001Z")
    assert microseconds("2026-01-01T00:00:01.999999Z") == first + 999_998
    assert microseconds("2026-01-01T00:00:01.000001+00:00") == first
    assert microseconds("2026-01-01T02:00:01.000001+02:00") == first
    assert microseconds("2026-01-01T00:00:01Z") == first - 1


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00.000000Z"),
        ("0999-12-31T23:00-01:00", "1000-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        (-62135596800, "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_a_moment_has_four_digits_of_its_year(given, shown):
    assert moment("since", given) == shown


@pytest.mark.parametrize(
    "given",
    [
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "99999999 days",
        "-99999999 days",
        "1e400 s",
        "nan days",
        float("inf"),
        float("nan"),
        10**30,
        -(10**12),
        datetime.timedelta.max,
    ],
)
def test_a_moment_of_no_year_of_records_is_refused(given):
    with pytest.raises(ValueError, match=r"^until must be ") as raised:
        moment("until", given)
    assert str(raised.value).endswith(f"got {given!r}")
