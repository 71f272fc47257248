"""The gate: which connections are opened, to which address, and what is said of those that are not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from sandbox_interpreter.sandbox.consent import Consent, Verdict
from sandbox_interpreter.sandbox.gate import Decision, Gate, Refused
from sandbox_interpreter.sandbox.packages import Packages


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


class Names:
    """A resolver that answers each time with the next of what it is given, and at last with the last."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, name: str, _port: int) -> Sequence[str]:
        self.asked.append(name)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def refusal(gate: Gate, host: str, port: int = 443) -> Refused:
    with pytest.raises(Refused) as caught:
        gate.connect(host, port).close()
    return caught.value


def test_what_is_listed_is_connected_and_recorded(server: socket.socket) -> None:
    decisions: list[Decision] = []
    port = port_of(server)
    network = f"server.example:{port},127.0.0.1"
    with Gate(network, record=decisions.append, resolve=Names(["127.0.0.1"])).connect("Server.Example.", port) as made:
        assert made.getpeername() == ("127.0.0.1", port)
    assert decisions == [Decision("server.example", port, True, f"network: {network}", "127.0.0.1")]


def test_what_is_not_listed_is_refused_with_the_rule_and_the_setting_that_would_allow_it() -> None:
    decisions: list[Decision] = []
    refused = refusal(Gate("example.com:443", record=decisions.append), "evil.example")
    assert refused.status == 403
    assert refused.reason == ("Forbidden by the sandbox's setting network (example.com:443): "
                              "evil.example:443 is not listed")
    assert b"--network 'example.com:443,evil.example:443'" in refused.body
    assert decisions == [Decision("evil.example", 443, False, "is not listed")]


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "0.0.0.0", "::1", "fe80::1",
    "fd00::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "2002:7f00:1::", "168.63.129.16",
])
def test_a_listed_name_may_not_lead_inside(address: str) -> None:
    refused = refusal(Gate("*.example.com,ask", resolve=Names([address])), "trap.example.com")
    assert refused.status == 403
    assert "that is not listed itself" in refused.reason


@pytest.mark.parametrize("host", [
    "127.0.0.1", "[::1]", "::ffff:127.0.0.1", "[::ffff:169.254.169.254]", "169.254.169.254", "10.0.0.1", "0.0.0.0",
    "::",
])
def test_an_address_inside_is_refused_even_where_everything_may_be_asked_for(host: str) -> None:
    asked: list[str] = []

    def ask(name: str, _port: int) -> Verdict:
        asked.append(name)
        return Verdict.ONCE

    assert refusal(Gate("ask", consent=Consent(ask)), host).status == 403
    assert asked == []


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "017700000001", "localhost%00.example.com", "",
                                  "a b", "user@host", "fe80::1%eth0", "[127.0.0.1]", "x\r\ny", "a" * 300, "ex\x1b[2Jm"])
def test_a_host_that_is_none_is_refused_and_shown_escaped(host: str) -> None:
    refused = refusal(Gate("ask,0.0.0.0/0", consent=Consent(lambda *_: Verdict.ONCE), resolve=Names(["127.0.0.1"])),
                      host)
    assert "is no host and port" in refused.reason
    assert refused.reason.isprintable()
    assert refused.reason.isascii()


@pytest.mark.parametrize("port", [0, -1, 65536, 2**40])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    assert "is no host and port" in refusal(Gate("example.com"), "example.com", port).reason


def test_of_several_addresses_only_those_are_dialled_that_may_be(server: socket.socket) -> None:
    network = f"server.example,127.0.0.1:{port_of(server)}"
    names = Names(["10.0.0.1", "169.254.169.254", "127.0.0.1"])
    with Gate(network, resolve=names).connect("server.example", port_of(server)) as made:
        assert made.getpeername()[0] == "127.0.0.1"


def test_a_name_is_resolved_once_and_the_address_that_was_judged_is_dialled(server: socket.socket) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    gate = Gate(f"server.example,127.0.0.1:{port_of(server)}", resolve=names)
    with gate.connect("server.example", port_of(server)) as made:
        assert made.getpeername()[0] == "127.0.0.1"
    assert names.asked == ["server.example"]
    assert refusal(gate, "server.example", port_of(server)).status == 403  # by now it leads elsewhere


def test_localhost_means_the_loopback_where_it_is_listed(server: socket.socket) -> None:
    port = port_of(server)
    with Gate(f"localhost:{port}", resolve=Names(["127.0.0.1"])).connect("localhost", port) as made:
        assert made.getpeername()[1] == port
    assert refusal(Gate("localhost", resolve=Names(["10.0.0.1"])), "localhost").status == 403


@pytest.mark.parametrize(("answer", "says"), [([], "0.0.0.0"), (["fe80::1%eth0"], "0.0.0.0")])
def test_a_name_that_leads_nowhere_is_refused(answer: list[str], says: str) -> None:
    assert says in refusal(Gate("example.com", resolve=Names(answer)), "example.com").reason


def test_a_name_that_cannot_be_resolved_and_a_server_that_does_not_answer_are_bad_gateways(
        server: socket.socket) -> None:
    def nothing(_name: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    decisions: list[Decision] = []
    refused = refusal(Gate("example.com", resolve=nothing, record=decisions.append), "example.com")
    assert (refused.status, decisions[0].error) == (502, "Name or service not known")
    port = port_of(server)
    server.close()
    refused = refusal(Gate("127.0.0.1", record=decisions.append), "127.0.0.1", port)
    assert (refused.status, decisions[1].error) == (502, "Connection refused")


# --- ask ---

def test_nobody_to_ask_means_no() -> None:
    refused = refusal(Gate("ask"), "example.com")
    assert "nobody was there to ask" in refused.reason


@pytest.mark.parametrize(("verdict", "questions"), [(Verdict.ONCE, 2), (Verdict.SESSION, 1), (Verdict.ALWAYS, 1)])
def test_a_yes_holds_as_long_as_it_was_meant(server: socket.socket, verdict: Verdict, questions: int) -> None:
    asked: list[tuple[str, int]] = []

    def ask(host: str, port: int) -> Verdict:
        asked.append((host, port))
        return verdict

    port = port_of(server)
    gate = Gate(f"ask,127.0.0.1:{port}", consent=Consent(ask), resolve=Names(["127.0.0.1"]))
    for _ in range(2):
        gate.connect("server.example", port).close()
    assert asked == [("server.example", port)] * questions


def test_a_no_holds_so_that_code_cannot_wear_anybody_down() -> None:
    asked: list[int] = []

    def ask(_host: str, port: int) -> Verdict:
        asked.append(port)
        return Verdict.NO

    gate = Gate("ask", consent=Consent(ask))
    threads = [threading.Thread(target=refusal, args=(gate, "evil.example")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [443]
    refusal(gate, "evil.example", 80)  # the same server
    assert asked == [443]
    refusal(gate, "evil.example", 8080)
    assert asked == [443, 8080]


def test_what_was_allowed_for_always_is_not_asked_again(server: socket.socket) -> None:
    consent = Consent(lambda *_: Verdict.NO, granted=lambda host, _port: host == "server.example")
    port = port_of(server)
    Gate(f"ask,127.0.0.1:{port}", consent=consent, resolve=Names(["127.0.0.1"])).connect("server.example", port).close()
    assert refusal(Gate("ask", consent=consent), "other.example").status == 403


# --- packages ---

class Mirror(Packages):
    def cover(self, host: str, port: int, kind: str | None = None) -> bool:
        return (host, port) == ("mirror.example", 443) and kind in (None, "a private address")


def test_the_package_managers_hosts_may_be_private_and_nothing_worse() -> None:
    assert "leads to 127.0.0.1" in refusal(Gate("packages", packages=Mirror(), resolve=Names(["127.0.0.1"])),
                                           "mirror.example").reason
    assert "is not listed" in refusal(Gate("packages", packages=Mirror()), "other.example").reason
    assert "is not listed" in refusal(Gate("packages", packages=Mirror()), "mirror.example", 80).reason
    assert "is not listed" in refusal(Gate("example.com", packages=Mirror()), "mirror.example").reason
