#!/usr/bin/env python3
"""Reads back what a sink put into a bucket, with boto3 and gzip; shares no code with tollkeeper.

    objects.py ENDPOINT BUCKET create      makes the bucket
    objects.py ENDPOINT BUCKET read        prints one JSON object a line: {"key": ..., "records": [recordId, ...]}

Waits for the server to answer at most 30 seconds.
"""

import gzip
import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError


def main(endpoint, bucket, action):
    settings = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, connect_timeout=5, read_timeout=20)
    s3 = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=settings
    )
    if action == "create":
        deadline = time.monotonic() + 30
        while True:
            try:
                s3.create_bucket(Bucket=bucket)
                return
            except EndpointConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
            lines = gzip.decompress(body).decode().splitlines()
            print(json.dumps({"key": found["Key"], "records": [json.loads(line)["recordId"] for line in lines]}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
