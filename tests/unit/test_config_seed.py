"""Settings files of Open Interpreter work here: what means the same is taken, the rest is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_interpreter import config
from sandbox_interpreter.config import Settings, seed
from sandbox_interpreter.config.settings import FIELDS
from sandbox_interpreter.errors import ConfigError

FIRST = """\
system_message: |
  You are Open Interpreter.
  Run any code.
local: false
model: "gpt-4"
temperature: 0
integrations: [helicone]
max_output: 2000
max_budget: None
context_window: null
debug_mode: False
auto_run: False
"""
"""In the form of version 0.1.12."""

LATER = """\
### OPEN INTERPRETER CONFIGURATION FILE
llm:
  model: "gpt-4o"
  temperature: 0.5
  api_key: KEY
  api_base: http://localhost:1234/v1
  api_version: 2024-02-01
  max_output: 2500
  supports_vision: true
  supports_functions: False
computer:
  import_computer_api: true
custom_instructions: Be brief.
auto_run: True
offline: True
verbose: True
multi_line: False
plain_text_display: true
version: 0.4.3
"""
"""In the form of version 0.4.3, a profile."""

DOTTED = """\
llm.model: "gpt-3.5-turbo-1106"
llm.temperature: 0
llm.max_tokens: 4096
computer.offline: True
disable_telemetry: true
version: 0.2.0
"""
"""In the form of version 0.2."""


@pytest.fixture(autouse=True)
def nothing_in_the_environment(own_folders: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file alone speak: what keeps tests from finding model servers is a setting too."""
    monkeypatch.delenv("SBI_LOCAL")


def loaded(text: str, tmp_path: Path) -> config.Resolved:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return config.resolve(file=file)


def test_a_config_file_of_the_first_versions_is_taken(tmp_path: Path) -> None:
    resolved = loaded(FIRST, tmp_path)
    assert resolved.settings == Settings(
        system_message="You are Open Interpreter.\nRun any code.\n", model="gpt-4", local=False, temperature=0.0,
        max_output=2000)
    [notice] = resolved.notices
    assert notice == f"{tmp_path}/config.yaml:7: integrations is of no effect here: {seed.instead('integrations')}."


def test_a_profile_of_the_last_versions_is_taken(tmp_path: Path) -> None:
    resolved = loaded(LATER, tmp_path)
    assert resolved.settings == Settings(
        model="gpt-4o", temperature=0.5, api_key="KEY", api_base="http://localhost:1234/v1", max_output=2500,
        supports_functions=False, vision=True, custom_instructions="Be brief.", auto_run=True, debug=True, plain=True)
    assert [notice.partition(": ")[2].split()[0] for notice in resolved.notices] == [
        "llm.api_version", "computer.import_computer_api", "offline", "multi_line", "version"]
    assert "AZURE_API_VERSION" in resolved.notices[0]
    assert resolved.found["model"].place == f"{tmp_path}/config.yaml:3"


def test_a_config_file_with_dotted_names_is_taken(tmp_path: Path) -> None:
    resolved = loaded(DOTTED, tmp_path)
    assert resolved.settings == Settings(model="gpt-3.5-turbo-1106", max_tokens=4096)
    assert len(resolved.notices) == 3


@pytest.mark.parametrize("key", sorted(
        {*seed.ELSEWHERE, "computer", "computer.anything"} - FIELDS.keys()))
def test_a_key_that_means_nothing_here_is_named_with_what_does(key: str, tmp_path: Path) -> None:
    resolved = loaded(f"{key}: 'no'\n", tmp_path)
    assert resolved.settings == Settings()
    assert resolved.notices == (f"{tmp_path}/config.yaml:1: {key} is of no effect here: {seed.instead(key)}.",)


def test_a_setting_under_two_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml:3: llm\.model means model, which is set already"):
        loaded("model: a\nllm:\n  model: b\n", tmp_path)


@pytest.mark.parametrize(("text", "meant"), [
    ("llm:\n  modle: gpt\n", "llm.model"), ("debug_mod: true\n", "debug_mode"), ("sytem_message: x", "system_message"),
    ("llm: gpt\n", ""), ("zzz.zzz: 1\n", ""),
])
def test_a_mistyped_key_is_an_error_that_names_the_nearest(text: str, meant: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Unknown setting") as caught:
        loaded(text, tmp_path)
    assert caught.value.next_step == (f"Did you mean {meant!r}?" if meant else "List them: sbi config show")


def test_other_names_lead_to_settings_that_there_are() -> None:
    assert set(seed.OURS.values()) <= set(FIELDS)
    assert not set(seed.OURS) & set(FIELDS)
