"""The environment and a directory of secret files, read once into one frozen, validated object.

A bad value is refused before anything is touched, with the variable's name, its value and what is allowed; every
bad value at once, because a deployment that learns of its mistakes one at a time is redeployed as often. Secrets are
the password in `CLICKHOUSE_DSN`, which `Dsn` keeps out of every text, and each `SecretStr`: a token, URLs of alerts.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import difflib
import os
import re
import warnings
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnusableSecretError

from dags.clickhouse.dsn import Dsn
from dags.domain.days import MAX_LOOKBACK_DAYS
from dags.domain.errors import SettingsError, UserError
from dags.domain.setting_values import (
    MAX_CHANNELS,
    PLACES,
    Priority,
    TeamSource,
    directory_of,
    file_of,
    hosts_of,
    owners_of,
    sources_of,
    team_ids_of,
    token_of,
    url_of,
    urls_of,
    weights_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# Our own corner of a prefix that other systems use too: a name below it that we do not know is a typing error.
PREFIX = "WEB_ANALYTICS_"
OWN_PREFIX = f"{PREFIX}BACKFILL_"

DEFAULT_DSN = f"chdb://{Path(__file__).resolve().parent.parent / '.clickhouse'}"

DEFAULT_PLANS_DIRECTORY = Path(__file__).resolve().parent.parent / ".plans"

# Where files are named after settings and hold their values, as Docker and Kubernetes mount secrets.
SECRETS_DIRECTORY = "WEB_ANALYTICS_SECRETS_DIRECTORY"

# Their values are shown nowhere, not even when they are refused.
_SECRETS = (
    "WEB_ANALYTICS_BACKFILL_WEBHOOK_TOKEN",
    "WEB_ANALYTICS_ALERT_URLS",
    "WEB_ANALYTICS_HEARTBEAT_URL",
)

# What is decided looks back over attempts of the last sixteen days (`dags.repair.runs.REMEMBERED`), and people over a
# month.
LOWEST_RETENTION_DAYS = 30


def _dsn(value: object) -> Dsn:
    try:
        return value if isinstance(value, Dsn) else Dsn.parse(str(value))
    except UserError as error:
        raise PydanticCustomError("dsn", "{reason}", {"reason": str(error)}) from None


def whole(default: int | None, lowest: int, highest: int, unit: str) -> Any:  # noqa: ANN401 -- pydantic's own type
    """A field for a whole number; its description is what the error says is allowed."""
    return Field(
        default=default,
        ge=lowest,
        le=highest,
        description=f"give a whole number of {unit} from {lowest} to {highest:,}",
    )


def variable(field: str) -> str:
    """The environment variable of a field of `Settings`."""
    return field.upper() if field == "clickhouse_dsn" else f"{PREFIX}{field.upper()}"


class Settings(BaseSettings):
    """Every setting; the field's name in capitals is the variable's, with the prefix ``WEB_ANALYTICS_``.

    It is made of what is handed in by the variables' names; `read_settings` says where that comes from.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        arbitrary_types_allowed=True,
        alias_generator=variable,
        case_sensitive=True,
        # Lists are written with commas, and are no JSON.
        enable_decoding=False,
        validate_default=False,
    )

    clickhouse_dsn: Annotated[Dsn, BeforeValidator(_dsn), PlainSerializer(str)] = Field(
        default=DEFAULT_DSN, validate_default=True
    )
    backfill_lookback_days: int = whole(30, 1, MAX_LOOKBACK_DAYS, "days")
    backfill_max_partitions_per_run: int = whole(7, 1, 366, "days")
    backfill_min_missing_partitions: int = whole(3, 1, 10_000, "partitions")
    backfill_max_days_per_day: int = whole(28, 1, 3650, "days")
    backfill_settle_hours: int = whole(1, 0, 72, "hours")
    backfill_max_gap_age_hours: int | None = whole(None, 1, 87_600, "hours")
    backfill_priority: Priority = Field(default=Priority.RECENT, description=f"give one of {', '.join(Priority)}")
    backfill_min_volume: int = whole(0, 0, 10**12, "page views")
    backfill_max_range_days: int = whole(30, 1, MAX_LOOKBACK_DAYS, "days")
    backfill_backup_days: int = whole(7, 1, MAX_LOOKBACK_DAYS, "days")
    backfill_plans_directory: Annotated[Path, BeforeValidator(directory_of)] = Field(
        default=DEFAULT_PLANS_DIRECTORY, description="give the absolute path of a directory"
    )
    backfill_usd_per_gb: float = Field(default=0.25, ge=0, le=1000, description="give US dollars from 0 to 1000")
    backfill_webhook_hosts: Annotated[tuple[str, ...], BeforeValidator(hosts_of)] = Field(
        default=(), description="give host names, each with or without a port, separated by commas"
    )
    backfill_webhook_token: Annotated[SecretStr | None, BeforeValidator(token_of)] = Field(
        default=None, description="give the token alone, printable ASCII without blanks, as a header can hold it"
    )
    backfill_stopped: int = Field(default=0, ge=0, le=1, description="give 0 (no) or 1 (yes)")
    backfill_rebuild_outdated: int = Field(default=0, ge=0, le=1, description="give 0 (no) or 1 (yes)")
    repair_target_hours: int = whole(48, 1, 8760, "hours")
    freshness_target_hours: int = whole(36, 1, 8760, "hours")
    alert_urls: Annotated[tuple[SecretStr, ...], BeforeValidator(urls_of)] = Field(
        default=(),
        description=f"give up to {MAX_CHANNELS} URLs as apprise has them, separated by blanks or line ends",
    )
    alert_reminder_hours: int = whole(24, 0, 8760, "hours")
    heartbeat_url: Annotated[SecretStr | None, BeforeValidator(url_of)] = Field(
        default=None, description="give the URL that is to be called, http:// or https://"
    )
    team_weights: Annotated[tuple[tuple[int, int], ...], BeforeValidator(weights_of)] = Field(
        default=(), description="give team:weight pairs of whole numbers, separated by commas; a weight may be 0"
    )
    team_sources: Annotated[tuple[TeamSource, ...], BeforeValidator(sources_of)] = Field(
        default=(TeamSource.ENVIRONMENT, TeamSource.TABLE),
        description=f"give one or more of {', '.join(TeamSource)}, separated by commas, each once",
    )
    enabled_team_ids: Annotated[tuple[int, ...], BeforeValidator(team_ids_of)] = Field(
        default=(), description="give team ids, whole numbers above 0, separated by commas"
    )
    top_teams_limit: int = whole(30, 1, 100_000, "teams")
    top_teams_days: int = whole(30, 1, MAX_LOOKBACK_DAYS, "days")
    run_retention_days: int = whole(400, LOWEST_RETENTION_DAYS, 36_500, "days")
    history_retention_days: int = whole(400, LOWEST_RETENTION_DAYS, 36_500, "days")
    engine_wait_seconds: int = whole(600, 1, 86_400, "seconds")
    build_batch_events: int = whole(2_000_000, 10_000, 1_000_000_000, "events")
    build_max_memory_bytes: int = whole(8_000_000_000, 100_000_000, 10**13, "bytes")
    build_max_threads: int | None = whole(None, 1, 1024, "threads")
    build_max_seconds: int = whole(1800, 1, 21_600, "seconds")
    build_max_rows_read: int | None = whole(None, 1, 10**15, "rows")
    build_max_bytes_read: int | None = whole(None, 1, 10**18, "bytes")
    metrics_file: Annotated[Path | None, BeforeValidator(file_of)] = Field(
        default=None,
        description="give the absolute path of the file to write",
    )
    sources: Annotated[Path | None, BeforeValidator(file_of)] = Field(
        default=None, description="give the absolute path of the YAML file that declares sources"
    )
    owners: Annotated[tuple[str, ...], BeforeValidator(owners_of)] = Field(
        default=(), description="give e-mail addresses or team:name, separated by commas"
    )
    secrets_directory: Annotated[Path | None, BeforeValidator(directory_of)] = Field(
        default=None, description="give the absolute path of a directory"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @property
    def settle(self) -> timedelta:
        return timedelta(hours=self.backfill_settle_hours)

    @property
    def run_retention(self) -> timedelta:
        """How long Dagster's runs and events are kept; where it is not given, at least as long as others look back."""
        return timedelta(days=self._kept("run_retention_days"))

    @property
    def history_retention(self) -> timedelta:
        """The same of what happened in ClickHouse."""
        return timedelta(days=self._kept("history_retention_days"))

    def _kept(self, field: str) -> int:
        days: int = getattr(self, field)
        return days if field in self.model_fields_set else max(days, self.longest_look_back + 1)

    @property
    def longest_look_back(self) -> int:
        """So many days back somebody asks what happened: a look-back, or until a backup goes."""
        return max(self.backfill_lookback_days, self.backfill_backup_days)

    @property
    def max_gap_age(self) -> timedelta | None:
        hours = self.backfill_max_gap_age_hours
        return None if hours is None else timedelta(hours=hours)


class _Variables(EnvSettingsSource):
    """The settings among the variables that are handed in, which are not this process's own in a test."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.env_vars = given


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables, and from secret files where the environment names a directory of these.

    An empty variable counts as unset, as shells and compose files have it. What is in both is the variable's.

    Raises:
        SettingsError: one line for each value that is not usable, and for each name that is no setting and lies below
            `OWN_PREFIX`, or is nearly one (a misspelt limit would otherwise be ignored in silence).
    """
    given = {name: value for name, value in environment.items() if value.strip()}
    names, problems = list(filter(_is_meant, given)), []
    values: dict[str, Any] = {}
    if (directory := given.get(SECRETS_DIRECTORY, "")) and Path(directory).is_absolute():
        try:
            names += _own_names(Path(directory))
            values = _secrets(Path(directory))
        except (OSError, UnicodeError, UserWarning, UnusableSecretError) as error:
            problems.append(f"{SECRETS_DIRECTORY} is {directory!r}, which cannot be read: {error}")
    values |= _Variables(given)()
    problems += [_misspelt(name) for name in sorted(set(names) - set(_VARIABLES))]
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += [_in_words(str(problem["loc"][0]), problem) for problem in error.errors()]
    else:
        problems += _too_short(settings)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


_VARIABLES = {variable(field): field for field in Settings.model_fields}


# How alike a name must be to a setting's to be taken for it, from 0 to 1: one with a letter or two wrong is, and
# CLICKHOUSE_DB is no CLICKHOUSE_DSN.
_NEARLY = 0.9


def _is_meant(name: str) -> bool:
    """Whether a variable is meant for us; other programs' may begin alike."""
    is_near = name.startswith(("WEB", "CLICKHOUSE_")) and difflib.get_close_matches(name, _VARIABLES, 1, _NEARLY)
    return name.startswith(OWN_PREFIX) or bool(is_near)


def _own_names(directory: Path) -> list[str]:
    return [name for path in directory.iterdir() if _is_meant(name := path.name.upper())]


def _secrets(directory: Path) -> dict[str, Any]:
    """What the files say that are named after settings, in capitals or not.

    Raises:
        OSError: the directory or a file cannot be read.
        UserWarning: a file of such a name is none, or lies elsewhere.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a secret that is passed by would leave the default in force
        return SecretsSettingsSource(Settings, directory, case_sensitive=False)()


def _misspelt(name: str) -> str:
    close = difflib.get_close_matches(name, _VARIABLES, n=1)
    return f"{name} is no setting: {f'did you mean {close[0]}?' if close else 'the README lists the settings'}"


def _too_short(settings: Settings) -> list[str]:
    """What is told to be kept for no longer than others look back."""
    return [
        f"{variable(field)} is {getattr(settings, field)}: give more than {settings.longest_look_back}, the larger of "
        f"{variable('backfill_lookback_days')} and {variable('backfill_backup_days')}"
        for field in ("run_retention_days", "history_retention_days")
        if field in settings.model_fields_set and getattr(settings, field) <= settings.longest_look_back
    ]


def _in_words(name: str, problem: Any) -> str:  # noqa: ANN401 -- pydantic's own dictionary
    if name == variable("clickhouse_dsn"):  # its message never shows the password, its value would
        return f"{name}: {problem['msg']}"
    # An address in the wrong variable is as secret as in its own: a password may stand in it.
    is_hidden = name in _SECRETS or re.search(r"://|:\S*@", str(problem["input"])) is not None
    shown = "not usable" if is_hidden else repr(problem["input"])
    if problem["type"] == PLACES:
        shown += f", {problem['msg']}"
    return f"{name} is {shown}: {Settings.model_fields[_VARIABLES[name]].description}"


@cache
def current_settings() -> Settings:
    """The settings of this process. Read once: a run must not change its mind half-way."""
    return read_settings(os.environ)
