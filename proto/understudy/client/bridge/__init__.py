"""The bridge: the daemon's calls as JSON lines on standard input and output (docs/bridge.md).

Hosts bring their own Python and their own libraries, where a compiled gRPC is at home in none. They start this as a
process of its own, by `understudy.client.link`, and need nothing but their standard library.
"""

from understudy.client.bridge.server import Bridge, serve

__all__ = ["Bridge", "serve"]
