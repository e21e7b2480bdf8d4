#!/usr/bin/env python3
"""Checks what arrived in a Kinesis stream against what the journal had acknowledged; shares no code with tollkeeper.

    check_stream.py ENDPOINT STREAM ACKNOWLEDGED

ACKNOWLEDGED: one recordId a line, as the producer wrote them down after each acknowledgement. Reads every shard with boto3
and prints one JSON object: how many records, how many of them duplicates, and what is wrong: `missing` (acknowledged and not
there), `disordered` (sessions whose records, without duplicates, are not START, INTERIM ..., STOP by recordSequence from 0),
`incomplete` (sessions without STOP), `undecodable`. What is wrong is the caller's to judge; exit code 0 if it could be read.
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "demo"))
from read_stream import read  # noqa: E402  (found by the line above)


def is_ordered(records):
    """START 0, INTERIM 1, 2, ..., STOP last if at all."""
    for place, (kind, sequence) in enumerate(records):
        last = place == len(records) - 1
        expected = "START" if place == 0 else "STOP" if last and kind == "STOP" else "INTERIM"
        if sequence != place or kind != expected:
            return False
    return True


def check(endpoint, stream, acknowledged):
    seen, sessions, per_shard = set(), {}, {}
    records = duplicates = undecodable = 0
    for shard_id, entry in read(endpoint, stream):
        records += 1
        per_shard[shard_id] = per_shard.get(shard_id, 0) + 1
        try:
            record = json.loads(entry["Data"])
            record_id, session = record["recordId"], record["sessionId"]
            kind, sequence = record["recordType"], record["recordSequence"]
        except (ValueError, KeyError, TypeError):
            undecodable += 1
            continue
        if record_id in seen:
            duplicates += 1
            continue
        seen.add(record_id)
        sessions.setdefault(session, []).append((kind, sequence))
    missing = sorted(acknowledged - seen)
    disordered = sorted(session for session, found in sessions.items() if not is_ordered(found))
    incomplete = sorted(session for session, found in sessions.items() if found[-1][0] != "STOP")
    return {
        "records": records,
        "unique": len(seen),
        "duplicates": duplicates,
        "undecodable": undecodable,
        "sessions": len(sessions),
        "shards": per_shard,
        "missing": len(missing),
        "missing_first": missing[:5],
        "disordered": len(disordered),
        "disordered_first": [[session, sessions[session]] for session in disordered[:5]],
        "incomplete": len(incomplete),
    }


def main(endpoint, stream, acknowledged_path):
    with open(acknowledged_path, encoding="utf-8") as file:
        # The producer may have been killed in the middle of a line; that one was not acknowledged to anybody.
        acknowledged = {line[:-1] for line in file if line.endswith("\n")}
    print(json.dumps(check(endpoint, stream, acknowledged)))


if __name__ == "__main__":
    main(*sys.argv[1:4])
