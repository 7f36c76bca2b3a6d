"""Names of any length, how a load uses them, and functions that make some."""

from __future__ import annotations

import asyncio
import linecache
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any

from distributed.metrics import context_meter

try:
    from distributed import Pub  # before 2026
except ImportError:
    Pub = None

#: Characters of a name: of those that a program makes from when it sets this.
LENGTH: ContextVar[int] = ContextVar("LENGTH", default=100_000)
#: Names that are in use at once, so that a load does not wait for each answer.
PARALLEL = 10


def name(kind: str, number: int) -> str:
    """Make a name of letters alone, all of which belong to the prefix of a key.

    Letters up to f might be the digits of a hash, where a prefix ends.
    """
    letters = "".join(chr(ord("k") + int(digit)) for digit in f"{number:08}")
    return f"{kind}-{letters}-{'x' * (LENGTH.get() - len(kind) - 10)}"


async def each(
    numbers: Sequence[int],
    use: Callable[[int], Awaitable[object]],
    at_once: int = PARALLEL,
) -> None:
    """Use the names of all numbers, some at once."""
    for begin in range(0, len(numbers), at_once):
        await asyncio.gather(*map(use, numbers[begin : begin + at_once]))


def fail(text: str) -> None:
    """Raise an error."""
    raise ValueError(text)


def make(name: str) -> Any:
    """Return an object whose class has a name."""
    return type(name, (), {})()


def measure(name: str) -> None:
    """Measure an activity that has a name."""
    context_meter.digest_metric(name, 1.0, "seconds")


def publish(name: str) -> None:
    """Publish to a topic."""
    Pub(name).put(1)


def make_submit(number: int) -> Callable[..., Any]:
    """Make a function of long code that submits a task."""
    lines = (
        "def submit(client, *args):\n",
        "    return client.submit(*args, pure=False)\n",
        f"    # {name('code', number)}\n",
    )
    code = "".join(lines)
    file = f"<code-{number}>"
    names: dict[str, Any] = {"__name__": "program"}
    linecache.cache[file] = len(code), None, [*lines], file
    exec(compile(code, file, "exec"), names)
    submit: Callable[..., Any] = names["submit"]
    return submit
