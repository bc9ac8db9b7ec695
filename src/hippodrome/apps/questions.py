"""What programs answer instead of doing their work: help, version, what is in effect."""

from __future__ import annotations

import sys

from hippodrome.apps import commandline
from hippodrome.apps.base import Program, effective, version_text
from hippodrome.apps.commandline import CommandLine
from hippodrome.apps.exitcodes import FAILED, OK
from hippodrome.apps.streams import complain


def answer(program: type[Program], line: CommandLine) -> int:
    """Answer the question of a command line, and return the exit code."""
    match line.question:
        case commandline.VERSION:
            print(version_text(program.name))
        case commandline.HELP:
            from hippodrome.apps.helptext import help_text

            print(help_text(program))
        case commandline.HELP_ALL:
            from hippodrome.apps.helptext import full_help_text

            print(full_help_text(program))
        case commandline.GENERATE:
            from hippodrome.apps.generating import write_config_file

            folder = program(effective(program, line).config).find_profile_dir()
            try:
                print(f"wrote {write_config_file(program, folder)}")
            except FileExistsError as error:
                return complain(program.name, str(error), FAILED)
        case question:
            from hippodrome.apps.showing import as_json, as_text

            show = as_json if question == commandline.SHOW_JSON else as_text
            found = effective(program, line)
            print(show(program, found))
    sys.stdout.flush()  # while it can still be noticed that nobody reads it
    return OK
