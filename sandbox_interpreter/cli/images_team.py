"""sbi images build -f: a team's image from its file."""

from __future__ import annotations

from pathlib import Path

from sandbox_interpreter.catalogue.build import BuildOptions
from sandbox_interpreter.cli import progress, report
from sandbox_interpreter.cli.images_engine import engine_of
from sandbox_interpreter.cli.images_verify import line
from sandbox_interpreter.config import Settings


def build_team_image(file: Path, settings: Settings, how: BuildOptions) -> None:
    """Build, verify and name the image of a team's file. Raises ConfigError, BuildFailed, EngineError."""
    from sandbox_interpreter.recipes import derive, reader

    recipe = reader.read(file)
    with engine_of(settings) as engine:
        progress.show(derive.derive(recipe, file, engine, how, lambda result: report.say(line(result))),
                      plain=settings.plain)
