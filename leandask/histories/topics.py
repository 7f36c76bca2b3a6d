"""LeanBroker: the events of every topic, bounded in topics and in events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distributed.broker import Broker, Topic
from distributed.utils import recursive_to_dict

from leandask import _compat
from leandask.histories.lru import Recent
from leandask.histories.packed import Tail, kept, nbytes_of
from leandask.histories.size import size_of

if TYPE_CHECKING:
    from collections.abc import Container

    from distributed import Scheduler

    from leandask.records.stream import RecordStream
    from leandask.settings.retention import Retention


#: One event may take the bytes of all topics divided by this. A larger one is kept as a
#: shortened copy.
EVENTS_AT_LEAST = 16
#: Bytes of a topic's name, from which on nothing is kept under it but for subscribers.
#: Its events are records all the same.
NAME_BYTES = 2048

_NOBODY: Any = frozenset()


class LeanTopic(Topic):
    """A named ledger that keeps the last events, and hands every one to the stream.

    It belongs to its topics from its first event or subscriber on; until then it is
    only what a reader of an unknown topic sees.

    Parameters
    ----------
    name : str
    topics : LeanTopics
    """

    #: Last events: ``leandask.retention.events`` at most.
    events: Tail  # type: ignore[assignment]
    #: Bytes of these, about.
    nbytes: int
    #: Events ever published.
    count: int
    #: Clients that are sent every event.
    subscribers: set[str]

    def __init__(self, name: str, topics: LeanTopics) -> None:  # not super's: 1 kB
        self.events = Tail(topics.retention.events)
        self.nbytes = self.count = 0
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
        return recursive_to_dict(self.events, exclude=exclude)

    def publish(self, event: tuple[float, Any]) -> None:
        """Keep an event and hand it to the stream."""
        self.count += 1
        try:
            if self._topics.use(self):
                self.keep(event)
            else:
                self._topics.published_gone += 1
        except Exception:  # upstream publishes in the midst of its own work
            self._topics.stream.count_error()
        self._topics.stream.event(self.name, event)

    def keep(self, event: tuple[float, Any]) -> None:
        """Keep an event, as far as the bounds allow, or a shortened copy of it."""
        maxlen, nbytes = self.events.maxlen, self._topics.retention.event_bytes
        if maxlen == 0 or nbytes == 0:
            return
        if maxlen is not None and len(self.events) >= maxlen:
            self.forget_oldest()
        size = 0
        if nbytes is not None:
            event = kept(event, nbytes // EVENTS_AT_LEAST)
            size = nbytes_of(event, nbytes)
        self.events.add(event, size)
        self.nbytes += size
        self._topics.add_bytes(self, size)

    def forget_oldest(self) -> None:
        """Forget the oldest event."""
        del self.events[0]
        size = self.events.sizes.pop(0)
        self.nbytes -= size
        self._topics.nbytes -= size

    def rebound(self) -> None:
        """Keep the events as far as the bounds, which are others now, allow."""
        events = list(self.events)
        self.truncate()
        self.events.maxlen = self._topics.retention.events
        for event in events:
            self.keep(event)

    def truncate(self) -> None:
        """Forget all events."""
        self._topics.nbytes -= self.nbytes
        self.nbytes = 0
        self.events.clear()
        del self.events.sizes[:]

    def subscribe(self, subscriber: str) -> None:
        """Send every further event to a client."""
        self.subscribers = {*self.subscribers, subscriber}
        self._topics.use(self)

    def unsubscribe(self, subscriber: str) -> None:
        """Send a client no further event."""
        self.subscribers = self.subscribers - {subscriber} or _NOBODY


class LeanTopics(Recent[str, LeanTopic]):
    """The topics of a broker by name, the longest idle first.

    Parameters
    ----------
    retention : Retention
        ``topics`` bounds them. Those with subscribers stay, even beyond the bound.
        ``event_bytes`` bounds the events of all of them.
    stream : RecordStream
    """

    #: Bytes of the events of all topics, about.
    nbytes: int
    #: Events ever published under topics that went.
    published_gone: int

    def __init__(self, retention: Retention, stream: RecordStream) -> None:
        super().__init__(maxlen=retention.topics)
        self.retention = retention
        self.stream = stream
        self.nbytes = self.published_gone = 0

    def __missing__(self, name: str) -> LeanTopic:
        return LeanTopic(name, self)

    def __reduce__(self) -> Any:
        return dict, ({name: list(topic.events) for name, topic in self.items()},)

    def __delitem__(self, name: str) -> None:
        self.published_gone += self[name].count
        self[name].truncate()
        super().__delitem__(name)

    def use(self, topic: LeanTopic) -> bool:
        """Take in a topic, or mark it as used last; tell whether it is one to keep."""
        if topic.name in self:
            self.move_to_end(topic.name)
        elif topic.subscribers or size_of(topic.name, NAME_BYTES)[0] <= NAME_BYTES:
            self[topic.name] = topic
        else:
            return False
        return True

    def rebound(self, retention: Retention) -> None:
        """Set other bounds, and keep what they allow.

        Parameters
        ----------
        retention : Retention
        """
        self.retention = retention
        self.resize(retention.topics)
        for topic in list(self.values()):
            topic.rebound()

    def is_idle(self, key: str, value: LeanTopic) -> bool:
        """Whether a topic has no subscribers."""
        return not value.subscribers

    def add_bytes(self, topic: LeanTopic, nbytes: int) -> None:
        """Count what a topic took in, and make room for it."""
        self.nbytes += nbytes
        bound = self.retention.event_bytes
        if bound is None:
            return
        while self.nbytes > bound:
            if topic.nbytes > bound // 2:
                topic.forget_oldest()
            else:
                idle = next(t for t in self.values() if t.events)
                idle.forget_oldest()
                if not idle.events and not idle.subscribers and idle is not topic:
                    self.evict(idle.name, idle)


class LeanBroker(Broker):
    """A broker with bounded topics, each of which hands its events to the stream.

    Parameters
    ----------
    scheduler : Scheduler
        Its present broker's topics move over, with counts and subscribers.
    retention : Retention
    stream : RecordStream
    """

    def __init__(
        self, scheduler: Scheduler, retention: Retention, stream: RecordStream
    ) -> None:
        super().__init__(retention.events, scheduler)  # type: ignore[arg-type]
        self.topics = LeanTopics(retention, stream)
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

    def forget(self, client: str) -> None:
        """Drop every subscription of a client that is gone."""
        for topic in self.topics.values():
            topic.unsubscribe(client)
