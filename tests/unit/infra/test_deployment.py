"""What `make up` starts: who listens where, and who calls whom."""

import json
from collections.abc import Mapping
from pathlib import Path

from infra.dev.deployment import FIRST_PORT, MOST_REPLICAS, REPLICATED, Deployment, Process, Servers
from shared.settings import SERVICES

SERVERS = Servers("127.0.0.1:9092", "http://key:secret@127.0.0.1:9000", "postgresql://user@127.0.0.1:5432/other")


def processes(**replicas: int) -> Mapping[str, Process]:
    deployment = Deployment(Path("up"), "mine", SERVERS, FIRST_PORT, replicas)
    return {process.name: process for process in deployment.processes()}


def setting(process: Process, field: str) -> str:
    return process.environment[f"MEDQ_{process.service.upper()}_{field}"]


def test_every_service_is_one_process_and_the_controller_has_the_first_port() -> None:
    found = processes()
    assert sorted(found) == sorted(f"{name}-1" for name in SERVICES)
    assert found["controller-1"].address == "127.0.0.1:50051"
    assert list(found)[-1] == "controller-1"
    assert setting(found["controller-1"], "EVALUATION_REPLICAS") == "1"


def test_no_two_processes_share_a_port_an_owner_or_a_folder() -> None:
    found = processes(**dict.fromkeys(REPLICATED, MOST_REPLICAS)).values()
    ports = [one.address.rsplit(":", 1)[1] for one in found] + [setting(one, "METRICS_PORT") for one in found]
    assert len(set(ports)) == 2 * len(found)
    for field in ("OWNER", "STATE_FOLDER"):
        assert len({setting(one, field) for one in found}) == len(found)


def test_callers_know_every_replica() -> None:
    found = processes(evaluation=2)
    targets = json.loads(setting(found["controller-1"], "TARGETS"))
    assert targets["evaluation"] == "ipv4:127.0.0.1:50054,127.0.0.1:50064"
    assert targets["oracle"] == found["oracle-1"].address
    assert setting(found["controller-1"], "EVALUATION_REPLICAS") == "2"


def test_what_is_stored_bears_the_name() -> None:
    one = processes()["embedding-1"]
    assert setting(one, "DATABASE_URL") == "postgresql://user@127.0.0.1:5432/mine"
    assert (setting(one, "S3__BUCKET"), setting(one, "S3__ENDPOINT")) == ("mine", "http://127.0.0.1:9000")
    assert setting(one, "KAFKA__TOPIC_PREFIX") == "mine-"
