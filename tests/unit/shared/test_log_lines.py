"""What a log shows of errors, warnings, values and other libraries' lines: nothing that may be data."""

import ast
import io
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import IntegrityError

from services.embedding.settings import EmbeddingSettings
from services.make_bucket_user import BucketUserSettings
from shared.database import create_engine, sqlite_url
from shared.log_lines import TemplateFormatter, clean_event, described
from shared.logs import get_logger, logging_to
from shared.settings import S3Section
from tests.support.databases import Database

DOE = "DOE^JANE"
ROOT = Path(__file__).parents[3]


def raised(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def logged(write):
    """What is logged meanwhile."""
    stream = io.StringIO()
    with logging_to(stream):
        write()
    return stream.getvalue()


def test_an_error_is_logged_by_its_type_and_places_and_without_its_text():
    error = raised(float, DOE)
    line = json.loads(logged(lambda: get_logger("test").error("failed", exc_info=error)))
    assert "builtins.ValueError" in line["exception"]
    assert "tests.unit.shared.test_log_lines:" in line["exception"]
    assert "in raised" in line["exception"]
    assert DOE not in json.dumps(line)


def test_the_errors_that_it_came_from_are_there_too_and_as_silent():
    def fail():
        try:
            float(DOE)
        except ValueError as error:
            raise KeyError(DOE) from error

    def fail_again():
        try:
            fail()
        finally:
            raise ExceptionGroup(DOE, [OSError(28, DOE)])

    text = described(raised(fail_again))
    kinds = [line for line in text.splitlines() if not line.startswith("  ")]
    assert kinds == ["builtins.ValueError", "builtins.KeyError", "builtins.ExceptionGroup"]
    assert "builtins.OSError [ENOSPC]" in text
    assert DOE not in text


def test_an_error_that_leads_back_to_itself_ends():
    error = ValueError()
    error.__context__ = KeyError()
    error.__context__.__context__ = error
    assert described(error).count("ValueError") == 1


def conflict(engine):
    """What a database says where a key is there already: PostgreSQL names its value."""
    table = sa.Table("people", sa.MetaData(), sa.Column("name", sa.Text, primary_key=True))
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(table), [{"name": DOE}])
    with engine.begin() as connection:
        connection.execute(sa.insert(table), [{"name": DOE}])


def test_neither_parameters_nor_keys_of_a_database_reach_a_log(database: Database):
    error = raised(conflict, database.engine(sa.MetaData()))
    assert isinstance(error, IntegrityError)
    assert error.hide_parameters
    text = logged(lambda: get_logger("test").error("failed", exc_info=error))
    assert DOE not in text
    assert "sqlalchemy.exc.IntegrityError" in text
    assert "[23505]" in text or "[SQLITE_CONSTRAINT_PRIMARYKEY]" in text


def test_an_engine_hides_its_parameters(tmp_path):
    for url in (sqlite_url(tmp_path / "a.sqlite"), "postgresql://u:p@nowhere/d"):
        assert create_engine(url).hide_parameters


def test_no_engine_is_made_that_shows_parameters():
    calls = [
        node
        for path in (*ROOT.glob("shared/**/*.py"), *ROOT.glob("services/**/*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sa.create_engine", "sqlalchemy.create_engine")
    ]
    assert len(calls) >= 3
    assert all("hide_parameters=True" in ast.unparse(call) for call in calls)


def test_a_line_of_another_library_is_its_template():
    def write():
        logging.getLogger("other").warning("Node %s has gone", DOE)
        logging.getLogger("other").warning(f"the value {DOE} is odd")
        try:
            float(DOE)
        except ValueError:
            logging.getLogger("other").exception("%s", DOE)

    text = logged(write)
    assert DOE not in text
    assert "'Node %s has gone'" in text
    assert "builtins.ValueError" in text
    assert text.count("other (test_log_lines:") == 3


def test_a_warning_is_its_kind_and_place():
    def write():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning(f"Invalid value for VR UI: {DOE!r}", UserWarning, "/lib/pydicom/valuerep.py", 88)

    line = json.loads(logged(write))
    assert (line["category"], line["module"], line["line"]) == ("UserWarning", "valuerep", 88)
    assert DOE not in json.dumps(line)


def test_values_that_may_be_secret_or_name_a_patient_are_cleaned_at_any_depth():
    event = {
        "path": "/data/DOE.png",
        "rows": [{"patient_id": DOE, "n": 3}],
        "error": ValueError(DOE),
        "key": SecretStr(DOE),
        "target": f"https://user:{DOE}@host:9000/v1?api_key={DOE}",
        "nothing": None,
    }
    cleaned = clean_event(None, "info", event)
    assert DOE not in json.dumps(cleaned)
    assert cleaned["target"] == "https://[redacted]@host:9000/v1?[redacted]"
    assert cleaned["rows"] == [{"patient_id": "[redacted]", "n": 3}]


def test_a_process_logs_its_settings_without_what_is_secret():
    settings = EmbeddingSettings(
        database_url=f"postgresql://medq:{DOE}@host/medq",
        hash_key=SecretStr(f"{DOE} of the site"),
        s3=S3Section(endpoint=f"https://key:{DOE}@host:9000", secret_key=SecretStr(DOE)),
    )
    text = logged(lambda: get_logger("embedding").info("settings", **settings.model_dump(mode="json")))
    assert DOE not in text
    assert json.loads(text)["s3"]["endpoint"] == "https://[redacted]@host:9000"


@pytest.mark.parametrize("field", ["S3__SECRETKEY", "S3__SECRET_KEY_FILE", "AUTH__TOKEN", "THREADS"])
def test_a_wrong_setting_is_refused_without_its_value(monkeypatch, field):
    monkeypatch.setenv(f"MEDQ_EMBEDDING_{field}", DOE)
    with pytest.raises(ValidationError) as caught:
        EmbeddingSettings()
    assert DOE not in str(caught.value)


def test_a_secret_is_not_quoted_where_another_setting_is_missing(monkeypatch):
    monkeypatch.setenv("MEDQ_BUCKET_USER_ROOT_SECRET_KEY", DOE)
    with pytest.raises(ValidationError) as caught:
        BucketUserSettings()
    assert DOE not in str(caught.value)


def test_an_uncaught_error_of_a_process_or_a_thread_is_logged_without_its_text():
    program = (
        "import threading; from shared.logs import configure_logs, log_uncaught_errors;"
        "configure_logs(); log_uncaught_errors();"
        f"thread = threading.Thread(target=float, args=('{DOE}',)); thread.start(); thread.join();"
        f"float('{DOE}')"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert [json.loads(line)["event"] for line in ended.stderr.splitlines()] == ["uncaught"] * 2
    assert DOE not in ended.stderr


def test_a_process_that_sets_up_nothing_writes_no_text_of_an_error_either(capsys):
    get_logger("test").error("failed", exc_info=raised(float, DOE))
    written = capsys.readouterr()
    assert "builtins.ValueError" in written.err
    assert DOE not in written.err + written.out


def test_a_formatter_takes_what_is_no_text():
    record = logging.LogRecord("other", logging.WARNING, "a.py", 1, ValueError(DOE), (), None)
    assert DOE not in TemplateFormatter().format(record)
