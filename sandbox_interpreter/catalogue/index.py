"""Which images are bundled, and what each one is: the image.yaml files, as records."""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path

from sandbox_interpreter.errors import ConfigError, UsageError
from sandbox_interpreter.frozen import frozen
from sandbox_interpreter.version import VERSION

_PACKAGE = Path(__file__).resolve().parent
_RECORD = "image.yaml"
_PACKAGE_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@frozen
class BundledImage:
    """One bundled image.

    ``parent`` is another bundled image's name, or the reference of an image that comes from elsewhere.
    ``demo`` is a request that shows what the image is good for. ``folder`` holds its Dockerfile and verify script.
    ``bound`` is the size in bytes that it may have; None where its record sets none.
    """

    name: str
    parent: str
    languages: tuple[str, ...]
    description: str
    demo: str
    folder: Path
    bound: int | None = None

    @property
    def tag(self) -> str:
        """Return the name that the image has in an engine."""
        return tag_of(self.name)

    @property
    def verify_script(self) -> Path:
        """Return the script that proves the image from inside."""
        return self.folder / "verify"


def images_folder() -> Path:
    """Return the folder of the bundled images: inside an installed package, at the root of a source checkout."""
    installed = _PACKAGE / "bundled"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "images"


@functools.cache
def bundled() -> dict[str, BundledImage]:
    """Return every bundled image by name, parents before children. Raises ConfigError if an image.yaml is wrong."""
    if not images_folder().is_dir():
        raise ConfigError("The bundled images are missing from this installation.",
                          next_step="Install the package anew.")
    found = {path.parent.name: _read(path) for path in sorted(images_folder().glob(f"*/{_RECORD}"))}
    ordered: dict[str, BundledImage] = {}
    for image in found.values():
        for each in _with_parents(image, found):
            ordered[each.name] = each
    return ordered


def find(name: str) -> BundledImage:
    """Return the bundled image of that name. Raises UsageError that lists the names there are."""
    if image := bundled().get(name):
        return image
    raise UsageError(f"There is no bundled image {name!r}.", next_step=f"Bundled images: {', '.join(bundled())}.")


def serving(language: str, image: str) -> str:
    """Return the image to run a language in: ``image`` if it has it, else the smallest bundled one that has.

    What is in an image that is not bundled is not known, so it is taken to have everything.
    """
    own = bundled().get(image)
    if own is None or language in own.languages:
        return image
    having = [each for each in bundled().values() if language in each.languages]
    return min(having, key=lambda each: each.bound or math.inf).name if having else image


def lineage(image: BundledImage) -> list[BundledImage]:
    """Return the bundled images that ``image`` stands on, the lowest first and itself last."""
    return _with_parents(image, bundled())


def packages(image: BundledImage) -> list[str]:
    """Return the names of the Python packages that an image was asked to have, those of its parents first."""
    files = (each.folder / "requirements.txt" for each in lineage(image))
    lines = (line for file in files if file.is_file() for line in file.read_text("utf-8").splitlines())
    return [match[0] for line in lines if (match := _PACKAGE_NAME.match(line))]


def resolve(name_or_reference: str) -> str:
    """Return the reference that a name means: a bundled image's tag, and anything else as it is."""
    # Every start of a sandbox comes through here: a look at one file instead of reading every image's record.
    if name_or_reference.isidentifier() and (images_folder() / name_or_reference / _RECORD).is_file():
        return tag_of(name_or_reference)
    return name_or_reference


def is_tag(reference: str) -> bool:
    """Tell whether ``reference`` is the tag of a bundled image."""
    name = reference.removeprefix("sbi-").partition(":")[0]
    return reference == tag_of(name) == resolve(name)


def tag_of(name: str) -> str:
    """Return the name that a bundled image has in an engine; it carries the package's version."""
    return f"sbi-{name}:{VERSION}"


def _with_parents(image: BundledImage, images: dict[str, BundledImage]) -> list[BundledImage]:
    line = [image]
    while parent := images.get(line[0].parent):
        if parent in line:
            raise ConfigError(f"Image {image.name!r} is its own ancestor.",
                              next_step=f"Mend the parent in {image.folder}/image.yaml.")
        line.insert(0, parent)
    return line


def _read(path: Path) -> BundledImage:
    import yaml

    try:
        data = yaml.safe_load(path.read_text("utf-8"))
        return BundledImage(name=path.parent.name, parent=str(data["parent"]), languages=tuple(data["languages"]),
                            description=str(data["description"]), demo=str(data["demo"]), folder=path.parent,
                            bound=int(data["megabytes"]) * 1_000_000 if "megabytes" in data else None)
    except (TypeError, KeyError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is not the record of an image: {error}.",
                          next_step="It needs name, parent, languages, description and demo.") from None
