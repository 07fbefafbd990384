"""A partner's files in a bucket, as partners upload them: a day a file, packed, under names of their own."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, Any

import boto3

from dags.demo.traffic.generate import generate

if TYPE_CHECKING:
    from dags.demo.traffic.generate import Traffic

BUCKET = "partner"
ENDPOINT, KEY, SECRET = "PARTNER_S3_ENDPOINT", "PARTNER_S3_KEY", "PARTNER_S3_SECRET"

# What the generator calls these, and the partner.
NAMES = {
    "uuid": "id", "event": "name", "timestamp": "at", "person_id": "person", "session_id": "visit", "pathname": "path",
}  # fmt: skip


def upload(traffic: Traffic) -> tuple[int, int]:
    """Upload traffic, in place of files of these days that may be there; how many files and rows those are."""
    storage: Any = boto3.client(
        "s3", endpoint_url=os.environ[ENDPOINT], region_name="us-east-1",
        aws_access_key_id=os.environ[KEY], aws_secret_access_key=os.environ[SECRET],
    )  # fmt: skip
    files, rows = 0, 0
    for frame in generate(traffic):
        day = frame["timestamp"].iloc[0]
        table: Any = frame[list(NAMES)].rename(columns=NAMES).astype({"id": str, "person": str})
        lines = table.to_json(orient="records", lines=True, date_format="iso", date_unit="us")
        name = f"data/year={day:%Y}/month={day:%m}/{day:%Y-%m-%d}.jsonl.gz"
        storage.put_object(Bucket=BUCKET, Key=name, Body=gzip.compress(lines.encode()))
        files, rows = files + 1, rows + len(table)
    return files, rows
