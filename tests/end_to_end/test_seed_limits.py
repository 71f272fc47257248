"""What users of the seed do, and what they miss in hosted interpreters, in the bundled image (seed_contract.py)."""

from __future__ import annotations

import re
from pathlib import Path

from sandbox_interpreter import magics
from sandbox_interpreter.config import Settings
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import fold
from tests.support.chats import chat, outputs
from tests.support.openai_server import call, say

DATA = """
import numpy as np, pandas as pd
rows = 1_000_000
table = pd.DataFrame({"town": np.random.default_rng(1).choice(["Bergen", "Pune", None], rows), "mm": np.arange(rows)})
table.to_csv("rain.csv", index=False)
"""
CLEAN = """
table = pd.read_csv("rain.csv").dropna()
mean = table.groupby("town").mm.mean()
print(sorted(mean.index), len(table) > 600_000)
mean.plot.bar()
import matplotlib.pyplot as plt
plt.show()
"""


def test_data_is_cleaned_analysed_and_plotted_in_the_bundled_image(interpreter: Interpreter) -> None:
    messages, _ = chat(interpreter, call("python", DATA), call("python", CLEAN), say("Done."))
    assert outputs(messages)[1] == "['Bergen', 'Pune'] True\n"
    assert [message["format"] for message in messages if message["type"] == "image"] == ["base64.png"]


def test_network_packages_uploads_time_and_state_are_settings_with_stated_defaults() -> None:
    page = Path(__file__).parents[2].joinpath("docs/settings.md").read_text("utf-8")
    defaults = Settings()
    assert (defaults.network, defaults.image, defaults.timeout, defaults.idle) == ("none", "python", 0.0, 600.0)
    for name in ("network", "image", "workspace", "timeout", "idle", "output", "memory"):
        assert re.search(rf"^\| `{name}`", page, re.MULTILINE), name


def test_a_file_of_more_than_100_mb_goes_in(interpreter: Interpreter, tmp_path: Path) -> None:
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(101 * 1024 * 1024)
    told = "".join(each["content"] for each in fold(magics.run(interpreter, f"%upload {tmp_path}/large.bin")))
    assert "Copied to `/workspace/large.bin`" in told
    messages, _ = chat(interpreter, call("shell", "wc -c < large.bin; rm large.bin"), say("Large."))
    assert outputs(messages) == ["105906176\n"]
