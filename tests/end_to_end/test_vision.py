"""Pictures on their way: from the user's files and from code in a container to a model, through litellm."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter import pictures
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.models.gallery import MOST_BYTES
from tests.support.openai_server import OpenAIServer, call, say
from tests.support.pictures import png_of

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()"
LARGE = ("import io, os\nfrom PIL import Image\n"
         "Image.frombytes('RGB', (1500, 1200), os.urandom(5400000))")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SBI_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        with Interpreter(auto_run=True) as interpreter:
            yield interpreter


@pytest.fixture
def interpreter(shared: Interpreter) -> Interpreter:
    shared.reset()
    return shared


def point(interpreter: Interpreter, server: OpenAIServer, *, vision: bool | None) -> None:
    interpreter.model = "openai/scripted"
    interpreter.api_base, interpreter.api_key = server.url, "key-of-a-test"
    interpreter.supports_functions, interpreter.vision = True, vision


def parts(entry: dict[str, Any]) -> list[pictures.Picture]:
    """Return the pictures of an entry of a request."""
    content = entry["content"] if isinstance(entry["content"], list) else []
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    found = [pictures.identify(base64.b64decode(url.partition(",")[2])) for url in urls]
    return [picture for picture in found if picture]


def test_images_that_code_draws_go_back_to_a_model_that_sees(interpreter: Interpreter) -> None:
    with OpenAIServer(call("python", FIGURE), say("It rises.")) as server:
        point(interpreter, server, vision=True)
        messages = interpreter.chat("Plot it.", display=False)
    result, shown = server.requests[1]["messages"][-2:]
    assert (result["role"], shown["role"]) == ("tool", "user")
    [picture] = parts(shown)
    assert picture.kind == "png"
    assert picture.width > picture.height > 300
    [drawn] = [message for message in messages if message["type"] == "image"]
    assert base64.b64decode(drawn["content"]) == picture.data


def test_a_model_that_does_not_see_gets_words(interpreter: Interpreter) -> None:
    with OpenAIServer(call("python", FIGURE), say("I drew it.")) as server:
        point(interpreter, server, vision=None)
        interpreter.chat("Plot it.", display=False)
    assert server.requests[1]["messages"][-1]["content"].endswith("[a picture (png) was drawn and shown to the user]")


def test_a_picture_that_is_too_large_is_made_smaller_for_the_model_alone(interpreter: Interpreter) -> None:
    with OpenAIServer(call("python", LARGE), say("Noise.")) as server:
        point(interpreter, server, vision=True)
        messages = interpreter.chat("Draw noise.", display=False)
    [small] = parts(server.requests[1]["messages"][-1])
    assert (small.kind, small.width, small.height) == ("jpeg", 1500, 1200)
    [drawn] = [message for message in messages if message["type"] == "image"]
    assert len(base64.b64decode(drawn["content"])) > MOST_BYTES > len(small.data)


def test_images_named_in_the_prompt_by_path_are_attached_and_addresses_passed_on(
        interpreter: Interpreter, tmp_path: Path, notices: list[str]) -> None:
    (tmp_path / "My cat.png").write_bytes(png_of([b"\xff\0\0" * 3]))
    interpreter.notify = notices.append
    with OpenAIServer(say("A cat.")) as server:
        point(interpreter, server, vision=True)
        prompt = f"Compare '{tmp_path}/My cat.png' to https://pictures.invalid/dog.png"
        messages = interpreter.chat(prompt, display=False)
    interpreter.notify = None
    content = server.requests[0]["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "image_url"]
    assert {part["image_url"]["url"][:40] for part in content[1:]} == {
        "https://pictures.invalid/dog.png", "data:image/png;base64,iVBORw0KGgoAAAANSU"}
    assert [message["type"] for message in messages] == ["message", "image", "image", "message"]
    assert notices == ["Attached: https://pictures.invalid/dog.png", f"Attached: {tmp_path}/My cat.png"]


def test_where_attaching_is_off_no_file_is_read(interpreter: Interpreter, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(png_of([b"\xff\0\0"]))
    interpreter.attaches = False
    try:
        with OpenAIServer(say("No cat.")) as server:
            point(interpreter, server, vision=True)
            interpreter.chat(f"What is in {tmp_path}/cat.png?", display=False)
    finally:
        interpreter.attaches = True
    assert isinstance(server.requests[0]["messages"][-1]["content"], str)
