from typing import Any

import pytest

from services.training.adapters.kubernetes_manifest import job_manifest
from services.training.job.spec import TrainingJob
from services.training.settings import KubernetesSection, TrainingSettings

SECRET = "$(MEDQ_TRAINING_S3__SECRET_KEY)"


def manifest_of(model_uri: str, checkpoint_uri: str = "", **section: Any) -> dict[str, Any]:
    job = TrainingJob(key="ab" * 32, model_uri=model_uri, dataset_uri="sha256:" + "1" * 64, batch_size=8)
    settings = TrainingSettings(kubernetes=KubernetesSection.model_validate({"image": "medq-training:1"} | section))
    return job_manifest(job, 1, checkpoint_uri, "medq", settings)


@pytest.mark.parametrize("text", [SECRET, f"$${SECRET}", "a$b", "$"])
def test_no_variable_of_the_pod_is_put_into_what_a_caller_gave(text: str):
    (container,) = manifest_of(text, text)["spec"]["template"]["spec"]["containers"]
    _, job, _, checkpoint = container["args"]
    assert expanded(checkpoint) == text
    assert TrainingJob.model_validate_json(expanded(job)).model_uri == text


def test_the_rank_of_a_pod_is_put_into_its_arguments():
    (container,) = manifest_of("sha256:" + "0" * 64, nodes=2)["spec"]["template"]["spec"]["containers"]
    assert "$(MEDQ_NODE_RANK)" in container["args"]


@pytest.mark.parametrize("label", ["app.kubernetes.io/name", "app.kubernetes.io/component", "medq.io/training"])
def test_labels_of_the_settings_do_not_replace_those_that_policies_know_a_pod_by(label: str):
    template = manifest_of("sha256:" + "0" * 64, labels={label: "other"})["spec"]["template"]
    assert template["metadata"]["labels"][label] != "other"


def expanded(text: str) -> str:
    """What Kubernetes makes of an argument, as its reference says: `$$` is `$`, `$(NAME)` the variable."""
    result, rest = "", text
    while rest:
        if rest.startswith("$("):
            return "a variable was put in"
        n = 2 if rest.startswith("$$") else 1
        result, rest = result + rest[0], rest[n:]
    return result
