"""What a session's log says of connections: one event each, and no flood of them."""

from __future__ import annotations

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.sandbox.gate import Decision
from sandbox_interpreter.sessions import egress_log
from sandbox_interpreter.sessions.egress_log import EgressLog
from sandbox_interpreter.sessions.journal import Journal
from sandbox_interpreter.sessions.log import read


def logged(journal: Journal) -> list[dict[str, object]]:
    """Return the events of connections, without their time."""
    return [{name: value for name, value in event.items() if name not in ("event", "type", "time", "at", "n")}
            for event in read(journal.session.events).entries if "egress" in (event.get("event"), event.get("type"))]


def test_each_decision_is_an_event_without_what_is_empty() -> None:
    journal = Journal(Settings(), notify=lambda _: None)
    log = EgressLog(journal)
    log(Decision("example.com", 443, True, "network: example.com", "1.2.3.4"))
    log(Decision("evil.example", 80, False, "is not listed"))
    first, second = logged(journal)
    assert first | {"host": "example.com", "port": 443, "allowed": True, "rule": "network: example.com",
                    "address": "1.2.3.4"} == first
    assert second["allowed"] is False
    assert "address" not in second
    journal.close()


def test_code_that_does_nothing_but_ask_does_not_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_log, "MOST_EVENTS", 3)
    journal = Journal(Settings(), notify=lambda _: None)
    log = EgressLog(journal)
    for port in range(1, 50):
        log(Decision("example.com", port, False, "is not listed"))
    events = logged(journal)
    assert len(events) == 4
    assert "more than 3 connections" in str(events[-1]["error"])
    journal.close()
