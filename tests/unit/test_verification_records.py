"""What looks like a secret, which runtimes are known to be bad, and the bill of materials."""

from __future__ import annotations

import datetime
import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sandbox_interpreter.cli.images_verify import line
from sandbox_interpreter.verification import runtimes, sbom, secrets
from sandbox_interpreter.verification.probe import Inventory, Package
from sandbox_interpreter.verification.subject import failed
from sandbox_interpreter.verification.verify import Result

NOW = datetime.date(2026, 6, 1)


@pytest.mark.parametrize(("name", "value"), [
    ("DB_PASSWORD", "x"), ("GITHUB_TOKEN", "x"), ("api_key", "x"), ("X", "AKIA" + "Q7" * 8),
    ("X", "sk-ant-" + "a1" * 20), ("INDEX", "https://me:pw@index.example/simple"), ("X", "glpat-" + "a" * 20),
])
def test_a_variable_that_is_a_secret_is_told(name: str, value: str) -> None:
    assert list(secrets.in_variable(name, value))


@pytest.mark.parametrize(("name", "value"), [
    ("PATH", "/usr/bin:/bin"), ("GITHUB_TOKEN", ""), ("TOKENIZERS_PARALLELISM", "false"), ("GPG_KEY", "E3FF2839"),
    ("INDEX", "https://index.example/simple"), ("X", "AKIAIOSFODNN7EXAMPLE"), ("X", "git@example.org:a/b.git"),
])
def test_what_is_none_is_left_in_peace(name: str, value: str) -> None:
    assert not list(secrets.in_variable(name, value))


@pytest.mark.parametrize(("path", "data"), [
    ("/root/.netrc", b"machine a login b password c"), ("/home/x/.npmrc", b"//r/:_authToken=abc"),
    ("/etc/pip.conf", b"[global]\nindex-url = https://u:p@i.example/simple"), ("/app/.env", b"DB_PASSWORD=x"),
    ("/etc/apt/sources.list.d/team.sources", b"URIs: https://u:p@mirror.example/debian"),
    ("/root/.docker/config.json", b'{"auths": {"r": {"auth": "dTpw"}}}'),
    ("/x", b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n" + b"M" * 64),
])
def test_a_file_with_a_secret_is_told(path: str, data: bytes) -> None:
    assert list(secrets.in_file(path, data))


@pytest.mark.parametrize(("path", "data"), [
    ("/home/x/.npmrc", b"//r/:_authToken=${NPM_TOKEN}"), ("/usr/lib/x.py", b'"-----BEGIN PRIVATE KEY-----"'),
    ("/usr/lib/x.so", b"\x7fELF\0ghp_" + b"a" * 40), ("/etc/pip.conf", b"[global]\nindex-url = https://i.example"),
    ("/usr/share/config.json", b'{"auth": "basic"}'),
])
def test_a_file_without_one_is_left_in_peace(path: str, data: bytes) -> None:
    assert not list(secrets.in_file(path, data))


@pytest.mark.parametrize(("path", "piece"), [
    ("/x", b"a:-----BEGIN PRIVATE KEY-----\n"), ("/x/.pgpass", b"a: : "), ("/x/.pypirc", b"\n"),
    ("/x/.env", b"TOKEN"), ("/x/a.list", b"a."), ("/x/.npmrc", b"_auth "),
])
def test_no_pattern_takes_for_ever_on_a_file_that_was_made_for_it(path: str, piece: bytes) -> None:
    assert not list(secrets.in_file(path, (piece * secrets.MOST_BYTES)[:secrets.MOST_BYTES - 1] + b"\n"))


def test_a_hostile_file_is_looked_into_in_linear_time() -> None:
    data = (b"-----BEGIN PRIVATE KEY-----\n" + b"a:\n" * 20) * 4000
    assert not list(secrets.in_file("/x", data[:secrets.MOST_BYTES]))


@pytest.mark.parametrize(("runtime", "said", "fault"), [
    ("python", "Python 3.9.2", "not mended since 2025-10-31"), ("python", "Python 3.13.1", "mended in 3.13.4"),
    ("node", "v18.19.0", "not mended since 2025-04-30"), ("openssl", "OpenSSL 1.1.1w  11 Sep 2023", "since 2023-09-11"),
])
def test_an_old_runtime_is_warned_about(runtime: str, said: str, fault: str) -> None:
    (warning,) = runtimes.warnings(Inventory((), {runtime: said}), NOW)
    assert fault in warning


@pytest.mark.parametrize(("runtime", "said"), [
    ("python", "Python 3.13.5"), ("python", "Python 3.14.0"), ("node", "v22.1.0"), ("node", "command not found"),
    ("openssl", "OpenSSL 3.5.1 1 Jul 2025"), ("bash", "GNU bash, version 5.2.37(1)-release (x86_64-pc-linux-gnu)"),
])
def test_a_sound_runtime_is_not(runtime: str, said: str) -> None:
    assert not list(runtimes.warnings(Inventory((), {runtime: said}), NOW))


@pytest.mark.parametrize("said", ["9" * 5000, "Python 3." + "1." * 5000, "³.1", "\ud800"])
def test_what_is_no_version_is_passed_over(said: str) -> None:
    assert list(runtimes.warnings(Inventory((), {"python": said}), NOW)) is not None


def test_halves_of_characters_in_a_packages_name_are_replaced() -> None:
    packages = tuple(Package(kind, "a\ud800", "1\ud800", "amd64") for kind in ("deb", "pypi", "npm"))
    found = sbom.document("x", "sha256:0", Inventory(packages, {}))
    assert [each["purl"].count("%3F") for each in found["components"]] == [2, 2, 2]


def test_what_an_image_says_cannot_begin_another_line_of_the_table() -> None:
    assert line(Result("proof", failed("x\nok    secrets"))) == "FAIL  proof      x␊ok    secrets"


def test_a_package_with_a_back_door_is_warned_about() -> None:
    bad = Package("deb", "liblzma5", "5.6.1-1", "amd64")
    (warning,) = runtimes.warnings(Inventory((bad, bad._replace(name="xz", version="5.8.1-1")), {}), NOW)
    assert warning.startswith("liblzma5 5.6.1: known to be vulnerable (CVE-2024-3094")


def test_the_bill_of_materials_is_valid_cyclonedx() -> None:
    packages = (Package("deb", "libstdc++6", "14.2.0-19", "amd64"),
                Package("deb", "login", "1:4.16.0-2+really2.41-5", "all"),
                Package("pypi", "Scikit_Learn", "1.9.1"), Package("npm", "@types/node", "24.1.0"))
    document = sbom.document("sbi-python:0.1.0", "sha256:" + "a" * 64, Inventory(packages, {}))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    assert [each["purl"] for each in document["components"]] == [
        "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64",
        "pkg:deb/debian/login@1%3A4.16.0-2%2Breally2.41-5?arch=all",
        "pkg:pypi/scikit-learn@1.9.1", "pkg:npm/%40types/node@24.1.0"]
