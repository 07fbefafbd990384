"""What the launchpad shows of a job's configuration, and what becomes of what a person writes there."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance, Definitions, JobDefinition
from dagster._core.snap.snap_to_yaml import default_values_yaml_from_type_snap

from dags.dagster_runs.command import Command, command
from dags.dagster_runs.launchpad import launchpad_fields
from dags.dagster_runs.resource import ClickHouseResource
from dags.definitions import WATCHED, defs
from dags.domain.given import Nothing, read
from dags.managed_backfill.fields import BackfillConfig, ShowConfig
from dags.managed_backfill.plan import Extent
from dags.tests.domain.test_given import GOOD, Thing
from dags.tests.orders import defs as with_orders


def of(answers: list[Any]) -> JobDefinition:
    def thing(asked: Command[Thing]) -> None:
        """Take a thing."""
        answers.append(asked.given)

    return served(command(thing, "Takes a thing.", config=Thing))


def served(job: JobDefinition) -> JobDefinition:
    return Definitions(jobs=[job], resources={"clickhouse": ClickHouseResource()}).resolve_job_def(job.name)


def enums_of(job: JobDefinition) -> dict[str, list[str]]:
    """The enums of a job's configuration as the webserver is given them."""
    types = job.get_config_schema_snapshot().all_config_snaps_by_key
    return {key: [one.value for one in snap.enum_values] for key, snap in types.items() if snap.enum_values}


def test_the_launchpad_completes_enums_by_the_words_that_people_write() -> None:
    managed = enums_of(defs.resolve_job_def("managed_backfill_job"))
    extents = ["full_reload", "incremental", "gap_filling", "point_in_time_correction"]
    assert managed["Extent"] == extents == list(Extent)
    assert (managed["ChunkBy"], managed["OnGateFailure"]) == (["day", "week", "month"], ["restore", "keep"])
    shown = enums_of(defs.resolve_job_def("show_backfills_job"))
    assert shown["OriginOrEmpty"] == ["managed", "automatic", "manual", ""]
    assert {"rolling back", "deleted", ""} < set(shown["StatusOrEmpty"])


def test_the_launchpad_completes_the_tables_that_are_watched_and_takes_none_for_what_was_left_out() -> None:
    tables = [table.name for table in WATCHED]
    for name in ("managed_backfill_job", "waive_job"):
        assert [*tables, ""] in enums_of(defs.resolve_job_def(name)).values()
    with_another = enums_of(with_orders.resolve_job_def("waive_job")).values()
    assert [*tables, "orders_by_day", ""] in with_another


def test_every_field_of_every_job_has_its_words_and_whatever_has_its_values_in_its_words_completes_them() -> None:
    """A text that says ``one: …. another: …`` is a choice, and would be typed by hand."""
    wordless, typed = [], []
    for name in defs.get_repository_def().job_names:
        types = defs.resolve_job_def(name).get_config_schema_snapshot().all_config_snaps_by_key
        own = defs.resolve_job_def(name).config_mapping
        if own is None:
            continue
        for key, field in own.config_schema.config_type.fields.items():  # type: ignore[union-attr]
            wordless += [] if field.description else [(name, key)]
            is_choice = re.match(r"[a-z_]+: .*\. [a-z_]+: ", field.description or "")
            is_text = types[field.config_type.key].kind.name == "SCALAR" and field.config_type.given_name == "String"
            typed += [(name, key)] if is_choice and is_text else []
    assert (wordless, typed) == ([], [])


def scaffolded(job: JobDefinition) -> dict[str, Any]:
    """What the webserver writes into the launchpad, where a person asks for the defaults."""
    schema, [mode] = job.get_config_schema_snapshot(), job.get_job_snapshot().mode_def_snaps
    root = schema.get_config_snap(str(mode.root_config_key))
    written = yaml.safe_load(default_values_yaml_from_type_snap(schema, root))
    assert isinstance(written, dict)
    return written


def test_the_launchpad_writes_down_the_dates_that_one_must_give_and_whatever_may_be_left_empty() -> None:
    managed = scaffolded(defs.resolve_job_def("managed_backfill_job"))
    assert {"start_date": "", "end_date": "", "target_table": "", "dry_run": True}.items() <= managed.items()
    assert read(BackfillConfig, managed).required() == BackfillConfig()
    assert scaffolded(defs.resolve_job_def("why_job")) == {"day": ""}
    assert scaffolded(defs.resolve_job_def("show_backfills_job"))["status"] == ""


@pytest.mark.parametrize("model", [BackfillConfig, ShowConfig])
def test_every_field_has_its_words_and_each_default_that_is_shown_is_accepted(
    model: type[BackfillConfig | ShowConfig],
) -> None:
    fields = launchpad_fields(model)
    assert [name for name, field in fields.items() if not field.description] == []
    shown = {name: field.default_value for name, field in fields.items() if field.default_provided}
    assert read(model, shown).required() == model()


def test_a_run_gets_the_model_and_a_refused_one_says_everything_that_is_wrong_at_once_and_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers: list[Any] = []
    job = of(answers)
    refused = {"who": {"env": "HOME"}, "colour": "DARK", "counts": 1}
    with DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, run_config={**GOOD, "colour": "dark_red"}).success
        assert answers == [read(Thing, {**GOOD, "colour": "dark_red"}).required()]
        capsys.readouterr()
        assert not job.execute_in_process(instance=instance, raise_on_error=False, run_config=refused).success
    assert capsys.readouterr().err.splitlines() == [
        "",
        "refused, nothing was touched:",
        "who is {'env': 'HOME'}: give a text",
        "first is missing: First day.",
        "colour is 'DARK': give one of red, dark_red",
        "counts is no field: did you mean count?",
    ]
    assert len(answers) == 1


def test_of_a_fault_that_nobody_foresaw_the_terminal_shows_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    def faulty(asked: Command[Nothing]) -> None:
        """Fail."""
        raise ZeroDivisionError(asked.run_id)

    with DagsterInstance.ephemeral() as instance:
        assert not served(command(faulty, "Fails.")).execute_in_process(instance=instance, raise_on_error=False).success
    assert "in faulty" in capsys.readouterr().err
