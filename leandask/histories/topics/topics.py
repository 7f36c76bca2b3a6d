"""The topics of a broker, bounded in their number and in the events of each."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from distributed.broker import Topic
from distributed.utils import recursive_to_dict

from leandask.histories.lru import LRU
from leandask.histories.names import LONGEST, Limit, weigh
from leandask.histories.topics.packed import (
    PackedEvents,
    Total,
    fit,
    nbytes_of,
)
from leandask.settings.retention import in_force

if TYPE_CHECKING:
    from collections.abc import Container

    from distributed import Scheduler

    from leandask.records.stream import RecordStream


#: One event may take the bytes of all topics divided by this. A larger one is kept as a
#: shortened copy.
EVENT_BYTES_DIVISOR = 16
_NOBODY: Any = frozenset()


class LeanTopic(Topic):
    """A topic that keeps its last events, and hands every event to the stream.

    It is stored with its first event or subscriber. A reader of an unknown topic gets
    an empty one, which is not stored.

    Parameters
    ----------
    name : str
    topics : LeanTopics
    """

    #: Last events: ``leandask.retention.events`` at most.
    events: PackedEvents  # type: ignore[assignment]
    #: Events ever published.
    count: int
    #: Clients that are sent every event.
    subscribers: set[str]
    #: Whether it may lose events for those of others: it has some that are measured.
    is_evictable: bool

    def __init__(
        self, name: str, topics: LeanTopics
    ) -> None:  # without super's, which takes 1 kB
        self.events = PackedEvents(topics.max_events, topics.total)
        self.count = 0
        self.subscribers = _NOBODY
        self.is_evictable = False
        self.name = name
        self._topics = topics

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r}: "
            f"{len(self.events)}/{self.events.maxlen}, {self.count} published>"
        )

    def _to_dict(self, *, exclude: Container[str] = ()) -> Any:
        """What a cluster dump shows: the events."""
        return recursive_to_dict(list(self.events), exclude=exclude)

    @property
    def is_long_named(self) -> bool:
        """Whether it is kept only if it has subscribers. Its events are records."""
        return weigh(self.name) > LONGEST

    def publish(self, event: tuple[float, Any]) -> None:
        """Keep an event and hand it to the stream."""
        self.count += 1
        try:
            if self._topics.use(self):
                self.keep(event)
            else:
                self._topics.published_gone += 1
        except Exception:  # upstream publishes in the middle of its own work
            self._topics.stream.count_error()
        self._topics.stream.event(self.name, event)

    def keep(self, event: tuple[float, Any]) -> None:
        """Keep an event or a shortened copy of it, if the bounds allow any."""
        most = self._topics.max_bytes
        if self.events.maxlen == 0 or most == 0:
            return
        if most is None:
            self.events.add(event, 0)
            return
        event = fit(event, most // EVENT_BYTES_DIVISOR)
        self.events.add(event, nbytes_of(event, most))
        self._topics.make_room(self, most)

    def resize(self) -> None:
        """Keep what the bounds in force allow.

        Events that were fit before are not packed again: 0.4 s for 16 MiB.
        """
        most = self._topics.max_bytes
        if most == 0:
            self.truncate()
        self.events.resize(self._topics.max_events)
        if most is not None and not self.events.are_fit(most // EVENT_BYTES_DIVISOR):
            events = list(self.events)
            self.truncate()
            for event in events:
                self.keep(event)

    def subscribe(self, subscriber: str) -> None:
        """Send every further event to a client."""
        self.subscribers = {*self.subscribers, subscriber}
        self._topics.use(self)

    def unsubscribe(self, subscriber: str) -> None:
        """Send no further event to a client."""
        self.subscribers = self.subscribers - {subscriber} or _NOBODY
        if not self.subscribers and self.is_long_named:
            self._topics.pop(self.name, None)


class LeanTopics(LRU[str, LeanTopic]):
    """The topics of a broker by name, the least recently used first.

    The bound ``topics`` evicts those without subscribers; the bound ``event-bytes`` the
    events of all of them.

    Parameters
    ----------
    scheduler : Scheduler
        Has the bounds in force.
    stream : RecordStream
        Takes every event.
    """

    #: Events ever published under topics that are gone.
    published_gone: int
    #: Approximate bytes of the events of all topics.
    total: Total

    def __init__(self, scheduler: Scheduler, stream: RecordStream) -> None:
        self._scheduler = scheduler
        #: Those with measured events, in the same order. Thousands of topics may have a
        #: subscriber and no event.
        self._evictable: OrderedDict[str, LeanTopic] = OrderedDict()
        self.stream = stream
        self.published_gone = 0
        self.total = Total()
        bounds = in_force(scheduler)
        super().__init__((), bounds.topics, Limit.of(bounds, "topics"))

    def __missing__(self, name: str) -> LeanTopic:
        return LeanTopic(name, self)

    def __reduce__(self) -> Any:
        return dict, ({name: list(topic.events) for name, topic in self.items()},)

    def __delitem__(self, name: str) -> None:
        self.published_gone += self[name].count
        self[name].truncate()
        if name in self._evictable:
            self._evictable.pop(name).is_evictable = False
        super().__delitem__(name)

    @property
    def nbytes(self) -> int:
        """Approximate bytes of the events of all topics."""
        return self.total.nbytes

    @property
    def max_events(self) -> int | None:
        """Events that each topic keeps."""
        return in_force(self._scheduler).events

    @property
    def max_bytes(self) -> int | None:
        """Bytes of the events of all topics that are kept."""
        return in_force(self._scheduler).event_bytes

    def use(self, topic: LeanTopic) -> bool:
        """Add a topic, or mark it as just used; return whether it is kept."""
        name = topic.name
        try:
            self.move_to_end(name)
        except KeyError:
            if not topic.subscribers and topic.is_long_named:
                return False
            topic.events.maxlen = self.max_events  # it may be older than a resize
            self[name] = topic
        if topic.is_evictable:
            self._evictable.move_to_end(name)
        return True

    def resize(self, maxlen: int | None, limit: Limit | None = None) -> None:
        """Keep `maxlen` topics, with the events that the bounds in force allow."""
        super().resize(maxlen, limit)
        for topic in list(self.values()):
            if topic.name in self:  # an earlier one may have taken its room
                topic.resize()
        most = self.max_bytes
        if self and most is not None and self.nbytes > most:
            largest = max(self.values(), key=lambda topic: topic.events.nbytes)
            self.make_room(largest, most)

    def is_idle(self, key: str, value: LeanTopic) -> bool:
        """Whether a topic has no subscribers."""
        return not value.subscribers

    def make_room(self, topic: LeanTopic, most: int) -> None:
        """Evict the oldest events until at most `most` bytes are left.

        `topic` has just got an event, or has the most bytes.

        They are `topic`'s own if it has more than half of them, or else those of the
        least recently used topic.
        """
        if not topic.is_evictable and self.get(topic.name) is topic:
            self._evictable[topic.name] = topic
            topic.is_evictable = True
        while (surplus := self.nbytes - most) > 0:
            own = topic.events.nbytes - most // 2
            if own > 0:
                topic.events.free(min(own, surplus))
                continue
            if not self._evictable:  # the rest is in topics that others hold
                self.total.nbytes = 0
                return
            idle = next(iter(self._evictable.values()))
            idle.events.free(surplus)
            if not idle.events:
                self._evictable.pop(idle.name).is_evictable = False
                if not idle.subscribers and idle is not topic:
                    self.evict(idle.name, idle)
