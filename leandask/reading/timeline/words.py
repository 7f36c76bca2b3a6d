"""Words: numbers and durations as people read them."""

from __future__ import annotations

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000))


def number(n: int) -> str:
    """Write a number with thousands separators.

    Examples
    --------
    >>> number(1234567)
    '1,234,567'
    """
    return f"{n:,}"


def counted(n: int, noun: str, rest: str = "") -> str:
    """Write how many of something there are; `noun` is the singular.

    Examples
    --------
    >>> counted(1, "record"), counted(2000, "record", "dropped")
    ('1 record', '2,000 records dropped')
    """
    return f"{number(n)} {noun}{'' if n == 1 else 's'} {rest}".rstrip()


def duration(ms: int) -> str:
    """Write a duration of milliseconds, in its two largest units.

    Examples
    --------
    >>> duration(7_260_000), duration(12_345), duration(20)
    ('2 h 1 min', '12.3 s', '20 ms')
    """
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    parts: list[str] = []
    for unit, size in _UNITS:
        n, ms = divmod(ms, size)
        if n or parts:
            parts.append(f"{n} {unit}")
    return " ".join(part for part in parts[:2] if part[:2] != "0 ")
