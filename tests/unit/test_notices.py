from __future__ import annotations

from sandbox_interpreter.engines.image_base import Progress
from sandbox_interpreter.notices import Notices


def test_what_is_announced_is_told_and_what_is_counted_is_waited_for() -> None:
    told: list[str] = []
    waited: list[str] = []
    notices = Notices()
    notices.step("python", Progress("nobody listens"))
    notices.step("python", Progress("RUN true", 1, 9))
    notices.listener, notices.waiting = told.append, waited.append
    for progress in (Progress("Building it"), Progress("RUN pip install", 3, 9), Progress("Pulling x", 512, 2048)):
        notices.step("python", progress)
    assert told == ["Building it"]
    assert waited == ["Image python: step 3 of 9: RUN pip install", "Image python: 25 %"]
