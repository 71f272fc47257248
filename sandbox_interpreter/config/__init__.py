"""Settings: one record, and where its values come from.

    settings    the record: every setting with its default, range, and explanation
    fields      how one is declared; ``rules`` is what a project's file may do with it
    conversion  what somebody wrote, as a value of the right type
    sources     a file, the environment, a command line; ``yaml_file`` and ``seed`` are how a file is read
    project     the file .sbi.yaml of a project; ``trust`` is which of them the user trusts
    layers      all sources in their order: ``load``
    describe    the settings explained, for a new settings file and the documentation

What others need of it is listed below.
"""

from sandbox_interpreter.config.conversion import check_range, convert, tightens
from sandbox_interpreter.config.folders import config_folder, data_folder, home_folder, locate, user_file
from sandbox_interpreter.config.layers import Resolved, extend, load, refuse, resolve
from sandbox_interpreter.config.settings import Settings

__all__ = ["Resolved", "Settings", "check_range", "config_folder", "convert", "data_folder", "extend", "home_folder",
           "load", "locate", "refuse", "resolve", "tightens", "user_file"]
