"""What a reader of the documentation has at hand when they try its commands."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.support.certificate import PEM
from tests.support.documented import PAGES, blocks
from tests.support.openai_server import OpenAIServer, say

DEMO_PAGES = {"README.md"}
"""Pages on which no model is configured until they say so; elsewhere a short script answers."""

LOCAL_PAGES = {"docs/models.md"}
"""Pages that speak of a model server on this machine: theirs listens where LM Studio does."""
LM_STUDIO = 1234

BEFORE = {
    "docs/networks.md": ["sbi Count."],
    "docs/sessions.md": ['sbi "plot the rain"'],
    "docs/tasks.md": ["export SBI_MODEL=scripted:tests/sums.yaml"],
}
"""What a page takes for granted: commands that run before its own."""

_FILES = {
    "script.py": "import os, sys\nprint(sys.argv)\nos.makedirs('plots', exist_ok=True)\n"
                 "for name in ('a.csv', 'plots/b.txt'): open(name, 'w').close()",
    "noname": "echo shell",
    "analysis.py": "import sys\nprint(sys.argv)",
    "summarise.py": "import sys\nprint(len(sys.stdin.readlines()))",
    "plot.py": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
    "untrusted.sh": "echo harmless",
    "data.csv": "town,mm\nBergen,3\n",
    "data/towns.csv": "town\nBergen\nBergen\n",
    "tests/check.py": "import os\nassert os.environ['API_TOKEN'] == 'secret'\nopen('report.xml', 'w').close()",
    "corporate.pem": PEM,
    "work.yaml": "memory: 512m\n",
    ".sbi.yaml": "memory: 900m\n",
    "tests/tasks/data.csv": "amount\n40\n2\n",
    "tests/tasks/slow-count.yaml": "code: print(sum(range(10**6)))\n",
    "tests/sums.yaml": "repeat: true\nturns:\n  - code: open('sum.txt', 'w').write('42\\n')\n  - text: It is 42.\n",
    "config.yaml": "llm:\n  temperature: 0\noffline: true\n",  # as Open Interpreter's
}
_TURNS = {"turns": [{"text": "I count.", "code": "print(6 * 7)"}, {"text": "It rained."}], "repeat": True}
_ANSWERS = 40
"""Answers that the loopback server gives before it fails: more than there are calls of it on one page."""


def furnish(folder: Path) -> None:
    """Put into ``folder`` the files that the pages speak of."""
    for name, text in _FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "tests/tasks/sum.yaml").write_text(blocks(PAGES["docs/tasks.md"], "yaml")[0])
    (folder / "answers.yaml").write_text(blocks(PAGES["docs/models.md"], "yaml")[0])


@contextmanager
def environment(page: str, folder: Path) -> Iterator[dict[str, str]]:
    """Give the environment for the commands of a page: nothing of this person's but the engine, and a model's server.

    It answers in the place of every provider. ``folder`` takes what a home and a temporary folder hold.
    """
    kept = {name: value for name, value in os.environ.items()
            if not re.match(r"SBI_(?!CONFIG_DIR|DATA_DIR|LOCAL)|\w+_API_KEY$", name)}
    script = folder / "short.yaml"
    script.write_text(yaml.safe_dump(_TURNS))
    for name in ("home", "temporary"):
        (folder / name).mkdir()
    port = LM_STUDIO if page in LOCAL_PAGES else 0
    server = OpenAIServer(*[say("There it is.")] * _ANSWERS, port=port, models=["llama3.1"])
    with server, socket.create_server(("127.0.0.1", 0)) as free:
        serve_port = str(free.getsockname()[1])
        free.close()
        yield kept | ({} if page in DEMO_PAGES else {"SBI_MODEL": f"scripted:{script}"}) | {
            "HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary"), "EDITOR": "true", "API_TOKEN": "secret",
            "SBI_AUTO_RUN": "true", "SBI_API_KEY": "of-nobody", "SBI_API_BASE": server.url, "SBI_PORT": serve_port}
