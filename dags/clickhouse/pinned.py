"""Which settings of ClickHouse decide an answer, what each has to be, and what a user's profile may choose itself.

A profile changes what a statement means: it cuts answers short (``result_overflow_mode = 'break'``), leaves rows out
(``additional_table_filters``), re-types them (``join_use_nulls``), or has an ``INSERT`` acknowledged before it is kept.
None of it is an error, so none of it is seen. Hence three kinds:

- `PINS` are sent with every statement, whatever the profile says.
- What `is_free` knows costs time or memory, or refuses with an error; that is the administrator's to choose.
- Anything else that differs from ClickHouse's own default is set back to it, also what a later version brings.

Pure: no client. `dags.clickhouse.engine` asks and sets; decision 0017 has the reasons.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LIMITS_THROW = dict.fromkeys(
    (
        "distinct_overflow_mode",
        "group_by_overflow_mode",
        "join_overflow_mode",
        "read_overflow_mode",
        "read_overflow_mode_leaf",
        "result_overflow_mode",
        "set_overflow_mode",
        "sort_overflow_mode",
        "timeout_overflow_mode",
        "timeout_overflow_mode_leaf",
        "transfer_overflow_mode",
    ),
    ("throw",),
)

# What every statement carries from the first one on, when it is not yet known what the server knows: these have been
# in ClickHouse for years, and without them the questions at connection are themselves cut short.
FIRST: Mapping[str, str] = {
    **{name: "throw" for name in _LIMITS_THROW if not name.endswith("_leaf")},
    "additional_result_filter": "",
    "additional_table_filters": "",
    "extremes": "0",
    "limit": "0",
    "offset": "0",
    "output_format_native_encode_types_in_binary_format": "0",
    "use_query_cache": "0",
}

# The values that do, the first of them ours; where the profile has one of the others, it stays.
PINS: Mapping[str, tuple[str, ...]] = {
    **{name: (value,) for name, value in FIRST.items()},
    **_LIMITS_THROW,
    # Rows left out, or shown though they are deleted.
    "allow_experimental_parallel_reading_from_replicas": ("0",),
    "apply_deleted_mask": ("1",),
    "apply_patch_parts": ("1",),
    "discard_query_data": ("0",),
    "distributed_group_by_no_merge": ("0",),
    "fallback_to_stale_replicas_for_distributed_queries": ("0",),
    "final": ("0",),
    "ignore_cold_parts_seconds": ("0",),
    "optimize_skip_unused_shards": ("0",),
    "optimize_trivial_approximate_count_query": ("0",),
    "partial_result_on_first_cancel": ("0",),
    "skip_unavailable_shards": ("0",),
    # The same text, another meaning.
    "aggregate_functions_null_for_empty": ("0",),
    "any_join_distinct_right_table_keys": ("0",),
    "compatibility": ("",),
    "data_type_default_nullable": ("0",),
    "dialect": ("clickhouse",),
    "empty_result_for_aggregation_by_empty_set": ("0",),
    "enable_analyzer": ("1",),
    "enable_positional_arguments": ("1",),
    "group_by_use_nulls": ("0",),
    "join_default_strictness": ("ALL",),
    "join_use_nulls": ("0",),
    "prefer_column_name_to_alias": ("0",),
    "totals_mode": ("after_having_exclusive",),
    "transform_null_in": ("0",),
    "union_default_mode": ("",),
    # Other types, other instants, another way of writing them.
    "cast_keep_nullable": ("0",),
    "date_time_input_format": ("best_effort",),
    "date_time_overflow_behavior": ("ignore",),
    "decimal_check_overflow": ("1",),
    "http_write_exception_in_output_format": ("0",),
    "session_timezone": ("",),
    # Acknowledged only once it is done: ledger, audit and signs of life are inserts, staging is emptied by a delete.
    "alter_sync": ("1", "2", "3"),
    "async_insert": ("0",),
    "ignore_drop_queries_probability": ("0",),
    "implicit_transaction": ("0",),
    "input_format_allow_errors_num": ("0",),
    "input_format_allow_errors_ratio": ("0",),
    "insert_deduplication_token": ("",),
    "insert_shard_id": ("0",),
    "lightweight_delete_mode": ("alter_update",),
    "lightweight_deletes_sync": ("2", "1", "3"),
    "mutations_sync": ("1", "2", "3"),
    "wait_for_async_insert": ("1",),
}

# Set where it is allowed: a table of ours that is larger than this could be made and never dropped (error 359).
WISHES: Mapping[str, str] = {"max_partition_size_to_drop": "0", "max_table_size_to_drop": "0"}

# All that `pinned` looks at, of two thousand.
LOOKED_AT = PINS.keys() | WISHES.keys() | {"readonly"}

# Shown by ClickHouse, which reads an empty text as the same: one that needs no escaping in each statement's address.
_EMPTY_MAP = "{}"

_FREE = re.compile(
    # Limits, which refuse with an error once the overflow modes are pinned; sizes, threads, waiting.
    r"(max|min)_\w+|\w+_(timeout|threads)(_ms|_sec|_seconds|_milliseconds)?|\w+_timeout_ms|\w+_retries|\w+_bandwidth"
    r"|(async_insert|connect|connection|insert_quorum|load_balancing|memory|merge_tree_m\w+|network|queue)\w*"
    r"|join_algorithm|lock_acquire_\w+|priority|os_thread_priority|workload|use_concurrency_control|use_uncompressed_cache"
    r"|(compile|grace_hash_join|group_by_two_level|prefer_external_sort|preferred_block_size|temporary_files)\w*"
    # Stricter than we need: it waits, or refuses.
    r"|force_(data_skipping|index_by|optimize_projection|primary)\w*"
    r"|select_sequential_consistency|readonly|allow_ddl|allow_introspection_functions"
    # What is logged and measured.
    r"|(log|metrics|opentelemetry|query_metric_log|query_profiler|trace|send_logs|send_profile)_\w+"
    # How disks and networks are read, and the driver's own.
    r"|(azure|distributed_cache|filesystem|hdfs|hedged|http|local_filesystem|page_cache|remote|s3|tcp)_\w+"
    r"|(use|enable|read_from|write_through)_\w*(page|filesystem|distributed)_cache\w*|storage_file_read_method"
    r"|(receive|send)_\w*(timeout|data|progress)\w*|cancel_http_\w+|enable_http_compression|client_protocol_version"
    r"|cast_string_to_dynamic_use_inference|materialize_statistics_on_insert|database"
    # Formats that nothing here is written in.
    r"|output_format_(arrow|avro|bson|csv|json|markdown|msgpack|orc|parquet|pretty|protobuf|regexp|tsv|values|xml)\w*"
)
# Not even where the name begins like one of these.
_NOT_FREE = re.compile(r"\w*(skip|ignore|truncate|write_exception|response_headers|allow_filters|allow_table)\w*")


@dataclass(frozen=True)
class Setting:
    """A setting as the server has it for this user; ``is_fixed``: the user may not change it."""

    name: str
    value: str
    is_fixed: bool
    default: str = ""


def is_free(name: str) -> bool:
    """Whether the profile may choose this setting: it costs or refuses, and cannot change an answer in silence."""
    return name not in PINS and _FREE.fullmatch(name) is not None and _NOT_FREE.fullmatch(name) is None


def pinned(settings: Iterable[Setting]) -> tuple[dict[str, str], list[str]]:
    """What to send with every statement to a server that has these settings; and in words what forbids it.

    A setting that the server does not know is left out: it cannot decide anything there.
    """
    chosen: dict[str, str] = {}
    problems: list[str] = []
    for setting in settings:
        if setting.name == "readonly" and setting.value == "1":  # then every setting is fixed: say why, once
            return {}, [_refusal(setting, "'0', or '2' for who only asks")]
        if setting.name in WISHES and not setting.is_fixed:
            chosen[setting.name] = WISHES[setting.name]
        if allowed := PINS.get(setting.name):
            value = "" if setting.value == _EMPTY_MAP else setting.value
            if setting.is_fixed and value not in allowed:
                problems.append(_refusal(setting, " or ".join(map(repr, allowed))))
            chosen[setting.name] = value if value in allowed else allowed[0]
    return chosen, problems


def reset(differing: Iterable[Setting]) -> tuple[dict[str, str], list[str]]:
    """Which of the settings that differ from ClickHouse's defaults are set back; and in words what forbids it."""
    chosen: dict[str, str] = {}
    problems: list[str] = []
    for setting in differing:
        if setting.name in PINS or setting.name in WISHES or is_free(setting.name):
            continue
        if setting.is_fixed:
            problems.append(_refusal(setting, f"{setting.default!r}, ClickHouse's default"))
        chosen[setting.name] = setting.default
    return chosen, problems


def _refusal(setting: Setting, expected: str) -> str:
    return f"{setting.name} is {setting.value!r} and may not be changed by this user; expected: {expected}"
