from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.config import sources
from sandbox_interpreter.config.yaml_file import MOST_BYTES, Entry, entries, read_bytes
from sandbox_interpreter.errors import ConfigError

HERE = Path("x.yaml")


def read(text: str | bytes) -> list[Entry | ConfigError]:
    return list(entries(text if isinstance(text, bytes) else text.encode(), HERE))


def test_every_entry_has_its_line_and_its_text() -> None:
    text = ("# settings\nmodel: gpt\n\nnetwork: no\ntimeout: 1:30\npids: 0x10\n'auto_run': on\napi_key:\n"
            "secret:\n- A\n- 1\nenv: {B: true, C: }\nsystem_message: |\n  a\n  b\n")
    assert read(text) == [
        Entry("model", "gpt", 2), Entry("network", "no", 4), Entry("timeout", "1:30", 5), Entry("pids", "0x10", 6),
        Entry("auto_run", "on", 7), Entry("api_key", None, 8), Entry("secret", ["A", "1"], 9),
        Entry("env", {"B": "true", "C": None}, 12), Entry("system_message", "a\nb\n", 13)]


def test_groups_of_open_interpreter_are_read_as_dotted_names() -> None:
    text = "llm:\n  model: gpt\n  max_tokens: 5\nllm.temperature: 0\ncomputer: {offline: true}\nenv: {a: 1}\n"
    assert read(text) == [
        Entry("llm.model", "gpt", 2), Entry("llm.max_tokens", "5", 3), Entry("llm.temperature", "0", 4),
        Entry("computer.offline", "true", 5), Entry("env", {"a": "1"}, 6)]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeff# nothing", "null"])
def test_a_file_may_say_nothing(text: str) -> None:
    source = sources.file(HERE, data=text.encode())
    assert (source.found, source.problems, source.notices) == ({}, [], [])


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert read("\ufeffpids: 9") == [Entry("pids", "9", 1)]


@pytest.mark.parametrize(("text", "line", "said"), [
    ("a: [", 1, "this is not YAML"),
    ("pids: 1\n- x", 2, "this is not YAML"),
    ("- x", 1, "here must be `name: value` lines"),
    ("\n\njust words", 3, "here must be `name: value` lines"),
    ("pids: 1\n\x00", 2, "YAML has no character U+0000"),
    (b"pids: 1\nmodel: \xff\n", 2, "this is not UTF-8 text"),
    ("pids: 1\n---\npids: 2\n", 2, "this is not YAML: but found another document"),
    ("a: &x 1\nb: *x\n", 2, "aliases are not taken here"),
    ("\nenv: " + "[" * 20 + "]" * 20, 2, "too many lists and maps in each other"),
    ("\tpids: 1", 1, "this is not YAML"),
    ("a: 'b", 1, "this is not YAML"),
])
def test_what_is_no_settings_file_is_told_with_its_line(text: str | bytes, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith(f"x.yaml:{line}: {said}")


@pytest.mark.parametrize(("text", "line", "said"), [
    ("pids: 1\npids: 2\n", 2, "'pids' stands in line 1 already"),
    ("model: !!python/object/apply:os.system ['touch /tmp/owned']\n", 1, "tags like"),
    ("model: !!python/name:os.system\n", 1, "tags like"),
    ("secret:\n- a\n- !env HOME\n", 3, "tags like '!env'"),
    ("env:\n  A: !!binary aGk=\n", 2, "tags like"),
    ("env:\n  [A]: 1\n", 2, "a name is a text"),
])
def test_an_entry_that_cannot_be_taken_is_told_with_its_line(text: str, line: int, said: str) -> None:
    errors = [str(each) for each in read(text) if isinstance(each, ConfigError)]
    assert [error.startswith(f"x.yaml:{line}: {said}") for error in errors] == [True]


@pytest.mark.parametrize("text", ["[a]: 1\n", "{a: b}: 1\n", "? |\n  pids\n: 1\n", "<<: {pids: 1}\n", "1: 2\n",
                                  "~: 1\n"])
def test_what_is_no_name_is_no_setting(text: str) -> None:
    source = sources.file(HERE, data=text.encode())
    assert source.found == {}
    assert len(source.problems) == 1
    assert str(source.problems[0]).startswith("x.yaml:1: Unknown setting ")


@pytest.mark.parametrize("make", [
    "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 8)}]\n"
                                          for i in range(20)),
    "[" * MOST_BYTES, "{a: " * (MOST_BYTES // 4), "a: 1\n" * (MOST_BYTES // 5), "? " * (MOST_BYTES // 2),
    "a" * MOST_BYTES, "- " * (MOST_BYTES // 2), "a: '" + "\n" * (MOST_BYTES - 5), "&a " * (MOST_BYTES // 3),
    "a: " + '"' + "\\" * (MOST_BYTES - 5) + '"', "!" * MOST_BYTES, "#" * MOST_BYTES, "a: |\n" + " \n" * 30_000,
], ids=range(13))
def test_no_file_holds_anybody_up(make: str) -> None:
    begun = time.perf_counter()
    source = sources.file(HERE, data=make.encode()[:MOST_BYTES])
    assert time.perf_counter() - begun < 15  # a second or so on a machine that does nothing else
    assert not source.found


@given(st.text(max_size=200) | st.text(alphabet=" \n:-[]{}&*!|>'\"#%?,ab1", max_size=60))
def test_whatever_the_text_every_fault_is_an_error_of_ours(text: str) -> None:
    source = sources.file(HERE, data=text.encode("utf-8", "surrogatepass"))
    assert all(str(error).startswith("x.yaml:") for error in source.problems)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match="it has more than 64 KiB"):
        read_bytes(tmp_path / "large")
    (tmp_path / "large").write_bytes(b"#" * MOST_BYTES)
    assert len(read_bytes(tmp_path / "large")) == MOST_BYTES


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # with nobody at the other end, reading it would wait for ever
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "absent"):
        with pytest.raises(ConfigError, match=rf"Cannot read {path}: "):
            read_bytes(path)


def test_a_link_is_followed_where_the_user_names_the_file_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("pids: 9")
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link") == b"pids: 9"
    with pytest.raises(ConfigError, match="it is a symbolic link"):
        read_bytes(tmp_path / "link", follow=False)


def test_a_path_cannot_forge_a_line_of_a_message(tmp_path: Path) -> None:
    path = tmp_path / "a\nAll is well."
    path.write_text("nope: 1\n")
    assert "\n" not in str(sources.file(path).problems[0])
