import json

import pytest
import yaml

from studies.run_file import write_run_file


def written_data(folder, **settings):
    path = write_run_file(folder, "n", folder / "model", settings, simulated_images="Drawn.")
    return yaml.safe_load(path.read_text(encoding="utf-8"))["data"]


@pytest.mark.parametrize(("pool", "enrichment"), [("pool.tsv", 10.0), ("pool-3.tsv", 3.333), ("other.tsv", None)])
def test_the_run_file_says_the_enrichment_of_its_pool(tmp_path, pool, enrichment):
    pools = {"pool": {"enrichment_of_test": 10.0}, "pool-3": {"enrichment_of_test": 3.333}}
    (tmp_path / "study.json").write_text(json.dumps({"pools": pools}), encoding="utf-8")
    assert written_data(tmp_path, data={"pool": pool})["enrichment"] == enrichment


def test_without_a_study_the_run_file_says_no_enrichment(tmp_path):
    assert written_data(tmp_path)["enrichment"] is None
