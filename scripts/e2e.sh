#!/usr/bin/env bash
# The end-to-end tests in two lanes beside each other: calls through Kamailio in one, everything else in the other. Mostly they wait
# for the time that calls take; within a lane it is one file after the other, because each starts real programs and two cores are
# soon busy. What a file says is printed when it is done. Those with a real FreeSWITCH are skipped unless TOLLKEEPER_FREESWITCH
# names where one is installed (the folder with bin/freeswitch).
set -euo pipefail
cd "$(dirname "$0")/.."
said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
# The shell lets a lane in the background go on after an interrupt.
trap 'trap - TERM; kill 0' INT TERM

names() {
    local file
    for file in "$@"; do basename "$file" .rs; done
}

lane() {
    local name begun status=0
    for name in "$@"; do
        begun=$SECONDS
        cargo test --workspace --test "$name" -- --test-threads=1 >"$said/$name" 2>&1 || status=1
        flock "$said" cat "$said/$name"
        echo "[e2e] $name: $((SECONDS - begun)) s"
    done
    return $status
}

mapfile -t calls < <(names tests/tests/kamailio_*.rs)
mapfile -t others < <(names tests/tests/{diameter,freeswitch,kinesis}_*.rs)
# Built before, so that no lane waits for the other's compiler.
cargo test --workspace --no-run "${calls[@]/#/--test=}" "${others[@]/#/--test=}"
status=0
lane "${calls[@]}" &
beside=$!
lane "${others[@]}" || status=1
wait "$beside" || status=1
exit $status
