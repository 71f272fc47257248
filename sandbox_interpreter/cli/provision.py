"""What a start may have to wait for, with its progress on stderr: an image that is missing, a folder to copy."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.image_base import ImageStore, Progress

if TYPE_CHECKING:
    from sandbox_interpreter.cli.progress import View


def provide_image(name: str, images: ImageStore, settings: Settings) -> None:
    """Build the bundled image ``name``, or pull the reference, trusting the CA bundle of the settings.

    It is what ``Sandbox(provide=…)`` takes, once the settings are bound. Raises BuildFailed, ImageMissing, EngineError.
    """
    # Nothing of this is needed where the image is there, which is every time but the first.
    from sandbox_interpreter.catalogue.build import ensure
    from sandbox_interpreter.cli import progress

    with progress.view(plain=settings.plain) as view:
        ensure(name, images, view.update, ca_bundle=settings.ca_bundle)


class Copying:
    """Shows how far a copy is, from its first step to its last: what ``Sandbox(progress=…)`` takes."""

    def __init__(self, settings: Settings) -> None:
        self._plain = settings.plain
        self._shown = ExitStack()
        self._view: View | None = None

    def __call__(self, step: Progress) -> None:
        """Show a step."""
        if self._view is None:
            from sandbox_interpreter.cli import progress

            self._view = self._shown.enter_context(progress.view(plain=self._plain))
        self._view.update(step)
        if step.done >= step.total:
            self._shown.close()
            self._view = None
