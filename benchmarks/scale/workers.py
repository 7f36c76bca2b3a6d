"""Simulated workers: they compute nothing, and report their tasks as finished.

Nobody listens at a worker's address, so that no result can be gathered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import math
import os
import pickle
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dask.utils import key_split
from distributed.metrics import time

from benchmarks.scale.peers import VERSIONS, Peer

DURATION = 0.001  # seconds that a task claims to have taken
FIRST_HOST = ipaddress.ip_address("127.1.0.0")  # of the first worker; each has its own
INT = pickle.dumps(int)
ACTIVITIES = ("executor", "other", "thread-cpu", "thread-noncpu")


class Quota:
    """How many tasks the workers may still finish; they hold the others."""

    def __init__(self, left: float = math.inf) -> None:
        self.left = left

    def take(self) -> bool:
        """Use up one task, and return whether any was left."""
        self.left -= (taken := self.left > 0)
        return taken


class SimulatedWorker(Peer):
    """A worker that reports its tasks as finished at once, or holds them.

    Its number is unique; the quota is shared by all workers.
    """

    def __init__(
        self, scheduler: str, number: int, quota: Quota, nthreads: int = 1
    ) -> None:
        super().__init__(scheduler, "2ms")
        self.address = f"tcp://{FIRST_HOST + number}:9000"
        self.quota = quota
        self.nthreads = nthreads
        #: Tasks that are not finished: run_id, stimulus_id, span_id, and start.
        self.held: dict[Any, tuple[int, str, str | None, float]] = {}
        #: Keys of results.
        self.data: set[Any] = set()
        self._digests: Counter[Any] = Counter()
        self._handlers: dict[str, Callable[..., object]] = {
            "compute-task": self._compute,
            "free-keys": self._free,
            "remove-replicas": self._free,
            "acquire-replicas": self._acquire,
            "steal-request": self._steal,
            "cancel-compute": self._cancel,
            "refresh-who-has": lambda **msg: None,
            "remove-worker": lambda **msg: None,
            "worker-status-change": self._change_status,
            "close": self._end,
        }

    async def start(self) -> None:
        """Register, and send heartbeats as often as the scheduler asks for."""
        answer = await self._register(
            op="register-worker",
            reply=False,
            address=self.address,
            status="init",
            nthreads=self.nthreads,
            name=self.address,
            now=time(),
            resources={},
            memory_limit=2**34,
            local_directory=f"/tmp/dask-scratch-space/worker-{uuid.uuid4().hex[:8]}",
            services={"dashboard": 8787},
            nanny=None,
            pid=os.getpid(),
            versions=VERSIONS,
            metrics=self._metrics(),
            extra={},
            stimulus_id=f"worker-connect-{time()}",
            server_id=f"Worker-{uuid.uuid4()}",
        )
        if answer["status"] != "OK":
            raise ValueError(f"The scheduler refused a worker: {answer!r}")
        self._change_status("running", f"worker-status-change-{time()}")
        beating = self._beat(answer["heartbeat-interval"])
        self._tasks.append(asyncio.create_task(beating))

    def work(self) -> None:
        """Finish held tasks, as many as the quota allows."""
        for key in list(self.held) if self.quota.left else ():
            if not self.quota.take():
                break
            self._finish(key)

    def _handle(self, op: str, **msg: Any) -> None:
        self._handlers[op](**msg)

    def _compute(
        self,
        key: Any,
        run_id: int,
        stimulus_id: str,
        who_has: Mapping[Any, object],
        span_id: str | None = None,
        **msg: Any,
    ) -> None:
        self._acquire(who_has, stimulus_id)
        self.held[key] = (run_id, stimulus_id, span_id, time())
        self.work()

    def _finish(self, key: Any) -> None:
        run_id, stimulus_id, span_id, _ = self.held.pop(key)
        self.data.add(key)
        for activity in ACTIVITIES:
            metric = ("execute", span_id, key_split(key), activity, "seconds")
            self._digests[metric] += DURATION
        stop = time()
        self._stream.send(
            {
                "op": "task-finished",
                "key": key,
                "run_id": run_id,
                "nbytes": 28,
                "type": INT,
                "typename": "int",
                "metadata": {},
                "thread": 140_204_855_690_944,
                "startstops": (
                    {"action": "compute", "start": stop - DURATION, "stop": stop},
                ),
                "status": "OK",
                "stimulus_id": stimulus_id,
            }
        )

    def _acquire(
        self, who_has: Mapping[Any, object], stimulus_id: str, **msg: Any
    ) -> None:
        if new := [key for key in who_has if key not in self.data]:
            self.data.update(new)
            msg = {"op": "add-keys", "keys": new, "stimulus_id": stimulus_id}
            self._stream.send(msg)

    def _free(self, keys: Iterable[Any], **msg: Any) -> None:
        for key in keys:
            self.data.discard(key)
            self.held.pop(key, None)

    def _executing(self) -> list[Any]:
        return list(itertools.islice(self.held, self.nthreads))

    def _steal(self, key: Any, stimulus_id: str) -> None:
        state = "memory" if key in self.data else None
        if key in self.held:
            state = "executing" if key in self._executing() else "ready"
        if state == "ready":
            del self.held[key]
        msg = {"op": "steal-response", "key": key, "state": state}
        self._stream.send({**msg, "stimulus_id": stimulus_id})

    def _cancel(self, key: Any, **msg: Any) -> None:
        if key not in self._executing():
            self.held.pop(key, None)

    def _change_status(self, status: str, stimulus_id: str) -> None:
        msg = {"op": "worker-status-change", "status": status}
        self._stream.send({**msg, "stimulus_id": stimulus_id})

    def _end(self, **msg: Any) -> None:
        self._stream.abort()

    async def _beat(self, interval: float) -> None:
        await asyncio.sleep(random.random() * interval)  # real ones start at any time
        while True:
            now = time()
            spans = dict(self._digests)
            answer = await self._rpc.heartbeat_worker(
                address=self.address,
                now=now,
                metrics=self._metrics(),
                executing={key: now - self.held[key][-1] for key in self._executing()},
                extensions={"spans": spans},
            )
            self._digests.subtract(spans)
            self._digests += Counter()  # without those that are 0
            if answer["status"] != "OK":
                return
            await asyncio.sleep(answer["heartbeat-interval"])

    def _metrics(self) -> dict[str, Any]:
        digests = {(k[0], *k[2:]): v for k, v in self._digests.items()}
        return {
            "task_counts": {"memory": len(self.data), "ready": len(self.held)},
            "bandwidth": {"total": 100_000_000, "workers": {}, "types": {}},
            "digests_total_since_heartbeat": {
                "latency": 0.02,
                "tick-duration": 0.98,
                **digests,
            },
            "managed_bytes": 28 * len(self.data),
            "spilled_bytes": {"memory": 0, "disk": 0},
            "transfer": {
                "incoming_bytes": 0,
                "incoming_count": 0,
                "incoming_count_total": 0,
                "outgoing_bytes": 0,
                "outgoing_count": 0,
                "outgoing_count_total": 0,
            },
            "event_loop_interval": 0.02,
            "cpu": random.uniform(0, 100),
            "memory": random.randrange(2**26, 2**27),
            "time": time(),
            "host_net_io": {"read_bps": random.random(), "write_bps": random.random()},
            "host_disk_io": {"read_bps": random.random(), "write_bps": random.random()},
            "num_fds": 25,
        }
