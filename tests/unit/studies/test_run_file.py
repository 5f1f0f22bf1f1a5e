import json

import yaml

from studies.run_file import write_run_file


def written_data(folder):
    return yaml.safe_load(write_run_file(folder, "n", folder / "model", {}, simulated_images="Drawn.").read_text())[
        "data"
    ]


def test_the_run_file_says_the_enrichment_of_the_study_beside_it(tmp_path):
    (tmp_path / "study.json").write_text(json.dumps({"enrichment_of_test_over_pool": 10.0}), encoding="utf-8")
    assert written_data(tmp_path)["enrichment"] == 10.0


def test_without_a_study_or_its_enrichment_the_run_file_says_none(tmp_path):
    assert "enrichment" not in written_data(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"enrichment_of_test_over_pool": None}), encoding="utf-8")
    assert "enrichment" not in written_data(tmp_path)
