"""The command line: thin, it parses, calls and prints."""

from sweep.cli.app import main

__all__ = ["main"]
