"""The broker of a scheduler: publishes events under topics that are bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from distributed.broker import Broker

from leandask import _compat
from leandask.histories.history import Held
from leandask.histories.topics.topics import LeanTopic, LeanTopics
from leandask.settings.budget import COSTS
from leandask.settings.retention import in_force

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.records.stream import RecordStream


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
    return Held(len(topics), topics.seen, weight=topics.weight)


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
    for topic in list(topics_of(scheduler).values()):
        topic.unsubscribe(client)
