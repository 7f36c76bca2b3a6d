"""What happened over the time of a log, as one page to look at."""

from __future__ import annotations

from leandask.reading.timeline.page import render as render
from leandask.reading.timeline.timeline import Timeline as Timeline
