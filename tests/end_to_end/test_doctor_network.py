"""sbi doctor on the setting network: what can be had here, and what is in the way."""

from __future__ import annotations

import json

import pytest

from tests.support.sbi_process import Commands


def network_checks(sbi: Commands, setting: str) -> list[dict[str, object]]:
    said = sbi("doctor", "--json", env={"SBI_NETWORK": setting}).out.decode()
    return [check for check in json.loads(said)["checks"] if check["name"] == "network"]


@pytest.mark.parametrize(("setting", "found", "mend"), [
    ("one.invalid:443", "one.invalid cannot be resolved here", "Correct it"),
    ("localhost.localdomain,*.example.org", "code reaches", ""),
    ("full", "everything but this machine's own addresses", ""),
])
def test_what_is_wrong_is_told_with_what_mends_it(sbi: Commands, setting: str, found: str, mend: str) -> None:
    checks = network_checks(sbi, setting)
    (told,) = [check for check in checks if found in str(check["detail"])]
    assert told["ok"] is not bool(mend)
    assert str(told["mend"]).startswith(mend)


def test_packages_are_told_by_their_hosts(sbi: Commands) -> None:
    told = network_checks(sbi, "packages")[-1]
    assert told["ok"]
    assert "packages come from " in str(told["detail"])
    assert ":443" in str(told["detail"])


def test_no_network_is_no_matter_for_the_doctor(sbi: Commands) -> None:
    assert network_checks(sbi, "none") == []
