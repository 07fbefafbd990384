"""With clickhouses:// the server is verified: who is not whom the address names hears nothing, no password either."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.domain.errors import EngineError
from dags.tests.postgres_backfill.tls import make_certificates, tls_from_the_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.tests.postgres_backfill.tls import Certificates

SECRET = "Hx7hunter"

# Where OpenSSL, and with it Python, looks for authorities: the whole process trusts these and no others.
TRUSTED = "SSL_CERT_FILE"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(engine_dsn: Callable[[str], str]) -> Dsn:
    return Dsn.parse(engine_dsn("server"))


def test_a_server_of_an_authority_that_the_environment_names_is_answered(
    server: Dsn, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRUSTED, str(certificates.authority))
    with tls_from_the_start(server.port, certificates) as (port, heard):
        dsn = replace(server, scheme="clickhouses", host="localhost", port=port, database="default")
        with open_client(dsn, wait_seconds=5) as client:
            assert client.command("SELECT 1") == 1
        assert b"SELECT 1" in heard


def test_a_process_takes_the_authority_from_its_environment(server: Dsn, certificates: Certificates) -> None:
    """As runs, the code server and the daemon do, which are handed nothing else."""
    code = (
        "import sys; from dags.clickhouse.dsn import Dsn; from dags.clickhouse.engine import open_client\n"
        "with open_client(Dsn.parse(sys.argv[1]), wait_seconds=5) as client: print(client.command('SELECT 1'))"
    )
    with tls_from_the_start(server.port, certificates) as (port, _):
        address = f"clickhouses://{server.user}@localhost:{port}/default"
        asked = subprocess.run(
            [sys.executable, "-c", code, address],
            env={TRUSTED: str(certificates.authority)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (asked.stdout, asked.stderr) == ("1\n", "")


UNKNOWN = "certificate verify failed: unable to get local issuer certificate"


@pytest.mark.parametrize(
    ("trusted", "host", "served", "words"),
    [
        ("", "localhost", "server", UNKNOWN),
        ("other_authority", "localhost", "server", UNKNOWN),
        ("authority", "127.0.0.1", "server", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("authority", "localhost", "expired", "certificate verify failed: certificate has expired"),
    ],
    ids=["an unknown authority", "another authority", "another host", "a certificate whose time is over"],
)
def test_who_is_not_whom_the_address_names_is_refused_by_name_and_hears_nothing(  # noqa: PLR0917 -- fixtures among them
    server: Dsn,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    trusted: str,
    host: str,
    served: str,
    words: str,
) -> None:
    if trusted:
        monkeypatch.setenv(TRUSTED, str(getattr(certificates, trusted)))
    with tls_from_the_start(server.port, certificates, is_expired=served == "expired") as (port, heard):
        dsn = replace(server, scheme="clickhouses", host=host, port=port, user="me", password=SECRET)
        with pytest.raises(EngineError) as refused, open_client(dsn, wait_seconds=5):
            pass
        assert heard == b""
    said = str(refused.value)
    assert f"clickhouses://me@{host}:{port}/web_analytics" in said
    assert words in said
    assert SECRET not in said
