#!/bin/sh
# Writes the stubs of proto/understudy/v1 beside their .proto files; with --check, fails when they are not what is
# committed. The generator is pinned (docs/decisions/0003) and lives in .venv/proto, made by `make proto`.
set -eu
cd "$(dirname "$0")/.."
out=proto
if [ "${1:-}" = --check ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi
.venv/proto/bin/python -m grpc_tools.protoc -Iproto \
  --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" proto/understudy/v1/*.proto
if [ "$out" != proto ]; then
  for made in "$out"/understudy/v1/*_pb2*; do
    cmp "$made" "proto/understudy/v1/$(basename "$made")" || { echo "stubs are stale: run make proto" >&2; exit 1; }
  done
fi
