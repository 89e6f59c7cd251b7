"""The command `understudy`."""

from understudy.client.cli.app import main

__all__ = ["main"]
