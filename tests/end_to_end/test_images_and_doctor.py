"""sbi images and sbi doctor as a user runs them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pexpect
import pytest

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.verification.verify import CHECKS
from tests.support.sbi_process import SBI, Commands

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}


def test_list_shows_every_image_with_its_state(sbi: Commands) -> None:
    done = sbi("images", "list")
    assert done.code == 0, done.said
    rows = {line.split()[0]: line for line in done.out.decode().splitlines()[1:]}
    assert set(rows) >= {"base", "python"}
    assert " ready " in rows["python"]
    assert "python,shell" in rows["python"]


def test_inspect_prints_json(sbi: Commands) -> None:
    known = json.loads(sbi("images", "inspect", "python").out)
    assert known["name"] == "python"
    assert known["stale"] is None
    assert known["image"]["id"].startswith("sha256:")
    assert known["demo"]


@pytest.mark.parametrize("name", index.bundled())
def test_the_bundled_images_pass_every_check(sbi: Commands, name: str) -> None:
    done = sbi("images", "verify", name)
    assert done.code == 0, done.out.decode()
    lines = done.out.decode().splitlines()
    assert [line.split()[1] for line in lines] == [check.name for check in CHECKS]
    assert all(line.startswith(("ok ", "warn ")) for line in lines)  # a warning is that Debian's node is an old one
    assert done.err == b""


def test_verify_writes_json_and_a_bill_of_materials(sbi: Commands) -> None:
    done = sbi("images", "verify", "base", "--json", "--sbom", "base.cdx.json")
    assert done.code == 0, done.said
    report = json.loads(done.out)
    assert report["ok"] is True
    assert {check["name"]: check["state"] for check in report["checks"]} == dict.fromkeys(
        (check.name for check in CHECKS), "ok")
    assert {"bash", "libc6", "python3"} <= {package["name"] for package in report["packages"]}
    document = json.loads((sbi.folder / "base.cdx.json").read_text())
    assert len(document["components"]) == len(report["packages"])
    assert document["metadata"]["component"]["version"] == report["id"]


def test_verify_cannot_write_the_bill_just_anywhere(sbi: Commands) -> None:
    done = sbi("images", "verify", "base", "--sbom", "gone/base.json")
    assert done.code == 2
    assert "--sbom gone/base.json cannot be written" in done.said


def test_build_of_what_is_there_says_so_in_plain_lines(sbi: Commands) -> None:
    done = sbi("images", "build", "python")
    assert done.code == 0
    assert done.out == b""
    assert done.said.splitlines()[-1].endswith("is up to date")


@pytest.mark.parametrize("command", ["build", "verify", "inspect"])
def test_an_unknown_image_is_bad_usage(sbi: Commands, command: str) -> None:
    done = sbi("images", command, "pyton")
    assert done.code == 2
    assert "There is no bundled image 'pyton'." in done.said
    assert "Traceback" not in done.said


@pytest.mark.parametrize("words", [("list",), ("build",), ("verify", "python"), ("inspect", "python")])
def test_without_an_engine_each_command_says_so(sbi: Commands, words: tuple[str, ...]) -> None:
    done = sbi("images", *words, env=NO_ENGINE)
    assert done.code == 125
    assert "No container engine answers" in done.said
    assert "Traceback" not in done.said


def test_a_bad_ca_bundle_stops_a_build_before_it_begins(sbi: Commands, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    done = sbi("images", "build", "python", env={"SBI_CA_BUNDLE": str(tmp_path / "ca.pem")})
    assert done.code == 2
    assert "does not hold certificates in PEM form" in done.said


def test_with_ca_needs_a_bundle(sbi: Commands) -> None:
    done = sbi("images", "build", "--with-ca", env={"SSL_CERT_FILE": "", "REQUESTS_CA_BUNDLE": "", "PIP_CERT": ""})
    assert done.code == 2
    assert "ca_bundle" in done.said


def test_a_build_shows_a_bar_on_a_terminal() -> None:
    words = ["images", "build", "base"]
    environment = {**os.environ, "TERM": "xterm"}
    with pexpect.spawn(SBI, words, encoding="utf-8", dimensions=(24, 100), timeout=60, env=environment) as terminal:
        terminal.expect("is up to date")
        terminal.expect(pexpect.EOF)
        assert "\x1b[" in (terminal.before or "")
    assert terminal.exitstatus == 0


def checks(sbi: Commands, **env: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = sbi("doctor", "--json", env={"SBI_MODEL": "demo", **env})
    report = json.loads(done.out)
    assert report["ok"] is (done.code == 0)
    return done.code, {check["name"]: check for check in report["checks"]}


def test_doctor_finds_everything_in_order(sbi: Commands) -> None:
    code, found = checks(sbi)
    assert code == 0
    assert set(found) == {"engine", "image", "sandbox", "model", "data", "disk"}
    assert all(check["ok"] and not check["mend"] for check in found.values())
    assert "API 1." in found["engine"]["detail"]


def test_doctor_without_an_engine_says_how_to_get_one(sbi: Commands) -> None:
    code, found = checks(sbi, **NO_ENGINE)
    assert code == 1
    assert not found["engine"]["ok"]
    assert found["engine"]["mend"]
    assert "image" not in found
    assert found["data"]["ok"]


def test_doctor_names_the_command_for_a_missing_image(sbi: Commands) -> None:
    code, found = checks(sbi, SBI_IMAGE="example.invalid/none:1")
    assert code == 1
    assert found["image"]["mend"] == "docker pull example.invalid/none:1"
    assert "sandbox" not in found


def test_doctor_names_the_key_that_the_model_lacks(sbi: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    code, found = checks(sbi, SBI_MODEL="openai/any")
    assert code == 1
    assert found["model"]["mend"] == "export OPENAI_API_KEY=…"


def test_doctor_reads_the_script_of_a_scripted_model(sbi: Commands, tmp_path: Path) -> None:
    code, found = checks(sbi, SBI_MODEL=f"scripted:{tmp_path}/gone.yaml")
    assert code == 1
    assert "gone.yaml" in found["model"]["detail"]


def test_doctor_takes_a_set_key_for_granted(sbi: Commands) -> None:
    assert checks(sbi, SBI_MODEL="openai/any", OPENAI_API_KEY="not-a-real-key")[1]["model"]["ok"]


def test_doctor_reports_a_wrong_setting_and_goes_on(sbi: Commands) -> None:
    code, found = checks(sbi, SBI_MEMORY="lots")
    assert code == 1
    assert "lots" in found["settings"]["detail"]
    assert found["engine"]["ok"]


def test_doctor_names_a_workspace_that_is_missing(sbi: Commands, tmp_path: Path) -> None:
    code, found = checks(sbi, SBI_WORKSPACE=str(tmp_path / "gone"))
    assert code == 1
    assert "mkdir" in found["workspace"]["mend"]


def test_doctor_names_a_data_folder_that_cannot_be_written(sbi: Commands, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, found = checks(sbi, SBI_DATA_DIR=str(tmp_path / "file" / "data"))
    assert code == 1
    assert "SBI_DATA_DIR" in found["data"]["mend"]


def test_doctor_speaks_plainly_too(sbi: Commands) -> None:
    done = sbi("doctor", env={**NO_ENGINE, "SBI_MODEL": "demo"})
    assert done.code == 1
    assert done.out.decode().startswith("NO  engine")
    assert "mend it: " in done.out.decode()
    assert "Traceback" not in done.said
