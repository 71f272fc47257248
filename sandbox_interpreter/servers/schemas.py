"""What goes over the wire, as types: they check requests, and the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sandbox_interpreter import languages
from sandbox_interpreter.sandbox.outputs import Limit

MOST_TEXT = 1024 * 1024
"""Characters of a prompt or of code."""
MOST_SECONDS = 24 * 3600
"""A day: what one request may ask to wait for. Without a limit of its own it may take longer."""

_LANGUAGES = sorted(name for language in languages.LANGUAGES for name in (language.name, *language.aliases))

Prompt = Annotated[str, Field(min_length=1, max_length=MOST_TEXT, pattern=r"\S",
                              description="What the user says to the model; not only blanks.")]
Language = Annotated[str, AfterValidator(lambda name: languages.find(name).name),
                     Field(description="The language of the code.", json_schema_extra={"enum": list(_LANGUAGES)})]


class Strict(BaseModel):
    """A request's body: a name that is not known is a mistake, not something to pass over."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=False)


class ChatRequest(Strict):
    """What the user says to the model."""

    message: Prompt


class RunRequest(Strict):
    """Code to run in the client's sandbox."""

    code: Annotated[str, Field(max_length=MOST_TEXT, description="The source text.")]
    language: Language = "python"
    timeout: Annotated[float | None, Field(
        ge=0, le=MOST_SECONDS, allow_inf_nan=False,
        description="Seconds that it may take; 0 or absent leaves it to the server, whose own limit it cannot pass.",
    )] = None
    stream: Annotated[bool, Field(description="Answer with server-sent events, as /chat does.")] = False


class ProblemDetail(BaseModel):
    """One error: a word for programs, and what, which and the next step for people."""

    type: str
    message: str
    next_step: str


class Problem(BaseModel):
    """What every error is answered with."""

    error: ProblemDetail


class Message(BaseModel):
    """One finished entry of a conversation."""

    role: Literal["system", "user", "assistant", "computer"]
    type: Literal["message", "code", "console", "image"]
    format: str | None = Field(default=None, description="The code's language, output, or base64.png and its like.")
    content: str


class Ending(BaseModel):
    """How a run ended."""

    type: Literal["result"]
    exit_code: int = Field(description="The program's own; 124 when the time limit ended it, 137 memory or a kill.")
    duration_ms: float = Field(description="Milliseconds, measured in the sandbox.")
    limit: Limit | None = Field(description="The limit that the run met.")
    interrupted: bool = Field(description="Whether it was told to stop.")


class RunResult(Ending):
    """How a run ended, and all that it put out."""

    stdout: str
    stderr: str = Field(description="What it wrote there, and the traceback of an error.")
    images: list[Message] = Field(description="Pictures that the code drew.")
    truncated: bool = Field(description="Whether output is missing here, because there was too much of it.")


class Session(BaseModel):
    """A session that is open: a conversation and a sandbox."""

    id: str
    created: str = Field(description="When it was opened: ISO 8601, UTC.")
    busy: bool = Field(description="Whether a request is being answered in it now.")
    idle_seconds: float = Field(description="Time since the last request ended; 0 while one is being answered.")
    messages: int = Field(description="How many the conversation has.")
    image: str = Field(description="The image that its sandbox is made from.")


class Health(BaseModel):
    """That the server answers."""

    status: Literal["ok"]


class Chunk(BaseModel):
    """The event ``message``: a piece of a message on its way. A block has a start, content and an end."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant", "computer"]
    type: Literal["message", "code", "console", "image", "confirmation"]
    format: str = ""
    content: Any = Field(default=None, description="Text; the number of a line (active_line); code (confirmation).")
    start: bool = False
    end: bool = False


class Notice(BaseModel):
    """The event ``notice``: what is waited for, in a sentence."""

    type: Literal["notice"]
    content: str


class End(BaseModel):
    """The event ``end``: the answer is complete."""

    type: Literal["end"]


PROBLEM = "#/components/schemas/Problem"
"""Where FastAPI puts the schema of Problem."""
_DATA = [*(model.model_json_schema() for model in (Chunk, Notice, End, Ending)), {"$ref": PROBLEM}]
EVENTS: dict[str, Any] = {"schema": {
    "type": "object",
    "description": "One server-sent event. The last one of a stream is end, result or error.",
    "required": ["data"],
    "properties": {
        "event": {"enum": ["message", "notice", "end", "result", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": _DATA}},
        "id": {"type": "string"},
    }}}
"""What a text/event-stream is made of, for OpenAPI."""
