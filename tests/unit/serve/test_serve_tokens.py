from __future__ import annotations

import hmac
from pathlib import Path

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.servers import tokens
from sandbox_interpreter.servers.tokens import DEFAULT, Tokens
from tests.support.http_server import ALICE, BOB


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# who may come in\n\nalice {ALICE}\n  bob\t{BOB}\n")
    path.chmod(0o600)
    return path


def test_a_token_tells_its_client(file: Path) -> None:
    known = tokens.of(Settings(token_file=str(file)))
    assert (known.client(ALICE), known.client(BOB)) == ("alice", "bob")
    for wrong in ("", ALICE[:-1], ALICE + "x", ALICE.upper(), "é", "\udcff", "alice"):
        assert known.client(wrong) is None


def test_one_token_without_a_name_is_the_default_clients(tmp_path: Path) -> None:
    assert tokens.of(Settings(token=ALICE)).client(ALICE) == DEFAULT
    path = tmp_path / "one"
    path.write_text(ALICE)
    assert tokens.of(Settings(token_file=str(path))).client(ALICE) == DEFAULT


def test_without_tokens_there_are_none() -> None:
    assert not tokens.of(Settings())
    assert tokens.of(Settings()).client("") is None


def test_the_tokens_themselves_are_not_kept(file: Path) -> None:
    assert ALICE not in repr(tokens.of(Settings(token_file=str(file), token="another-0123456789abc")))


def test_every_token_is_looked_at_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    known = Tokens({name: name.encode() * 32 for name in "abc"})
    monkeypatch.setattr(tokens, "_digest", lambda _: b"a" * 32)
    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert known.client("x") == "a"
    assert compared == [b"a" * 32, b"b" * 32, b"c" * 32]


@pytest.mark.parametrize(("text", "said"), [
    ("short", "line 1: a token has at least 16 characters"),
    ("alice tøken-0123456789abcdef", "line 1: a token has"),
    (f"a {ALICE}\na {BOB}", "line 2: the client 'a' or its token is there twice"),
    (f"a {ALICE}\nb {ALICE}", "line 2: the client 'b' or its token is there twice"),
    (f"a b {ALICE}", "line 1 has more than a name and a token"),
    ("# nothing\n", "holds no token"),
])
def test_a_malformed_file_is_refused_with_its_line_and_without_its_tokens(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        tokens.of(Settings(token_file=str(path)))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.next_step
    assert ALICE not in caught.value.report()
    assert "tøken" not in caught.value.report()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        tokens.of(Settings(token_file=str(tmp_path / "nowhere")))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        tokens.of(Settings(token_file=str(tmp_path / "binary")))


def test_a_file_that_others_can_read_is_told(file: Path) -> None:
    assert not tokens.is_open_to_others(file)
    file.chmod(0o640)
    assert tokens.is_open_to_others(file)


def test_a_generated_token_is_long_new_and_acceptable() -> None:
    one, other = tokens.generate(), tokens.generate()
    assert one != other
    assert len(one) >= 43  # 32 bytes in base64
    assert tokens.collect([("a", one, "")]).client(one) == "a"
