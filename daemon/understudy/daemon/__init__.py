"""The daemon: the only room where the wire (`understudy.v1`) and core meet.

A *server* process answers gRPC calls and keeps jobs in SQLite; it never imports torch. One *worker* process, spawned
when there is work and kept warm, runs core's generators and sends their reports through a pipe.
"""

import os

# gRPC's library looks at this when it is loaded. It tells every handshake that fails on standard error otherwise, past
# our log and its form: anybody who knocks could fill the journal.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
