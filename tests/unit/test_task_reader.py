"""Task files: what is read, and how every mistake is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.tasks.reader import parse, read
from sandbox_interpreter.tasks.record import Check, Input, Task
from sandbox_interpreter.tasks.schema import schema

PAGE = Path(__file__).parents[2] / "docs" / "task.schema.json"


def task(text: str) -> Task:
    return parse(text.encode(), Path("t.yaml"), "t")


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        task(text)
    return str(caught.value).splitlines()


WHOLE = """
name: sums
description: The sum is right.
prompt: Sum data.csv into sum.txt.
image: python
languages: [py, shell]
inputs: [data.csv, {from: fixtures/*.json, to: in/}]
network: none
memory: 512m
timeout: 60
deadline: 600
budget: 0.25
model: scripted:script.yaml
retries: 2
env: {TZ: UTC, N: 1}
secret: API
artifacts: sum.txt
checks:
  - test -s sum.txt
  - {name: right, code: "assert 1", language: python}
  - {run: "true"}
"""


def test_a_whole_file_is_read_into_one_record() -> None:
    found = task(WHOLE)
    assert (found.name, found.kind, found.retries, found.deadline) == ("sums", "prompt", 2, 600.0)
    assert found.languages == ("python", "shell")
    assert found.inputs == (Input("data.csv"), Input("fixtures/*.json", "in/"))
    assert found.artifacts == ("sum.txt",)
    assert found.checks == (Check("test -s sum.txt", "shell", "test -s sum.txt"), Check("right", "python", "assert 1"),
                            Check("true", "shell", "true"))
    assert found.settings == {"image": "python", "network": "none", "memory": 512 * 2**20, "timeout": 60.0,
                              "max_budget": 0.25, "model": "scripted:script.yaml", "env": ("TZ=UTC", "N=1"),
                              "secret": ("API",)}


def test_every_mistake_is_told_at_once_with_file_line_and_column() -> None:
    assert problems("code: print(1)\nbudgt: 1\nretries: -1\nmemory: much\nchecks:\n  - {run: a, code: b}\n  - []\n"
                    "inputs:\n  - /etc/passwd\n  - {from: a, to: ../b}\nlanguage: klingon\n") == [
        "t.yaml:2:1: unknown key 'budgt'.",
        "t.yaml:3:10: retries: -1 is too small; the least is 0.",
        "t.yaml:4:9: memory: 'much' is not a size; write it like 512m or 1g.",
        "t.yaml:6:5: checks: a check has either `run:` (a shell command) or `code:`.",
        "t.yaml:7:5: checks: here must be a text.",
        "t.yaml:9:5: inputs: '/etc/passwd' is not relative to the task's file.",
        "t.yaml:10:5: inputs: '../b' is no name in /workspace.",
        "t.yaml:11:11: language: Unknown language 'klingon'.",
    ]


@pytest.mark.parametrize(("text", "told"), [
    ("", "t.yaml:1:1: a task is a map"),
    ("- a\n", "t.yaml:1:1: a task is a map"),
    ("name: x\n", "t.yaml:1:1: a task has either `prompt:` or `code:`"),
    ("prompt: a\ncode: b\n", "t.yaml:1:1: a task has either"),
    ("code: ''\n", "t.yaml:1:1: a task has either"),
    ("code: [a\n", "t.yaml:2:1: this is not YAML"),
    ("code: a\ncode: b\n", "t.yaml:2:1: 'code' stands here a second time."),
    ("code: !!python/object:os.system a\n", "t.yaml:1:7: tags like"),
    ("code: &a x\nname: *a\n", "t.yaml:2:7: aliases are not taken here"),
    ("code: {a: b}\n", "t.yaml:1:7: code: here must be a single value"),
    ("prompt: a\nisolation: cell\n", "t.yaml:2:12: isolation: cell is for code"),
    ("code: a\nisolation: none\n", "t.yaml:2:12: isolation: 'none' is not possible"),
    ("code: a\nartifacts: /etc/*\n", "t.yaml:2:12: artifacts: '/etc/*' does not name files in /workspace."),
    ("code: a\nengine: podman\n", "t.yaml:2:1: unknown key 'engine'."),
    ("code: a\napi_base: http://evil\n", "t.yaml:2:1: unknown key 'api_base'."),
    ('code: a\nname: "x\\ny"\n', "t.yaml:2:7: name: 'x\\ny' is no name"),
])
def test_a_file_that_is_no_task_is_refused(text: str, told: str) -> None:
    assert problems(text)[0].startswith(told)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        read(tmp_path / "none.yaml", "none")


def test_the_published_schema_is_the_one_that_the_record_makes() -> None:
    made = json.dumps(schema(), indent=2) + "\n"
    assert PAGE.read_text("utf-8") == made, f"write it anew: sbi task --schema > {PAGE.name}"


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("text", [WHOLE, "code: print(1)", "code: a\nchecks: 'true'\nmemory: 1073741824\n"])
def test_the_schema_takes_what_the_reader_takes(text: str, validator: Any) -> None:
    task(text)
    validator.validate(yaml.safe_load(text))


@pytest.mark.parametrize("text", [
    "name: x", "prompt: a\ncode: b", "code: a\nbudgt: 1", "code: a\nretries: -1", "code: a\nisolation: none",
    "code: a\nchecks: [{run: a, code: b}]", "code: a\ninputs: [{to: a}]", "code: a\nartifacts: ['']"])
def test_the_schema_refuses_what_the_reader_refuses(text: str, validator: Any) -> None:
    assert problems(text)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(yaml.safe_load(text))
