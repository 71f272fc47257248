"""The keys of Open Interpreter's config.yaml and profiles, so that its users can bring theirs.

Source: the config.yaml, profiles and attributes of Interpreter in its versions 0.1.12 and 0.4.3, and the page "All
Settings" of its documentation. A key that is called the same here needs no entry.
"""

from __future__ import annotations

from collections.abc import Mapping

OURS: Mapping[str, str] = {
    "debug_mode": "debug",
    "verbose": "debug",
    "function_calling_llm": "supports_functions",
    "plain_text_display": "plain",
    "llm.supports_vision": "vision",
    **{f"llm.{name}": name for name in ("model", "temperature", "api_base", "api_key", "context_window", "max_tokens",
                                        "max_budget", "max_output", "supports_functions", "custom_instructions")},
}
"""Keys that are called otherwise here."""

_HISTORY = "every session is kept; see the folder that SBI_DATA_DIR names"
_SANDBOX = "code runs in the sandbox; see the settings image, network and workspace"
_PROMPT = "it has no counterpart; write what the model should know into system_message"
_ALWAYS = "it has no meaning here"
_NOTHING_SENT = "nothing is sent to anybody but the model's server"
_AZURE = "set the variable AZURE_API_VERSION"

ELSEWHERE: Mapping[str, str] = {
    "version": _ALWAYS,
    "os": "a sandbox has no screen, mouse or keyboard of yours to control",
    "api_version": _AZURE,
    "llm.api_version": _AZURE,
    "llm.vision_renderer": _ALWAYS,
    "llm.execution_instructions": _PROMPT,
    "conversation_history": _HISTORY,
    "conversation_filename": _HISTORY,
    "conversation_history_path": _HISTORY,
    "contribute_conversation": _NOTHING_SENT,
    "disable_telemetry": _NOTHING_SENT,
    "anonymized_telemetry": _NOTHING_SENT,
    "offline": _NOTHING_SENT,
    "integrations": _NOTHING_SENT,
    "disable_procedures": _ALWAYS,
    "gguf_quality": "model files are the business of the server that runs them",
    "use_containers": "code always runs in a container",
    "languages": "they are what the image has",
    "force_task_completion": "the model goes on until it has nothing more to run",
    "loop": "the model goes on until it has nothing more to run",
    "loop_message": _PROMPT,
    "loop_breakers": _PROMPT,
    "user_message_template": _PROMPT,
    "always_apply_user_message_template": _PROMPT,
    "code_output_template": _PROMPT,
    "empty_code_output_template": _PROMPT,
    "code_output_sender": _ALWAYS,
    "display_markdown_message": _ALWAYS,
    "highlight_active_line": _ALWAYS,
    "in_terminal_interface": _ALWAYS,
    "shrink_images": "pictures are made to fit the model's limits",
    "speak_messages": _ALWAYS,
    "multi_line": 'it is always on: write """ around the lines',
    "messages": "load them with %load_message or --conversations",
    "skills_path": _SANDBOX,
    "import_skills": _SANDBOX,
    "import_computer_api": _SANDBOX,
    "sync_computer": _SANDBOX,
    "start_script": "start such a program yourself, with the Python API",
}
"""Keys that mean something there and nothing here, and what does instead."""


def instead(key: str) -> str | None:
    """Return what replaces a key of Open Interpreter, as the end of a sentence; None for a key that is not its."""
    if key == "computer" or key.startswith("computer."):
        return _SANDBOX
    return ELSEWHERE.get(key)
