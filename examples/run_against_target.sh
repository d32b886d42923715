#!/usr/bin/env bash
# Starts the example that serves on a port of the kernel's choice, gives its address to the one that connects, stops it.
#   run_against_target.sh <program that serves> <program that connects> <line expected of it>
set -euo pipefail
serve=$1
connect=$2
expected=$3

coproc target { exec "$serve" 0; }
target_pid=$target_PID
exec {from_target}<&"${target[0]}"
trap 'kill -KILL "$target_pid" 2>/dev/null || true' EXIT

IFS= read -r -t 60 -u "$from_target" line || { echo "the target does not start" >&2; exit 1; }
where=${line#serving at }
[[ "$where" != "$line" ]] || { echo "the target says: $line" >&2; exit 1; }

output=$("$connect" "$where")
echo "$output"
grep -qF "$expected" <<<"$output" || { echo "expected the line: $expected" >&2; exit 1; }

kill -TERM "$target_pid"
IFS= read -r -t 60 -u "$from_target" line || { echo "the target does not say that it ended" >&2; exit 1; }
[[ "$line" == served ]] || { echo "the target says: $line" >&2; exit 1; }
wait "$target_pid"
trap - EXIT
