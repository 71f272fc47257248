"""The packages of an image as a software bill of materials: CycloneDX 1.6, as JSON."""

from __future__ import annotations

import datetime
import re
import uuid
from typing import Any
from urllib.parse import quote

from sandbox_interpreter.verification.probe import Inventory, Package
from sandbox_interpreter.version import VERSION


def document(reference: str, image_id: str, inventory: Inventory) -> dict[str, Any]:
    """Return the CycloneDX document of an image that is called ``reference``."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "metadata": {
            "timestamp": now.isoformat().replace("+00:00", "Z"),
            "tools": {"components": [{"type": "application", "name": "sandbox-interpreter", "version": VERSION}]},
            "component": {"type": "container", "bom-ref": "image", "name": reference, "version": image_id},
        },
        "components": [_component(package) for package in inventory.packages],
        "dependencies": [{"ref": "image", "dependsOn": sorted({address(each) for each in inventory.packages})}],
    }


def address(package: Package) -> str:
    """Return the package URL of a package: ``pkg:deb/debian/bash@5.2.37-2%2Bb5?arch=amd64``.

    Source: the package URL specification and its types deb, pypi and npm.
    """
    version = _quoted(package.version)
    if package.kind == "deb":
        return f"pkg:deb/debian/{_quoted(package.name.lower())}@{version}?arch={package.architecture}"
    if package.kind == "pypi":
        return f"pkg:pypi/{_quoted(re.sub(r'[-_.]+', '-', package.name).lower())}@{version}"
    return f"pkg:npm/{_quoted(package.name, safe='/')}@{version}"


def _quoted(text: str, *, safe: str = "") -> str:
    return quote(text, safe=safe, errors="replace")  # an image may name its packages by halves of characters


def _component(package: Package) -> dict[str, Any]:
    purl = address(package)
    return {"type": "library", "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl}
