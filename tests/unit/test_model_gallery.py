"""Which pictures are sent, and how."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import gallery
from sandbox_interpreter.models.abilities import Abilities
from sandbox_interpreter.models.gallery import Gallery
from sandbox_interpreter.models.request import Form
from sandbox_interpreter.pictures import Picture, identify
from tests.support.pictures import base64_png, png_of

PNG = base64_png()
SEEING = Gallery(lambda: True)


def drawn(content: str = PNG, kind: str = "base64.png", role: Any = "computer") -> Message:
    return {"role": role, "type": "image", "format": kind, "content": content}


def said(content: str, role: Any = "user", kind: Any = "message") -> Message:
    return {"role": role, "type": kind, "content": content}


def code(content: str) -> Message:
    return {"role": "assistant", "type": "code", "format": "python", "content": content}


def part(content: str = PNG, kind: str = "png") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{content}"}}


def entries(*messages: Message, tools: bool = True, chosen: Gallery = SEEING) -> list[dict[str, Any]]:
    return Form(tools, 1000, chosen).request(messages, system="S")[1:]


def test_what_code_draws_goes_back_behind_the_result_of_the_call() -> None:
    _, call, result, shown = entries(said("Plot."), code("plot()"), drawn())
    assert result == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"],
                      "content": "[a picture (png) was drawn and shown to the user and to you]"}
    assert shown == {"role": "user", "content": [{"type": "text", "text": "[drawn by the code above]"}, part()]}


def test_what_code_draws_goes_back_with_the_output_of_the_block_without_tools() -> None:
    shown = entries(said("Plot."), code("plot()"), drawn(), tools=False)[-1]
    assert shown["content"][0]["text"].startswith("The output of this block:\n\n```\n[a picture (png) was drawn")
    assert shown["content"][1:] == [part()]


def test_what_the_user_attaches_stands_in_the_users_message() -> None:
    url = {**drawn("https://pictures.example/cat.png", "url", "user")}
    [shown] = entries(said("Compare these."), drawn(role="user"), url)  # type: ignore[arg-type]  # a message, spread
    assert shown["content"] == [{"type": "text", "text": "Compare these."}, part(),
                                {"type": "image_url", "image_url": {"url": "https://pictures.example/cat.png"}}]


def test_a_model_that_sees_nothing_is_told_of_pictures() -> None:
    assert entries(said("Look."), drawn(role="user"), chosen=gallery.BLIND) == [
        {"role": "user", "content": "Look.\n[the user attached a picture (png) that you cannot see]"}]
    without = Gallery(lambda: True, urls=False)
    [shown] = entries(said("Look."), drawn("https://a.example/b.png", "url", "user"), chosen=without)
    assert shown["content"] == "Look.\n[the user gave the address of a picture: https://a.example/b.png]"


def test_whether_it_sees_is_not_asked_without_pictures() -> None:
    def fail() -> bool:
        raise AssertionError

    assert entries(said("Hi."), chosen=Gallery(fail)) == [{"role": "user", "content": "Hi."}]


def test_only_the_newest_pictures_are_sent() -> None:
    messages = [drawn(base64_png(width)) for width in range(1, 15)]
    assert sorted(SEEING.shown(messages)) == list(range(14 - gallery.MOST_PICTURES, 14))


def test_all_pictures_together_stay_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "MOST_TOTAL", 3 * len(base64.b64decode(PNG)))
    assert sorted(SEEING.shown([drawn()] * 6)) == [3, 4, 5]


def test_a_file_named_in_a_message_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(base64.b64decode(PNG))
    assert SEEING.shown([drawn(str(path), "path", "user"), drawn(str(path), "base64.png"), drawn(str(path), "")]) == {}


@pytest.mark.parametrize("content", ["", "not base64", base64.b64encode(b"\x7fELF").decode(),
                                     base64.b64encode(b"<svg></svg>").decode()])
def test_what_is_no_picture_that_providers_take_is_not_sent(content: str) -> None:
    assert SEEING.shown([drawn(content)]) == {}


def test_what_the_picture_is_counts_not_what_it_is_called() -> None:
    assert SEEING.shown([drawn(PNG, "base64.jpeg")]) == {0: part()}


def test_a_picture_that_is_too_large_is_made_to_fit_or_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Picture] = []

    def shrink(picture: Picture) -> Picture | None:
        asked.append(picture)
        return identify(png_of([b"\0\0\0"]))

    monkeypatch.setattr(gallery, "MOST_SIDE", 3)
    small = base64.b64encode(png_of([b"\0\0\0"])).decode()
    assert Gallery(lambda: True, shrink=shrink).shown([drawn(), drawn(small)]) == {0: part(small), 1: part(small)}
    assert [picture.width for picture in asked] == [4]
    assert Gallery(lambda: True, shrink=lambda _: None).shown([drawn()]) == {}
    assert SEEING.shown([drawn()]) == {}


def test_ollama_gets_no_addresses_and_no_format_that_would_be_decoded_on_the_host() -> None:
    chosen = Abilities("ollama_chat/llava", vision=True).gallery(None, urls=True)
    gif = base64.b64encode(b"GIF89a\x09\0\x07\0" + bytes(20)).decode()
    messages = [drawn("https://a.example/b.png", "url"), drawn(gif, "base64.gif"), drawn()]
    assert chosen.shown(messages) == {2: part()}
    assert Abilities("openai/gpt-4o").gallery(None, urls=True).shown(messages).keys() == {0, 1, 2}
