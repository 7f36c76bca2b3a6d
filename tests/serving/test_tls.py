"""A scheduler with TLS answers as one without. test_dashboard.py has the dashboard."""

from __future__ import annotations

import dask.config
import pytest
from distributed import Client, Security, Worker
from distributed.utils_test import gen_test, inc

import leandask
from tests.helpers.schedulers import fetch, lean


@gen_test(timeout=60)
async def test_clients_and_pages_are_served_over_tls_and_blocks_hold(
    tmp_path, dashboard_tls
):
    security = Security.temporary()
    settings = {"leandask.event-log.path": str(tmp_path / "log.jsonl")}
    over_tls = {"protocol": "tls", "security": security}
    with dask.config.set(dashboard_tls | settings):
        async with (
            lean(
                **over_tls, blocked_handlers=["leandask_give_back", "get_story"]
            ) as blocking,
            lean(**over_tls) as s,
            Worker(s.address, security=security, dashboard=False),
            Client(s.address, security=security, asynchronous=True) as client,
        ):
            assert s.address.startswith("tls://")
            assert await client.submit(inc, 1) == 2
            answer = await leandask.get_history(client, action="add-worker")
            assert {r["topic"] for r in answer["records"]} == {"all", *s.workers}
            assert (await leandask.get_report(client))["workers"] == 1
            for path, text in {
                "/leandask": b"<title>leandask</title>",
                "/leandask.json": s.id.encode(),
                "/metrics": b"dask_leandask_rss_bytes",
            }.items():
                page = await fetch(s, path, "https", validate_cert=False)
                assert text in page.body, path
            async with Client(
                blocking.address, security=security, asynchronous=True
            ) as other:
                with pytest.raises(ValueError, match="get_story"):
                    await leandask.get_history(other)
                with pytest.raises(ValueError, match="disallowed"):
                    await leandask.give_back(other)
