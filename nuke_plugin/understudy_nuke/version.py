"""Which release this is; `understudy nuke install` writes it."""

VERSION = "checkout"
