"""litellm, loaded late and kept quiet.

Importing it takes about two seconds and its first call half a second more, so nothing imports it at its own top:
``load`` does when a model is called, ``preload`` begins that in the background.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType

LOADER = "load-litellm"
"""The name of the thread that ``preload`` starts."""

_lock = threading.RLock()  # two threads that import one package at once can see each other's half-made modules


def load() -> ModuleType:
    """Return litellm, set up so that it downloads nothing, reports nothing and prints nothing by itself."""
    with _lock:
        # Otherwise the import fetches a price map from the network.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        # Otherwise the import reads a .env file of the current project into this process's environment.
        os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
        # Otherwise it fetches the pictures whose addresses are in a request, for providers that do not.
        os.environ.setdefault("MAX_IMAGE_URL_DOWNLOAD_SIZE_MB", "0")
        ignore_its_warnings()
        import litellm

        litellm.suppress_debug_info = True  # "Give Feedback / Get Help", printed on every error
        litellm.disable_streaming_logging = True  # a thread pool and an event loop for callbacks that nobody set
        litellm.drop_params = True  # a provider that lacks, say, a temperature is called without one
        litellm.disable_hf_tokenizer_download = True  # else counting tokens may ask a server for a tokenizer
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)  # what fails is raised, and told once
        return litellm


def leaves_pictures_alone(litellm: ModuleType) -> bool:
    """Tell whether litellm was kept from fetching pictures: not where somebody else has imported it before."""
    return not litellm.constants.MAX_IMAGE_URL_DOWNLOAD_SIZE_MB


def ignore_its_warnings() -> None:
    """Ignore the warnings that litellm causes itself, by calling pydantic as newer releases do not like it.

    They are about its own source, so neither its user nor ours can act on them.
    """
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"litellm\.")
    warnings.filterwarnings("ignore", message=r".*tems? .*on TypedDict class '\w+' (is|are) using the `ReadOnly`",
                            category=UserWarning, module=r"pydantic\._internal\._generate_schema")


def preload(*, then: Callable[[], object] = lambda: None) -> None:
    """Begin to load litellm, in the background, and to do what needs it; returns at once."""
    def work() -> None:
        _warm_up()
        then()

    threading.Thread(target=work, name=LOADER, daemon=True).start()


@cache
def _warm_up() -> None:
    with _lock:
        litellm = load()
        # An answer that is made up in this process loads the modules that litellm itself loads at its first call.
        list(litellm.completion(model="openai/none", messages=[{"role": "user", "content": ""}], stream=True,
                                mock_response="-", api_key="none"))
        litellm.token_counter(model="openai/none", text="-")  # loads the tokenizer
