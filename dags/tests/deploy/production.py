"""What docker-compose.yml starts, as processes on this machine, from the same files: commands, environment, instance,
secrets, proxy. No container, so host names are 127.0.0.1 and ports are free ones; nothing else is changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import psycopg
import yaml
from psycopg import sql

from dags.tests.deployment import ROOT, Deployment
from dags.tests.test_dev import free_port

if TYPE_CHECKING:
    from dags.tests.postgres_server import PostgresServer

DEPLOY = ROOT / "dags" / "deploy"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

# Whatever has a meaning in a URL, in a password file, in a shell or in XML.
POSTGRES_PASSWORD = "p:o\\s'g$r \"e&s<@/?%41#"
UI_USER, UI_PASSWORD = "ada", "l:o v&e%lace"
MODULES = {
    "dagster": ("dagster",),
    "dagster-webserver": ("dagster_webserver",),
    "dagster-daemon": ("dagster._daemon",),
    "python": (),
}


def nginx() -> str | None:
    """Debian has it where not everybody's PATH goes."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Production(Deployment):
    """The services that run this project's code, and the proxy before the webserver; PostgreSQL is there already."""

    before = (str(DEPLOY / "entrypoint.sh"),)

    def __init__(self, home: Path, dsn: str, postgres: PostgresServer, **settings: str) -> None:
        super().__init__(home, dsn, (DEPLOY / "dagster.yaml").read_text(), **settings)
        self.ports = {"code-location": free_port(), "webserver": self.port, "proxy": free_port()}
        self.secrets = {"CLICKHOUSE_DSN": dsn, "postgres_password": POSTGRES_PASSWORD}
        self.proxy_port = self.ports["proxy"]
        _make_database(postgres)
        secrets = home / "secrets"
        secrets.mkdir()
        for name, value in self.secrets.items():
            (secrets / name).write_text(f"{value}\n")
        given = {
            name: str(value).replace("/run/secrets", str(secrets))
            for name, value in SERVICES["daemon"]["environment"].items()
        }
        del self._environment["CLICKHOUSE_DSN"]
        self._environment |= given | {"PGHOST": postgres.host, "PGPORT": str(postgres.port), "HOME": str(home)}
        self._environment["PATH"] = f"{Path(os.__file__).parent}:{os.environ['PATH']}"
        workspace = (DEPLOY / "workspace.yaml").read_text()
        where = f"host: 127.0.0.1\n      port: {self.ports['code-location']}"
        self._replaced(home / "workspace.yaml", workspace, {"host: code-location\n      port: 4000": where})

    def begin(self, service: str) -> subprocess.Popen[bytes]:
        """A service by its command in the compose file."""
        # Only these know their settings, as in the compose file.
        knows = "WEB_ANALYTICS_SECRETS_DIRECTORY" in SERVICES[service]["environment"]
        secrets = {"WEB_ANALYTICS_SECRETS_DIRECTORY": str(self.home / "secrets")} if knows else {}
        kept = self._environment
        try:
            self._environment = kept | secrets
            return self.start(*self._here(SERVICES[service]["command"]))
        finally:
            self._environment = kept

    def is_healthy(self, service: str) -> bool:
        """What the service's health check says; it runs beside the service, without the image's entrypoint."""
        _, *command = SERVICES[service]["healthcheck"]["test"]
        here = self._here(command)
        options = here if here[0] == "-c" else ("-m", *here)
        asked = subprocess.run([sys.executable, *options], env=self._environment, capture_output=True, check=False)
        return asked.returncode == 0

    def _here(self, command: list[str]) -> tuple[str, ...]:
        """The words of a command after `python -m`, or of Python's own after it, with this machine's ports."""
        own = {
            "0.0.0.0": "127.0.0.1",  # noqa: S104 -- what is replaced
            "4000": str(self.ports["code-location"]),
            "3000": str(self.port),
            "/etc/dagster/workspace.yaml": str(self.home / "workspace.yaml"),
        }
        program, *words = command
        words = [word.replace("127.0.0.1:3000", f"127.0.0.1:{self.port}") for word in words]
        return (*MODULES[program], *(own.get(word, word) for word in words))

    def start_proxy(self) -> subprocess.Popen[bytes]:
        """Nginx with the file that ships; without a container it needs places for its own files, too."""
        program = nginx()
        assert program is not None
        folder = self.home / "nginx"
        folder.mkdir()
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=UI_PASSWORD, capture_output=True, text=True, check=True
        ).stdout.strip()
        (folder / "proxy_users").write_text(f"{UI_USER}:{hashed}\n")
        folder.chmod(0o755)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        self._replaced(
            folder / "nginx.conf",
            (DEPLOY / "nginx.conf").read_text(),
            {
                "http {\n": f"http {{\n{places}    access_log {folder}/access.log;\n",
                "listen 8080;": f"listen 127.0.0.1:{self.proxy_port};",
                "http://webserver:3000": f"http://127.0.0.1:{self.port}",
                "/run/secrets/proxy_users": str(folder / "proxy_users"),
            },
        )
        whose = "user root; " if os.geteuid() == 0 else ""  # what pytest makes is root's alone
        process = subprocess.Popen(
            [program, "-p", f"{folder}", "-c", "nginx.conf", "-e", "error.log", "-g", f"{whose}daemon off; pid pid;"],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._stack.callback(process.wait, 30)
        self._stack.callback(process.terminate)
        return process

    def ask(self, query: str, **variables: Any) -> Any:
        """Over the proxy, as people do."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        who = b64encode(f"{UI_USER}:{UI_PASSWORD}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {who}"}
        request = Request(f"http://127.0.0.1:{self.proxy_port}/graphql", data=body, headers=headers)
        with urlopen(request, timeout=60) as response:  # noqa: S310 -- our own http address
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    @staticmethod
    def _replaced(path: Path, text: str, by: dict[str, str]) -> None:
        for old, new in by.items():
            assert old in text, f"{old!r} is not in the file that ships"
            text = text.replace(old, new)
        path.write_text(text)


def _make_database(postgres: PostgresServer) -> None:
    """As the image of PostgreSQL makes it of POSTGRES_USER, POSTGRES_DB and the password's file."""
    user, database = (
        sql.Identifier(SERVICES["postgres"]["environment"][name]) for name in ("POSTGRES_USER", "POSTGRES_DB")
    )
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, sql.Literal(POSTGRES_PASSWORD)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, user))
