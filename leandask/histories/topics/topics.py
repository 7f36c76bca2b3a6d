"""The topics of the broker, bounded in their number and in the events of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from distributed.broker import Broker, Topic
from distributed.utils import recursive_to_dict

from leandask import _compat
from leandask.histories.history import Held
from leandask.histories.lru import LRU
from leandask.histories.topics.packed import (
    PackedEvents,
    Total,
    fit,
    nbytes_of,
    size_of,
)
from leandask.settings.budget import COSTS
from leandask.settings.retention import in_force

if TYPE_CHECKING:
    from collections.abc import Container

    from distributed import Scheduler

    from leandask.records.stream import RecordStream


#: One event may take the bytes of all topics divided by this. A larger one is kept as a
#: shortened copy.
EVENT_BYTES_DIVISOR = 16
#: Longest name of a topic, in bytes. One with a longer name is kept only if it has
#: subscribers. Its events are still records.
NAME_BYTES = 2048

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

    def __init__(
        self, name: str, topics: LeanTopics
    ) -> None:  # without super's, which takes 1 kB
        self.events = PackedEvents(topics.max_events, topics.total)
        self.count = 0
        self.subscribers = _NOBODY
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
        """Keep the events that the bounds in force allow."""
        events = list(self.events)
        self.truncate()
        self.events.maxlen = self._topics.max_events
        for event in events:
            self.keep(event)

    def subscribe(self, subscriber: str) -> None:
        """Send every further event to a client."""
        self.subscribers = {*self.subscribers, subscriber}
        self._topics.use(self)

    def unsubscribe(self, subscriber: str) -> None:
        """Send no further event to a client."""
        self.subscribers = self.subscribers - {subscriber} or _NOBODY


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
        self.stream = stream
        self.published_gone = 0
        self.total = Total()
        super().__init__(maxlen=in_force(scheduler).topics)

    def __missing__(self, name: str) -> LeanTopic:
        return LeanTopic(name, self)

    def __reduce__(self) -> Any:
        return dict, ({name: list(topic.events) for name, topic in self.items()},)

    def __delitem__(self, name: str) -> None:
        self.published_gone += self[name].count
        self[name].truncate()
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
        if topic.name in self:
            self.move_to_end(topic.name)
        elif topic.subscribers or size_of(topic.name, NAME_BYTES)[0] <= NAME_BYTES:
            topic.events.maxlen = self.max_events  # it may be older than a resize
            self[topic.name] = topic
        else:
            return False
        return True

    def resize(self, maxlen: int | None) -> None:
        """Keep `maxlen` topics, with the events that the bounds in force allow."""
        super().resize(maxlen)
        for topic in list(self.values()):
            topic.resize()

    def is_idle(self, key: str, value: LeanTopic) -> bool:
        """Whether a topic has no subscribers."""
        return not value.subscribers

    def make_room(self, topic: LeanTopic, most: int) -> None:
        """Evict the oldest events until at most `most` bytes are left.

        They are `topic`'s own if it has more than half of them, or else those of the
        least recently used topic.
        """
        while self.nbytes > most:
            if topic.events.nbytes > most // 2:
                topic.events.evict()
            else:
                idle = next((t for t in self.values() if t.events), None)
                if idle is None:  # the rest is in topics that others hold
                    self.total.nbytes = 0
                    return
                idle.events.evict()
                if not idle.events and not idle.subscribers and idle is not topic:
                    self.evict(idle.name, idle)


class LeanBroker(Broker):
    """A broker with bounded topics, each of which hands its events to the stream.

    Parameters
    ----------
    scheduler : Scheduler
        The topics of its current broker move over, with their counts and subscribers.
    stream : RecordStream
    """

    def __init__(self, scheduler: Scheduler, stream: RecordStream) -> None:
        super().__init__(in_force(scheduler).events, scheduler)  # type: ignore[arg-type]
        self.topics = LeanTopics(scheduler, stream)
        _compat.set_topics(self, self.topics)
        for name, old in _compat.get_topics(scheduler).items():
            topic = LeanTopic(name, self.topics)
            topic.count = old.count
            topic.subscribers = old.subscribers
            if self.topics.use(topic):
                for event in old.events:
                    topic.keep(event)

    def truncate(self, topic: str | None = None) -> None:
        """Empty all topics, or forget one: that of a worker or client that left."""
        super().truncate(topic)
        if topic is not None and topic in self.topics:
            if not self.topics[topic].subscribers:
                del self.topics[topic]


def install(scheduler: Scheduler, stream: RecordStream) -> None:
    """Replace the scheduler's broker."""
    _compat.set_broker(scheduler, LeanBroker(scheduler, stream))


def topics_of(scheduler: Scheduler) -> LeanTopics:
    """The topics of a lean scheduler."""
    return cast(LeanTopics, _compat.get_topics(scheduler))


def look(scheduler: Scheduler) -> Held:
    """Count the topics."""
    topics = topics_of(scheduler)
    return Held(len(topics), topics.seen)


def look_at_events(scheduler: Scheduler) -> Held:
    """Count the events of all topics."""
    topics = topics_of(scheduler)
    kept = sum([len(topic.events) for topic in topics.values()])
    published = sum([topic.count for topic in topics.values()])
    measured = None if topics.max_bytes is None else topics.nbytes
    return Held(kept, topics.published_gone + published, len(topics), measured)


def look_at_event_bytes(scheduler: Scheduler) -> Held:
    """Count the bytes of the events of all topics, or estimate them."""
    events = look_at_events(scheduler)
    if events.nbytes is None:
        return Held(events.kept * COSTS["events"].nbytes)
    return Held(events.nbytes)


def forget_subscriber(scheduler: Scheduler, client: str) -> None:
    """End every subscription of a client that left."""
    for topic in topics_of(scheduler).values():
        topic.unsubscribe(client)
