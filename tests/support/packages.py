"""A wheel and an npm package of one line each, and the indexes that offer them: folders for a server of ``web``."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

WHEEL = "tiny-1.0-py3-none-any.whl"
TARBALL = "tiny-1.0.0.tgz"
PIP_PRINTS = "pip install -q tiny && python3 -c 'import tiny; print(tiny.SIZE)'"
"""A command of the shell that installs the wheel, and prints 1."""
NPM_PRINTS = "npm install --no-audit --no-fund --silent tiny && node -p 'require(\"tiny\")'"
"""The same with npm, which prints 22."""


def offer_wheel(folder: Path, files: str = "") -> None:
    """Make ``folder`` an index as pip reads it (PEP 503); the files of its packages are at the address ``files``.

    It has the wheel, and names one of pip's own, which is not there.
    """
    for name, file in (("tiny", WHEEL), ("pip", "pip-1.0-py3-none-any.whl")):
        (folder / name).mkdir(parents=True)
        (folder / name / "index.html").write_text(
            f'<!DOCTYPE html><html><body><a href="{files}{file}">x</a></body></html>')
    with zipfile.ZipFile(folder / "tiny" / WHEEL, "w") as wheel:
        wheel.writestr("tiny.py", "SIZE = 1\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\n"
                                                   "Tag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")


def offer_npm(folder: Path, files: str) -> None:
    """Make ``folder`` a registry as npm reads it; its tarballs are below the address ``files``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in (("package.json", json.dumps({"name": "tiny", "version": "1.0.0", "main": "index.js"})),
                           ("index.js", "module.exports = 22;\n")):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    folder.mkdir(parents=True)
    (folder / TARBALL).write_bytes(packed.getvalue())
    digest = base64.b64encode(hashlib.sha512(packed.getvalue()).digest()).decode()
    for name in ("tiny", "npm"):
        version = {"name": name, "version": "1.0.0", "dist": {
            "tarball": f"{files}{TARBALL}", "integrity": f"sha512-{digest}"}}
        (folder / name).write_text(json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"},
                                               "versions": {"1.0.0": version}}))
