"""LeanBroker: the events of every topic, bounded in topics and in events."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from distributed.broker import Broker, Topic
from distributed.utils import recursive_to_dict

from leandask import _compat

if TYPE_CHECKING:
    from collections.abc import Container

    from distributed import Scheduler

    from leandask.retention import Retention
    from leandask.stream import RecordStream


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
    events: deque[tuple[float, Any]]
    #: Events ever published.
    count: int
    #: Clients that are sent every event.
    subscribers: set[str]

    def __init__(self, name: str, topics: LeanTopics) -> None:
        super().__init__(topics.retention.events)  # type: ignore[arg-type]  # None: all
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
        self._topics.touch(self)
        super().publish(event)
        self._topics.stream.event(self.name, event)

    def subscribe(self, subscriber: str) -> None:
        """Send every further event to a client."""
        self._topics.touch(self)
        super().subscribe(subscriber)


class LeanTopics(OrderedDict[str, LeanTopic]):
    """The topics of a broker by name, the longest idle first.

    Parameters
    ----------
    retention : Retention
        ``topics`` bounds them. Those with subscribers stay, even beyond the bound.
    stream : RecordStream
    """

    def __init__(self, retention: Retention, stream: RecordStream) -> None:
        super().__init__()
        self.retention = retention
        self.stream = stream
        #: Topics ever made, and those evicted for the bound.
        self.seen = self.evicted = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.retention.topics}>"

    def __missing__(self, name: str) -> LeanTopic:
        return LeanTopic(name, self)

    def touch(self, topic: LeanTopic) -> None:
        """Take in a topic, or mark it as used last."""
        if topic.name in self:
            self.move_to_end(topic.name)
            return
        self[topic.name] = topic
        self.seen += 1
        bound = self.retention.topics
        if bound is not None and len(self) > bound:
            self._evict(sparing=topic)

    def _evict(self, sparing: LeanTopic) -> None:
        for _ in range(len(self)):
            name, topic = next(iter(self.items()))
            if topic is not sparing and not topic.subscribers:
                del self[name]
                self.evicted += 1
                return
            self.move_to_end(name)  # so that the next eviction need not pass it again


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
        for name, old in _compat.get_topics(_compat.get_broker(scheduler)).items():
            topic = LeanTopic(name, self.topics)
            topic.events.extend(old.events)
            topic.count = old.count
            topic.subscribers = old.subscribers
            self.topics.touch(topic)

    def forget(self, client: str) -> None:
        """Drop every subscription of a client that is gone."""
        for topic in self.topics.values():
            topic.unsubscribe(client)
