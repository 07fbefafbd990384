"""``make demo-sources``: late data from a PostgreSQL and a bucket that this starts itself, on an embedded engine.

The story runs in a process of its own, for whoever opens the embedded engine keeps it until the end, and a person may
want to go on by hand while PostgreSQL still runs (``KEEP=1``).
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dags.demo.console import step
from dags.demo.sources import partner
from dags.tests.postgres_server import PostgresError, running_postgres
from dags.tests.s3_server import running_s3

if TYPE_CHECKING:
    from dags.tests.s3_server import S3Server

ROOT = Path(__file__).resolve().parents[3]
OWN = ROOT / ".demo-sources"

POSTGRES_DSN, DATABASE = "TENANT_POSTGRES_DSN", "tenant"
DECLARED = f"""\
pipelines:
  - name: tenant-import
    dsn_env: {POSTGRES_DSN}
    tables:
      - table: public.page_views
        key: id
        changed: updated_at
        into: events
        columns: {{team_id: tenant_id, uuid: event_id, event: event, timestamp: happened_at, person_id: person,
          session_id: session, pathname: path}}
ingestions:
  - name: partner-logs
    source_path: %s
    access_key_env: {partner.KEY}
    secret_key_env: {partner.SECRET}
    source_file_pattern: "year=*/month=*/*.jsonl.gz"
    format: JSONEachRow
    columns: {{uuid: id, event: name, timestamp: at, person_id: person, session_id: visit, pathname: path}}
    constants: {{team_id: "6"}}
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--keep", action="store_true", help="let PostgreSQL run in the end, until Ctrl-C")
    arguments.add_argument("--directory", type=Path, default=OWN, help="where its data are; made anew by each run")
    given = arguments.parse_args()
    try:
        sys.exit(demo(given.directory.resolve(), keep=given.keep))
    except PostgresError as error:
        sys.exit(
            f"\n{error}\n\nThis demo starts a PostgreSQL from its programs, which `make setup` brings for Linux and "
            "macOS. Elsewhere install them (Debian: apt-get install postgresql). Nothing was touched."
        )
    except KeyboardInterrupt:
        sys.exit(130)


def demo(directory: Path, *, keep: bool) -> int:
    """Start PostgreSQL, have the story told on it, and end it; answers with the exit code.

    Raises:
        PostgresError: there is none to start. Nothing was touched.
    """
    with (
        tempfile.TemporaryDirectory(prefix="demo-sources-") as data,
        running_postgres(Path(data) / "pg") as server,
        running_s3() as storage,
    ):
        storage.make_bucket(partner.BUCKET)
        step(
            "1",
            f"a PostgreSQL of its own on port {server.port} and a bucket at {storage.endpoint}; in the file of "
            "WEB_ANALYTICS_SOURCES:\n",
        )
        own = _declared(directory, server.dsn(DATABASE), storage)
        print(DECLARED % storage.url(partner.BUCKET, "data/"), flush=True)
        code = subprocess.run([sys.executable, "-m", "dags.demo.sources.postgres"], env=own, check=False).returncode
        if code == 0:
            _go_on(directory, keep=keep)
        if code == 0 and keep:
            threading.Event().wait()
    return code


def _declared(directory: Path, dsn: str, storage: S3Server) -> dict[str, str]:
    """Write what the location reads here, and where it is; answers with the environment of those who use it."""
    home = directory / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / ".dagster" / "dagster.yaml", home)
    (directory / "sources.yaml").write_text(DECLARED % storage.url(partner.BUCKET, "data/"))
    own = {
        "CLICKHOUSE_DSN": f"chdb://{directory}/clickhouse",
        "DAGSTER_HOME": str(home),
        "WEB_ANALYTICS_SOURCES": str(directory / "sources.yaml"),
        POSTGRES_DSN: dsn,
        partner.ENDPOINT: storage.endpoint,
        partner.KEY: storage.access_key,
        partner.SECRET: storage.secret_key,
    }
    (directory / "env").write_text("".join(f"export {name}={shlex.quote(text)}\n" for name, text in own.items()))
    # What a person has set for a location of his own is none of this one's.
    kept = {name: text for name, text in os.environ.items() if not name.startswith("WEB_ANALYTICS_")}
    return {**kept, **own}


def _go_on(directory: Path, *, keep: bool) -> None:
    shown = directory.relative_to(ROOT) if directory.is_relative_to(ROOT) else directory
    print(
        f"\nLook at it in the UI:   source .venv/bin/activate && source {shown}/env && dg dev\n"
        f"Ask in a terminal:      the same, then dg launch --job show_postgres_backfills_job"
    )
    if keep:
        print(
            f"PostgreSQL runs until Ctrl-C; its address is ${POSTGRES_DSN}. In another terminal, when env is sourced,\n"
            "load from it:           dg launch --job postgres_backfill_job -c <(echo '{pipeline: tenant-import,\n"
            "                          table_name: public.page_views, filter_sql: tenant_id = 5}')",
            flush=True,
        )
    else:
        print("PostgreSQL is stopped:  make demo-sources KEEP=1 lets it run, to load by hand", flush=True)


if __name__ == "__main__":
    main()
