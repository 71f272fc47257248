"""What stands before the routes: rates, hosts, origins; and the mailbox behind them."""

from __future__ import annotations

import asyncio
import threading

import pytest
from starlette.datastructures import Headers

from sandbox_interpreter.errors import RequestRefused
from sandbox_interpreter.servers import mailbox, origins, rate
from sandbox_interpreter.servers.mailbox import Mailbox, ReaderLeft
from sandbox_interpreter.servers.rate import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# --- rates ---


def test_a_client_has_as_many_requests_as_the_rate_and_then_waits() -> None:
    clock = Clock()
    limit = RateLimit(3, now=clock)
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 20]
    assert limit.wait("b") == 0
    clock.now += 19
    assert limit.wait("a") == 1
    clock.now += 1
    assert [limit.wait("a") for _ in range(2)] == [0, 20]
    clock.now += 10_000
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 20]  # rest is not saved up for more than a minute


def test_no_rate_is_no_limit() -> None:
    assert not any(RateLimit(0).wait("a") for _ in range(1000))


def test_a_flood_of_clients_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MOST_CLIENTS", 2)
    limit = RateLimit(1, now=Clock())
    assert [limit.wait(name) for name in "abc"] == [0, 0, 0]
    assert limit.wait("c") > 0
    assert limit.wait("a") == 0


# --- hosts and origins ---


def check(headers: dict[str, str], *, hosts: tuple[str, ...] = (), allowed: tuple[str, ...] = ()) -> None:
    origins.check(Headers(headers), hosts=hosts, origins=allowed)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "[::1]",
                                  "192.168.1.5", "code.example:8000", "Code.Example"])
def test_ones_own_names_and_addresses_are_served(host: str) -> None:
    check({"host": host}, hosts=("code.example",))


@pytest.mark.parametrize("host", ["", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil",
                                  "[::1", "[evil]:8000", "127.0.0.1:80:80", "0x7f.1:80"])
def test_a_name_that_was_pointed_here_is_refused(host: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        check({"host": host}, hosts=("code.example",))
    assert (caught.value.status, caught.value.kind) == (403, "unknown_host")


@pytest.mark.parametrize("headers", [
    {"origin": "http://127.0.0.1:8000"},
    {"origin": "https://127.0.0.1:8000"},  # a proxy in front speaks TLS
    {"origin": "https://app.example", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
])
def test_ones_own_and_allowed_pages_are_served(headers: dict[str, str]) -> None:
    check({"host": "127.0.0.1:8000", **headers}, allowed=("https://app.example",))


@pytest.mark.parametrize("headers", [
    {"origin": "https://evil.example"},
    {"origin": "http://127.0.0.1:9000"},
    {"origin": "http://127.0.0.1:8000.evil.example"},
    {"origin": "http://localhost:8000"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://[::1"},
    {"origin": "https://app.example.evil"},
    {"sec-fetch-site": "cross-site"},  # a picture or a link on a foreign page
    {"sec-fetch-site": "same-site"},  # another port of this machine
])
def test_foreign_pages_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(RequestRefused) as caught:
        check({"host": "127.0.0.1:8000", **headers}, allowed=("https://app.example",))
    assert (caught.value.status, caught.value.kind) == (403, "foreign_origin")


# --- the mailbox ---


def test_letters_arrive_in_order_and_then_it_is_over() -> None:
    async def main() -> list[bytes]:
        box = Mailbox()

        def write() -> None:
            for number in range(1000):
                box.put(b"%d " % number)
            box.finish()

        threading.Thread(target=write).start()
        taken = []
        while (letters := await box.take(5)) is not None:
            taken.append(letters)
        assert await box.take(5) is None
        return taken

    assert b"".join(asyncio.run(main())).split() == [b"%d" % number for number in range(1000)]


def test_silence_is_told_from_the_end() -> None:
    async def main() -> None:
        box = Mailbox()
        assert await box.take(0.01) == b""
        box.note(b"a")
        assert await box.take(5) == b"a"
        box.finish()
        box.note(b"late")
        assert await box.take(5) is None

    asyncio.run(main())


def test_a_slow_reader_holds_the_writer_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "ROOM", 100)
    written = []

    async def main() -> None:
        box = Mailbox()

        def write() -> None:
            for _ in range(50):
                box.put(b"x" * 50)
                written.append(50)
            box.finish()

        threading.Thread(target=write).start()
        await asyncio.sleep(0.2)
        assert sum(written) <= 100
        size = 0
        while (letters := await box.take(5)) is not None:
            assert len(letters) <= 150
            size += len(letters)
        assert size == 2500

    asyncio.run(main())


@pytest.mark.parametrize("drop", [True, False])
def test_a_writer_learns_that_the_reader_left_even_while_it_waits_for_room(
        drop: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "ROOM", 1)
    refused = threading.Event()

    async def main() -> bytes | None:
        box = Mailbox()

        def write() -> None:
            try:
                while True:
                    box.put(b"x")
            except ReaderLeft:
                refused.set()

        threading.Thread(target=write).start()
        await asyncio.sleep(0.1)
        box.finish(drop=drop)
        return await box.take(5)

    assert asyncio.run(main()) == (None if drop else b"x")
    assert refused.wait(5)


def test_a_thread_that_outlives_the_loop_is_no_error() -> None:
    async def main() -> Mailbox:
        return Mailbox()

    box = asyncio.run(main())
    box.put(b"a")
    box.finish()
    with pytest.raises(ReaderLeft):
        box.put(b"b")
