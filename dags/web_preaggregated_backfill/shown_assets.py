"""What Dagster's catalog shows of every asset, and the assets that nothing here builds: where the data comes from.

Made of settings and declarations when the location is loaded; nothing is asked of any database.
"""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    BetaWarning,
    CodeReferencesMetadataValue,
    LocalFileCodeReference,
    TableColumn,
    TableSchema,
    with_source_code_references,
)

from dags.domain.setting_values import TeamSource
from dags.domain.text import counted
from dags.settings import variable
from dags.web_preaggregated.columns import ENABLED_TEAMS_COLUMNS, EVENTS_COLUMNS, TEAMS_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from dags.domain.watched import Column, WatchedTable
    from dags.settings import Settings
    from dags.sources.declaration import Pipeline, Sources, SourceTable
    from dags.sources.ingestions import Ingestion

GROUP = "web_analytics_sources"
EVENTS = "events"

# Of what works without anybody. Nothing materializes it: a check of an asset that each question materializes would be
# shown as not evaluated after it.
OPERATION = AssetKey("web_analytics_operation")

# What an asset is, for the catalog's filter: `tag:"web_analytics/layer"=source`.
LAYER_TAG = "web_analytics/layer"
_LAYERS = {GROUP: "source", "web_analytics": "table", "web_analytics_backfill": "verdict"}

_ROOT = Path(__file__).resolve().parents[1]
_SCHEMA = _ROOT / "clickhouse" / "schema"

# Tables that are no watched ones, each with its columns.
_COLUMNS: Mapping[str, tuple[str, tuple[Column, ...]]] = {
    EVENTS: (EVENTS, EVENTS_COLUMNS),
    "web_analytics_enabled_teams": ("web_analytics_enabled_teams", ENABLED_TEAMS_COLUMNS),
    "web_analytics_team_selection": ("web_pre_aggregated_teams", TEAMS_COLUMNS),
}


def team_origins(settings: Settings) -> list[AssetSpec]:
    """The team sources that the settings name, as assets."""
    known = {
        TeamSource.ENVIRONMENT: AssetSpec(
            "enabled_team_ids",
            description=f"Teams that the setting `{variable('enabled_team_ids')}` names: "
            f"{counted(len(settings.enabled_team_ids), 'team')} when the location was loaded.",
            group_name=GROUP,
            metadata=_references(_ROOT / "settings.py"),
        ),
        TeamSource.TABLE: AssetSpec(
            "web_analytics_enabled_teams",
            description="Teams that people and other systems enable by a row: the team source `table`.",
            group_name=GROUP,
            kinds={"clickhouse"},
            metadata=_references(_SCHEMA / "0006_web_analytics_enabled_teams.sql"),
        ),
        TeamSource.TOP_PAGEVIEWS: AssetSpec(
            "top_pageviews",
            description=f"The {counted(settings.top_teams_limit, 'team')} with the most page views of the last "
            f"{counted(settings.top_teams_days, 'day')}: the team source `top_pageviews`.",
            group_name=GROUP,
            kinds={"clickhouse"},
            deps=[EVENTS],
            metadata=_references(_ROOT / "team_selection" / "source_top_pageviews.sql"),
        ),
    }
    return [known[source] for source in settings.team_sources]


def event_origins(settings: Settings, sources: Sources, watched: Iterable[WatchedTable]) -> list[AssetSpec]:
    """The tables that the watched ones are built from, and what is declared that loads into `events`."""
    loaded = list(_declared(settings, sources))
    events = AssetSpec(
        EVENTS,
        # Nothing here builds it: loads write into it, and their progress is shown on its page.
        description="What happened, as trackers, copies, files and loads deliver it.",
        group_name=GROUP,
        kinds={"clickhouse"},
        deps=[spec.key for spec in loaded],
        metadata=_references(_SCHEMA / "0001_events.sql"),
    )
    others = sorted({table.source.table for table in watched} - {EVENTS})
    return [*loaded, events, *(AssetSpec(name, group_name=GROUP, kinds={"clickhouse"}) for name in others)]


def _declared(settings: Settings, sources: Sources) -> Iterator[AssetSpec]:
    """What is declared; signs that no part of a key has are replaced, and whatever is alike then is numbered."""
    known: set[AssetKey] = set()
    metadata = {} if settings.sources is None else _references(settings.sources)

    def free(*parts: str) -> AssetKey:
        stem = [re.sub(r"\W", "_", part, flags=re.ASCII) for part in parts]
        key, number = AssetKey(stem), 1
        while key in known:
            number += 1
            key = AssetKey([*stem[:-1], f"{stem[-1]}_{number}"])
        known.add(key)
        return key

    for pipeline in sources.pipelines:
        for table in pipeline.tables:
            yield _of_postgres(free("postgres", pipeline.name, table.name), pipeline, table, metadata)
    for ingestion in sources.ingestions:
        yield _of_files(free("files", ingestion.name), ingestion, metadata)


def _of_postgres(key: AssetKey, pipeline: Pipeline, table: SourceTable, metadata: Mapping[str, Any]) -> AssetSpec:
    when = f"loaded by `{table.schedule}`" if table.schedule else "loaded when somebody asks"
    return AssetSpec(
        key,
        description=f"The {table.source} `{table.name}` of the PostgreSQL `{pipeline.name}`, {when}.",
        group_name=GROUP,
        kinds={"postgres"},
        metadata={"dagster/table_name": table.name, **metadata},
    )


def _of_files(key: AssetKey, ingestion: Ingestion, metadata: Mapping[str, Any]) -> AssetSpec:
    scheme = "file" if ingestion.is_directory else ingestion.source_path.partition(":")[0]
    # JSONEachRow is json and CSVWithNames csv: of these the catalog has pictures.
    form = re.sub("withnames|eachrow", "", ingestion.format.lower())
    when = f"looked for by `{ingestion.cron}`" if ingestion.cron else "looked for when somebody asks"
    return AssetSpec(
        key,
        description=f"Files of the ingestion `{ingestion.name}`, {ingestion.status}, {when}: "
        f"`{ingestion.source_path}{ingestion.source_file_pattern}`.",
        group_name=GROUP,
        kinds={
            {"gs": "gcs", "https": "http"}.get(scheme, scheme),
            form,
        },
        metadata=metadata,
    )


def operation() -> AssetSpec:
    """What works without anybody, as an asset that has checks."""
    return AssetSpec(
        OPERATION,
        description="What works without anybody: sensors, schedules, backfills, and what runs leave behind. Nothing "
        "builds it; its checks say whether all of it does.",
        group_name="web_analytics_backfill",
        kinds={"dagster"},
        metadata=_references(_ROOT / "health" / "checks.py"),
    )


def as_shown_in_catalog(
    assets: Sequence[AssetsDefinition | AssetSpec], settings: Settings, watched: Collection[WatchedTable]
) -> list[AssetsDefinition | AssetSpec]:
    """The assets with what the catalog shows of each: table, columns, owners, tags, and where its code is."""
    table_by_name = {table.name: table for table in watched}

    def dressed(spec: AssetSpec) -> AssetSpec:
        return spec.replace_attributes(
            metadata={**spec.metadata, **_of_table(spec, table_by_name.get(spec.key.to_user_string()), settings)},
            owners=[*spec.owners, *settings.owners],
            tags={**spec.tags, **({LAYER_TAG: layer} if (layer := _LAYERS.get(spec.group_name or "")) else {})},
        )

    shown = [dressed(one) if isinstance(one, AssetSpec) else one.map_asset_specs(dressed) for one in assets]
    with _beta_is_known():
        return with_source_code_references(shown)  # type: ignore[return-value]


def _of_table(spec: AssetSpec, watched: WatchedTable | None, settings: Settings) -> dict[str, Any]:
    table, columns = _COLUMNS.get(spec.key.to_user_string(), ("", ()))
    shown: dict[str, Any] = {}
    if watched is not None:
        table, columns = watched.name, watched.columns
        if watched.builder is not None:
            builder = type(watched.builder)
            shown |= _references(Path(inspect.getfile(builder)), inspect.getsourcelines(builder)[1], builder.__name__)
    if table:
        shown["dagster/table_name"] = f"{settings.clickhouse_dsn.database}.{table}"
    if columns:
        shown["dagster/column_schema"] = TableSchema(
            columns=[TableColumn(name, kind, description) for name, kind, description in columns]
        )
    return shown


def _references(path: Path, line: int | None = None, label: str = "") -> dict[str, Any]:
    """Where something is defined; Dagster adds the functions of what it runs."""
    with _beta_is_known():
        reference = LocalFileCodeReference(file_path=str(path), line_number=line, label=label or path.name)
        return {"dagster/code_references": CodeReferencesMetadataValue(code_references=[reference])}


def _beta_is_known() -> warnings.catch_warnings[None]:
    """Code references are beta in Dagster 1.13, to which this project is pinned: nobody need read it at every load."""
    return warnings.catch_warnings(action="ignore", category=BetaWarning)
