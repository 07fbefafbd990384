"""SQL by hand, ``python -m dags.demo.sql 'SELECT …'``, on the engine of CLICKHOUSE_DSN, most often the embedded one.

The embedded engine has no port for a client, and opened beside this project it makes whatever runs here fail: this
waits for its turn, and others for it.
"""

from __future__ import annotations

import argparse
import sys

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.engine import open_client
from dags.domain.errors import UserError
from dags.settings import current_settings


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m dags.demo.sql", description="Run a statement by hand.")
    arguments.add_argument("sql", help="one statement; what it answers is tab-separated unless it says FORMAT itself")
    sql = arguments.parse_args().sql
    try:
        settings = current_settings()
        with open_client(settings.clickhouse_dsn, wait_seconds=settings.engine_wait_seconds, who="SQL") as client:
            sys.stdout.buffer.write(client.raw_query(sql))
    except (UserError, ClickHouseError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
