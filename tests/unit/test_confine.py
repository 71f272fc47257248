"""The agent's seccomp filter, run here as the kernel would run it."""

from __future__ import annotations

import struct

import pytest

from sandbox_interpreter.agent import confine
from sandbox_interpreter.agent.confine import ALLOW, ENOSYS, EPERM, MACHINES, REFUSE, program

MACHINE = [(name, *values) for name, values in MACHINES.items()]


def outcome(rules: bytes, audit: int, number: int, *arguments: int) -> int:
    """Return what the filter answers to a call (seccomp(2), classic BPF)."""
    data = struct.pack("=IIQ6Q", number, audit, 0, *(value & 2**64 - 1 for value in (*arguments, *[0] * 6)[:6]))
    lines = [struct.unpack_from("HBBI", rules, at) for at in range(0, len(rules), 8)]
    register = at = 0
    while True:
        code, if_true, if_false, value = lines[at]
        at += 1
        if code == confine.LOAD:
            register = struct.unpack_from("=I", data, value)[0]
        elif code == confine.RETURN:
            return int(value)
        else:
            test = {confine.EQUAL: register == value, confine.AT_LEAST: register >= value,
                    confine.ANY_BIT: bool(register & value)}[code]
            at += if_true if test else if_false


@pytest.mark.parametrize(("name", "audit", "socket", "spaces", "keys", "modes"), MACHINE)
def test_every_rule_refuses_what_it_means_and_nothing_else(name: str, audit: int, socket: int, spaces: tuple[int, int],
                                                          keys: tuple[int, int, int],
                                                          modes: dict[int, tuple[int, int]]) -> None:
    rules = program(MACHINES[name])
    assert outcome(rules, audit, 0) == outcome(rules, audit, 423) == ALLOW
    for number in (*confine.IO_URING, *confine.UNREADABLE, confine.X32 | 1, 2**32 - 1):
        assert outcome(rules, audit, number) == REFUSE | ENOSYS
    assert outcome(rules, audit ^ 1, 0) == REFUSE | ENOSYS
    for family in (1, 2, 10, 16):
        assert outcome(rules, audit, socket, family, 1) == ALLOW
    assert outcome(rules, audit, socket, confine.AF_VSOCK, 1) == REFUSE | confine.EAFNOSUPPORT
    for number in keys:
        assert outcome(rules, audit, number) == REFUSE | EPERM
    for number in spaces:
        assert outcome(rules, audit, number, 0x3D0F00 | 17) == ALLOW  # what a new thread shares, or a child's signal
        for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
            assert outcome(rules, audit, number, flag | 17) == REFUSE | EPERM
    for number, (mode, flags) in modes.items():
        for value in (0o755, 0o2775, 0o1777, 0o4755, 0o6711):
            for flag in (0, 0o100, 0o20200000):
                given = [0] * 6
                given[mode] = value
                if flags >= 0:
                    given[flags] = flag
                refused = value & 0o4000 and (flags < 0 or flag)
                assert outcome(rules, audit, number, *given) == (REFUSE | EPERM if refused else ALLOW)


@pytest.mark.parametrize("name", MACHINES)
def test_it_is_as_short_as_the_kernel_takes_it(name: str) -> None:
    assert len(program(MACHINES[name])) // 8 < 4096


def test_a_machine_that_is_not_known_is_left_to_the_engines_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "MACHINES", {})
    assert confine.confine() is False
