"""sbi serve against its own OpenAPI document: schemathesis asks what the document allows, and what it forbids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from sandbox_interpreter.engines.docker import DockerEngine
from tests.support.http_process import Server, script, serving
from tests.support.sbi_process import Commands

TOKEN = "token-0123456789abcdef"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, engine: DockerEngine) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    for name in ("here", "temporary"):
        (folder / name).mkdir()
    commands = Commands(folder / "here", folder / "temporary", engine)
    environment = {"SBI_TOKEN": TOKEN, "SBI_DATA_DIR": str(folder / "data"), "SBI_CONFIG_DIR": str(folder / "config")}
    model = script(folder, {"text": "Yes."})
    with serving(commands, "-m", model, "-y", "--rate", "0", "--timeout", "2", env=environment) as one:
        yield one


@pytest.fixture(scope="module")
def api(server: Server) -> Any:
    document = httpx.get(f"{server.url}/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
    schema = schemathesis.openapi.from_dict(document.json())
    schema.config.update(base_url=server.url)
    return schema


OPERATIONS = ["GET /health", "GET /chat", "POST /chat", "POST /run", "GET /history", "GET /sessions",
              "DELETE /sessions/{session_id}"]
CASES = [(label, mode) for label in OPERATIONS for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
         if (label, mode) != ("GET /health", GenerationMode.NEGATIVE)]  # it takes nothing that could be wrong


@pytest.mark.timeout(300)  # hundreds of requests, each with a run or an answer behind it
@pytest.mark.parametrize(("label", "mode"), CASES)
def test_every_operation_keeps_to_the_document(label: str, mode: GenerationMode, api: Any) -> None:
    operation = operations(api)[label]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=30, suppress_health_check=list(HealthCheck), database=None)
    def check(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)

    check()


def test_the_document_describes_every_route(api: Any) -> None:
    assert set(operations(api)) == set(OPERATIONS)


def operations(api: Any) -> dict[str, Any]:
    found = [result.ok() for result in api.get_all_operations()]
    return {operation.label: operation for operation in found}
