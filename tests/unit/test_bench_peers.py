"""The benchmark of peers: what it names is there, and a driver that fails is told of and not waited for."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.peers import containers, drive
from bench.peers.drivers import rounds
from bench.peers.environments import Unavailable
from bench.peers.roster import OURS, PEERS, Peer

FAKE = '''
from bench.peers.drivers.rounds import serve
class Session:
    def __init__(self, image): self.scope = {{}}
    def cell(self, code):
        print("chatter")
        if {broken!r} in code: raise RuntimeError("it broke")
        return {{"print(1)": "1\\n", "print(x + 1)": "42\\n"}}.get(code, "")
    def close(self): pass
serve("pytest", Session)
'''


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let drivers be looked for in a folder of the test's own."""
    folder = tmp_path / "bench" / "peers" / "drivers"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent, folder.parents[1]):
        (package / "__init__.py").touch()
    shutil.copy(str(rounds.__file__), folder)
    monkeypatch.setattr(drive, "_ROOT", tmp_path)
    return folder


def driver(folder: Path, source: str) -> drive.Driver:
    (folder / "fake.py").write_text(source, "utf-8")
    return drive.Driver(Peer("fake", "", ("fake",), "plain"), sys.executable, "image")


def source(broken: str) -> str:
    return FAKE.format(broken=broken)


@pytest.mark.parametrize("each", PEERS, ids=lambda each: each.key)
def test_every_peer_has_its_driver_and_its_image(each: Peer) -> None:
    assert find_spec(f"bench.peers.drivers.{each.driver[0]}") is not None
    assert (Path(containers.__file__).with_name("images") / f"{each.image}.Dockerfile").is_file()
    assert bool(each.requirement) == (each is not OURS)


def test_keys_are_what_images_are_told_apart_by() -> None:
    assert len({each.key for each in PEERS}) == len(PEERS)


def test_a_driver_answers_orders_and_its_chatter_is_no_answer(peer: Path) -> None:
    running = driver(peer, source("never"))
    try:
        assert set(running.ask("round")) == {"cold", "cell", "close"}
        assert running.ask("state") == {"keeps": True}
    finally:
        running.end()
        running.end()


def test_a_round_that_fails_is_told_and_the_next_may_go_well(peer: Path) -> None:
    running = driver(peer, source("print(1)"))
    try:
        assert running.ask("round") == {"error": "RuntimeError: it broke"}
        assert running.ask("state") == {"keeps": True}
    finally:
        running.end()


def test_a_driver_that_does_not_come_up_is_named_with_its_last_words(peer: Path) -> None:
    with pytest.raises(Unavailable, match="no such system"):
        driver(peer, "raise SystemExit('no such system')")
