"""What a run's file may name on the disk: paths, tables, and what is looked at before anything is spent."""

import pytest
import yaml

from services.controller.configuration.check import check
from tests.support.run_files import write_run_files


@pytest.mark.parametrize("base_folder", ["", ".", "a"])
def test_relative_paths_start_from_no_folder_of_the_server(tmp_path, monkeypatch, base_folder):
    config = write_run_files(tmp_path / "a")
    monkeypatch.chdir(tmp_path / "a")
    (problem,) = check(config, base_folder)[1]
    assert problem.field == "base_folder"
    assert "data.pool" in problem.message


def test_absolute_paths_need_no_base_folder(tmp_path):
    content = yaml.safe_load(write_run_files(tmp_path / "a"))
    data = {key: str(tmp_path / "a" / path) for key, path in content["data"].items()}
    absolute = yaml.safe_dump({**content, "data": data, "model": str(tmp_path / "a" / content["model"])})
    configuration, problems = check(absolute, "")
    assert not problems
    assert configuration.data.pool == data["pool"]


def test_paths_start_from_the_base_folder(tmp_path):
    configuration, _ = check(write_run_files(tmp_path / "a"), str(tmp_path / "a"))
    assert configuration.data.pool == str(tmp_path / "a" / "pool")
    assert configuration.model == str(tmp_path / "a" / "model")


def test_further_tests_are_looked_at_as_test_is(tmp_path):
    content = yaml.safe_load(write_run_files(tmp_path / "a"))
    content["data"]["further_tests"] = {"site_b": "test.tsv", "site-c": "no.tsv"}
    (problem,) = check(yaml.safe_dump(content), str(tmp_path / "a"))[1]
    assert problem.field == "data.further_tests.site-c"
    del content["data"]["further_tests"]["site-c"]
    configuration, problems = check(yaml.safe_dump(content), str(tmp_path / "a"))
    assert not problems
    assert configuration.data.further_tests == {"site_b": str(tmp_path / "a" / "test.tsv")}
    (outside,) = check(yaml.safe_dump(content), str(tmp_path / "a"), [tmp_path / "b"])[1][-2:-1]
    assert outside.field == "data.further_tests.site_b"


@pytest.mark.parametrize("names", [["a.0"], ["a/b"], [""], ["x" * 41], [f"site{number}" for number in range(9)]])
def test_a_further_test_has_a_plain_name_and_there_are_at_most_eight(names, tmp_path):
    content = yaml.safe_load(write_run_files(tmp_path / "a"))
    content["data"]["further_tests"] = dict.fromkeys(names, "test.tsv")
    (problem,) = check(yaml.safe_dump(content), str(tmp_path / "a"))[1]
    assert problem.field.startswith("data.further_tests")
    assert problem.remedy


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "loop"])
@pytest.mark.parametrize("field", ["pool", "pool_answers", "dev", "test", "replay", "model"])
def test_a_path_that_no_file_can_have_is_a_problem(path, field, tmp_path):
    content = yaml.safe_load(write_run_files(tmp_path / "a"))
    (tmp_path / "a" / "loop").symlink_to("loop")
    (content if field == "model" else content["data"])[field] = path
    found = check(yaml.safe_dump(content), str(tmp_path / "a"))[1]
    assert [problem.field for problem in found] == ["model" if field == "model" else f"data.{field}"]
    assert check(yaml.safe_dump(content), "x" * 5000)[1][0].field == "base_folder"


def test_what_is_not_there_is_named_before_anything_is_spent(tmp_path):
    config = yaml.safe_load(write_run_files(tmp_path / "a"))
    (tmp_path / "a" / "pool" / "a.png").unlink()
    (tmp_path / "a" / "model" / "model.safetensors").unlink()
    (tmp_path / "a" / "dev.tsv").write_text("index\tquestion\n")
    config["data"]["test"] = "no.tsv"
    found = {problem.field: problem for problem in check(yaml.safe_dump(config), str(tmp_path / "a"))[1]}
    assert found.keys() == {"data.pool", "data.dev", "data.test", "model"}
    assert found["data.pool"].message == "The folder holds no file."
    assert found["data.dev"].message == "dev.tsv has no column answer, image or image_path."
    assert "weights are missing" in found["model"].message
    assert all(problem.remedy for problem in found.values())


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("dev.tsv", b"index\timage\tquestion\tanswer\tanswer\n", "Two columns of the table have one name."),
        ("dev.tsv", b"index\timage\tquestion\tanswer\n1\t\xff\n", "The table cannot be read: line 2 is not UTF-8."),
        ("dev.csv", b"", "The table cannot be read: it is empty."),
        ("dev.csv", b"index,image,question\n", "dev.csv has no column answer."),
        ("dev.tsv", b"index\tdescription\n", "dev.tsv has no column image or image_path."),
        ("dev.tsv", b"index\timage_a\timage_b\tdescription\n", "dev.tsv compares two images"),
    ],
)
def test_a_table_that_would_mislead_is_refused_before_anything_is_spent(tmp_path, name, content, what):
    config = yaml.safe_load(write_run_files(tmp_path / "a"))
    (tmp_path / "a" / name).write_bytes(content)
    (problem,) = check(yaml.safe_dump(config | {"data": config["data"] | {"dev": name}}), str(tmp_path / "a"))[1]
    assert problem.field == "data.dev"
    assert what in problem.message
    assert problem.remedy


def test_a_table_of_descriptions_needs_no_questions(tmp_path):
    config = write_run_files(tmp_path)
    (tmp_path / "dev.tsv").write_text("index\timage_path\tdescription\n1\ta.png\tSharp.\n")
    assert check(config, str(tmp_path))[1] == []


def test_a_pool_may_be_a_manifest_but_not_any_file(tmp_path):
    config = yaml.safe_load(write_run_files(tmp_path / "a"))
    for name in ("pool.csv", "pool.txt"):
        (tmp_path / "a" / name).write_text("path\n")
    assert not check(yaml.safe_dump(config | {"data": config["data"] | {"pool": "pool.csv"}}), str(tmp_path / "a"))[1]
    found = check(yaml.safe_dump(config | {"data": config["data"] | {"pool": "pool.txt"}}), str(tmp_path / "a"))[1]
    assert [problem.field for problem in found] == ["data.pool"]


def test_paths_outside_the_roots_are_problems_and_not_looked_at(tmp_path):
    config = write_run_files(tmp_path / "a")
    configuration, found = check(config, str(tmp_path / "a"), (tmp_path / "elsewhere",))
    assert configuration is None
    assert {"data.pool", "data.dev", "model"} <= {problem.field for problem in found}
    assert all("outside" in problem.message and "input_roots" in problem.remedy for problem in found)
    assert check(config, str(tmp_path / "a"), (tmp_path,))[1] == []
