"""Pictures made small enough for a model, in a container: the host never decodes a picture."""

from __future__ import annotations

import hashlib
import shlex

from sandbox_interpreter import pictures
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.inspection import Inspector
from sandbox_interpreter.notices import Notices
from sandbox_interpreter.pictures import Picture

SIDE = 1568
"""Pixels of the longer side of what comes out. Providers scale larger ones down (Anthropic's page on vision)."""
_MOST_REMEMBERED = 16

_PROGRAM = f"""
import io, sys
from PIL import Image
Image.MAX_IMAGE_PIXELS = 150_000_000
picture = Image.open(io.BytesIO(sys.stdin.buffer.read()), formats=["PNG", "JPEG", "GIF", "WEBP"])
lossless = picture.format in ("PNG", "GIF")
picture.draft("RGB", ({SIDE}, {SIDE}))
picture = picture.convert("RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB")
picture.thumbnail(({SIDE}, {SIDE}))
made = io.BytesIO()
picture.save(made, "PNG")
if not lossless or made.tell() > 2_000_000:
    made = io.BytesIO()
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture if picture.mode == "RGBA" else None)
    ground.save(made, "JPEG", quality=85)
sys.stdout.buffer.write(made.getvalue())
"""
"""PNG keeps the lines of charts sharp; photographs, and charts that are too large as PNG, become JPEG."""
_COMMAND = f"exec python3 -I -c {shlex.quote(_PROGRAM)}"


class Reducer:
    """Reduces each picture once. Each time in a new container: whoever drew one may have meant to take it over."""

    def __init__(self, settings: Settings, notices: Notices) -> None:
        self._settings = settings
        self._notices = notices
        self._made: dict[bytes, Picture | None] = {}

    def __call__(self, picture: Picture) -> Picture | None:
        """Return the picture with its longer side at most SIDE, as PNG or JPEG; None where that cannot be done."""
        key = hashlib.sha256(picture.data).digest()
        if key not in self._made:
            if len(self._made) >= _MOST_REMEMBERED:
                self._made.clear()
            self._made[key] = self._reduced(picture)
        return self._made[key]

    def _reduced(self, picture: Picture) -> Picture | None:
        try:
            with Inspector(self._settings, self._notices) as container:
                return pictures.identify(container.look(_COMMAND, picture.data))
        except SandboxInterpreterError as error:
            self._notices(f"A picture is too large for the model and could not be made smaller: {error}")
            return None
