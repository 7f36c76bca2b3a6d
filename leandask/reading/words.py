"""Words: numbers, durations and sizes as people read them."""

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


def memory(rss: int, limit: int | None = None) -> str:
    """Write a size of memory, and the limit that it has.

    Examples
    --------
    >>> memory(522_000_000, 2**29), memory(2**20)
    ('498 of 512 MiB', '1 MiB')
    >>> memory(2**20, 2**36)
    '1 MiB of 64.0 GiB'
    """
    parts = [_in_unit(size) for size in (rss, limit) if size is not None]
    if len({unit for _, unit in parts}) == 1:
        return f"{' of '.join(number for number, _ in parts)} {parts[0][1]}"
    return " of ".join(map(" ".join, parts))


def _in_unit(nbytes: int) -> tuple[str, str]:
    """Return a small number and its unit, as ``timelinepage/formats.js`` does."""
    if nbytes >= 10 * 2**30:
        return f"{nbytes / 2**30:,.1f}", "GiB"
    return f"{nbytes / 2**20:,.0f}", "MiB"


def text_of(value: object, limit: int) -> str:
    """Return the start of a text, or "" for any other value.

    One character more than `limit` is kept, which shows that the text was cut.
    """
    return value[: limit + 1] if isinstance(value, str) else ""
