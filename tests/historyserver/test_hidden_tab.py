"""A tab that is not looked at asks for nothing, however its run goes on."""

from __future__ import annotations

import json
import threading
import time

from leandask.records.times import rfc3339
from tests.helpers.historyserver import serving
from tests.helpers.logs import record, run_record
from tests.helpers.processes import wait_for

ASKED = (
    "return performance.getEntriesByType('resource')"
    ".filter(each => each.name.includes('/tasks?')).length"
)
SHOW = """
const hidden = arguments[0];
Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});
document.dispatchEvent(new Event('visibilitychange'));
"""


def line(fields):
    return json.dumps(fields | {"timestamp": rfc3339(time.time())}).encode() + b"\n"


def test_a_hidden_tab_asks_for_no_section_while_the_log_grows(tmp_path, browser):
    logs = tmp_path / "logs"
    logs.mkdir()
    ended = threading.Event()
    with open(logs / "a.jsonl", "ab", buffering=0) as file:
        file.write(line(record(0)))

        def grow():
            seq = 1
            while not ended.wait(0.1):
                seq += 1
                file.write(line(run_record(0, key=f"inc-{seq}", seq=seq)))

        thread = threading.Thread(target=grow)
        thread.start()
        try:
            with serving(tmp_path, str(logs)) as server:
                server.wait_for_runs(1)
                browser.get(f"{server.url}/runs/Scheduler-1?view=tasks")
                wait_for(lambda: browser.execute_script(ASKED) >= 2)
                browser.execute_script(SHOW, True)
                before = browser.execute_script(ASKED)
                time.sleep(6)  # it would ask each two seconds
                # What was asked while it was hidden is listed when it is answered.
                assert browser.execute_script(ASKED) <= before + 1
                browser.execute_script(SHOW, False)
                wait_for(lambda: browser.execute_script(ASKED) > before + 1)
        finally:
            ended.set()
            thread.join()
