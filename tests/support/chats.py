"""Chats of an Interpreter with the server of ``openai_server``, and what came of them."""

from __future__ import annotations

from typing import Any

from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import Message
from tests.support.openai_server import OpenAIServer, Reply


def point(interpreter: Interpreter, server: OpenAIServer, *, tools: bool = True) -> None:
    """Let ``interpreter`` ask ``server``, with tool calls or without."""
    interpreter.model = "openai/scripted"
    interpreter.api_base, interpreter.api_key = server.url, "key-of-a-test"
    interpreter.supports_functions = tools


def chat(interpreter: Interpreter, *replies: Reply, tools: bool = True,
         prompt: str = "Go.") -> tuple[list[Message], list[dict[str, Any]]]:
    """Return the messages of a chat with a server of these replies, and the requests that it got."""
    with OpenAIServer(*replies) as server:
        point(interpreter, server, tools=tools)
        return interpreter.chat(prompt, display=False), server.requests


def outputs(messages: list[Message]) -> list[str]:
    """Return what the console said in each block."""
    return [message["content"] for message in messages if message["type"] == "console"]


def codes(messages: list[Message]) -> list[str]:
    """Return the code of each block."""
    return [message["content"] for message in messages if message["type"] == "code"]
