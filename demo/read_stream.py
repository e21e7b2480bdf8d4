#!/usr/bin/env python3
"""Reads a whole Kinesis stream with boto3 and writes its records as JSON lines, in the order of the stream.

    read_stream.py ENDPOINT STREAM OUTPUT.jsonl

Closed shards are read as well, parents before their children, so that the records of one partition key come in the order
in which the stream took them. Nothing is deduplicated. Prints how many records there were.
"""

import sys
import time

import boto3
from botocore.config import Config


def client(endpoint):
    """Credentials and region come from the environment, as for every tool of AWS."""
    return boto3.client("kinesis", endpoint_url=endpoint, config=Config(retries={"max_attempts": 10}))


def shards_in_order(kinesis, stream):
    """All shards, each after those it came from."""
    listed = {shard["ShardId"]: shard for shard in kinesis.list_shards(StreamName=stream)["Shards"]}
    ordered = {}

    def visit(shard_id):
        if shard_id in listed and shard_id not in ordered:
            shard = listed[shard_id]
            for parent in (shard.get("ParentShardId"), shard.get("AdjacentParentShardId")):
                visit(parent)
            ordered[shard_id] = shard

    for shard_id in sorted(listed):
        visit(shard_id)
    return list(ordered.values())


def records_of_shard(kinesis, stream, shard_id):
    """Everything in one shard. An open shard has no end; two empty answers with nothing behind are taken for it."""
    begin = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON")
    iterator, empty = begin["ShardIterator"], 0
    while iterator and empty < 2:
        answer = kinesis.get_records(ShardIterator=iterator, Limit=10000)
        yield from answer["Records"]
        iterator = answer.get("NextShardIterator")
        if answer["Records"] or answer["MillisBehindLatest"] > 0:
            empty = 0
        else:
            empty += 1
            time.sleep(0.01)


def read(endpoint, stream):
    """(shard id, record) for every record of the stream."""
    kinesis = client(endpoint)
    for shard in shards_in_order(kinesis, stream):
        for record in records_of_shard(kinesis, stream, shard["ShardId"]):
            yield shard["ShardId"], record


def main(endpoint, stream, output):
    count = 0
    with open(output, "wb") as file:
        for _, record in read(endpoint, stream):
            file.write(record["Data"] + b"\n")
            count += 1
    print(count)


if __name__ == "__main__":
    main(*sys.argv[1:4])
