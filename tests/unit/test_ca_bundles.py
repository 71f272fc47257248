from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from sandbox_interpreter.catalogue import certificates, trust
from sandbox_interpreter.errors import ConfigError
from tests.support.certificate import PEM


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text(PEM)
    return path


def test_a_host_without_a_bundle_has_none() -> None:
    assert certificates.find(None, {"HOME": "/"}) is None


def test_the_setting_wins_over_the_hosts_variables(bundle: Path) -> None:
    found = certificates.find(str(bundle), {"SSL_CERT_FILE": "/nonexistent"})
    assert found is not None
    assert found.pem.decode() == PEM


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"])
def test_each_usual_variable_is_honoured(bundle: Path, variable: str) -> None:
    found = certificates.find(None, {variable: str(bundle)})
    assert found is not None
    assert len(found.blocks) == 1


def test_the_first_variable_that_is_set_counts(bundle: Path) -> None:
    with pytest.raises(ConfigError, match="/nonexistent"):
        certificates.find(None, {"SSL_CERT_FILE": "/nonexistent", "PIP_CERT": str(bundle)})


def test_a_missing_file_is_an_error_that_names_it_and_what_named_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.pem \(PIP_CERT\) cannot be read: No such file") as caught:
        certificates.find(None, {"PIP_CERT": str(tmp_path / "gone.pem")})
    assert "PIP_CERT" in caught.value.next_step


@pytest.mark.parametrize("content", [
    b"", b"hello", ssl.PEM_cert_to_DER_cert(PEM),
    b"-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n",
    b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
])
def test_a_file_that_is_no_pem_certificate_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ca.der"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="PEM") as caught:
        certificates.find(str(path), {})
    assert "openssl x509" in caught.value.next_step


def test_only_certificates_are_taken_from_the_file(bundle: Path) -> None:
    bundle.write_text("# ours\n-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n" + PEM + PEM)
    found = certificates.read(bundle, "ca_bundle")
    assert found.pem.decode() == PEM + PEM


def test_line_ends_and_comments_do_not_change_the_digest(bundle: Path) -> None:
    plain = certificates.read(bundle, "ca_bundle").digest
    bundle.write_bytes(b"# a comment\r\n" + PEM.replace("\n", "\r\n").encode())
    assert certificates.read(bundle, "ca_bundle").digest == plain


def test_the_trust_layer_has_a_file_for_each_certificate_and_returns_to_the_sandbox_user(bundle: Path) -> None:
    bundle.write_text(PEM + PEM)
    files = trust.layer("sbi-x:1", certificates.read(bundle, "ca_bundle"))
    assert sorted(files) == ["Dockerfile", "certificates/extra-000.crt", "certificates/extra-001.crt"]
    lines = files["Dockerfile"].decode().splitlines()
    assert lines[0] == "FROM sbi-x:1"
    assert lines[-1] == "USER 1000:1000"
