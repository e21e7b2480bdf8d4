#!/usr/bin/env bash
# The end-to-end tests, one file after the other: each starts real programs, and two cores are soon busy. Those with a real
# FreeSWITCH are skipped unless TOLLKEEPER_FREESWITCH names where one is installed (the folder with bin/freeswitch).
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
for file in tests/tests/{diameter,freeswitch,kamailio,kinesis}_*.rs; do
    name=$(basename "$file" .rs)
    begun=$(date +%s)
    cargo test --workspace --test "$name" -- --test-threads=1 || status=1
    echo "[e2e] $name: $(( $(date +%s) - begun )) s"
done
exit $status
