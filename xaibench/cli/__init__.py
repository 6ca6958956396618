"""The command line: arguments -> plan -> run, report, compare, list. Nothing is computed here, and
nothing slow is imported before a command needs it."""

from .application import app
from .ending import exit_code, main

__all__ = ["app", "exit_code", "main"]
