"""Decisions become a dataset to train on: what is kept, what is dropped and why."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from shared.errors import FailedPrecondition
from shared.objects.dataset import materialize, read_manifest, read_rows
from shared.prompts import DESCRIPTION_QUESTION, multiple_choice_prompt
from shared.rows.benchmark import Item
from shared.rows.training import Conversation, Dropped, Lineage
from tests.support.evaluation import put_image
from tests.support.rows import build as a
from tests.support.training_house import OPTIONS, decision


def test_a_dataset_holds_samples_in_every_form_that_others_read(house, tmp_path):
    with house.server() as channel:
        uri = house.build(channel)
        events = house.published("dataset-published")
    folder = materialize(house.objects, uri, tmp_path)
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == ["d0", "d1", "d2"]
    for row in rows:
        human, answer = row["conversations"]
        assert human["value"] == "<image>\n" + multiple_choice_prompt("What is wrong?", OPTIONS)
        assert human["value"].count("<image>") == len(row["images"]) == 1
        assert answer == {"from": "gpt", "value": "AB"[int(row["id"][1]) % 2]}
        assert (folder / row["images"][0]).read_bytes().startswith(b"\x89PNG")
    table = pq.read_table(folder / "data/train-00000-of-00001.parquet").to_pylist()
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    assert table[0]["conversations"] == rows[0]["conversations"]
    assert table[0]["image"]["bytes"] == (folder / table[0]["image"]["path"]).read_bytes()
    info = json.loads((folder / "dataset_info.json").read_text())["medq"]
    assert info["file_name"] == "train.jsonl"
    card = (folder / "README.md").read_text()
    assert "3 of the 3 new samples were annotated by a simulated oracle" in card
    assert card.startswith("---\n")
    assert [event.key for event in events] == ["run"]


def test_descriptions_are_samples_beside_questions_in_both_forms_from_decisions_and_from_replay(house, tmp_path):
    text = "Strong noise hides the edges. Overall, the quality of this image is reject."
    asked = {"question": DESCRIPTION_QUESTION, "options": {}, "question_type": "description"}
    house.decisions[1] = replace(house.decisions[1], **asked, answer=text)
    image = {"image_id": house.image_uris[3].removeprefix("sha256:"), "image_uri": house.image_uris[3]}
    item = a(Item, item_id="described", answer=text.replace("noise", "grain"), **asked, **image)
    replay = house.put("benchmark", "items.jsonl", [item])
    with house.server() as channel:
        uri = house.build(channel, replay_uri=replay, replay_ratio=1)
    folder = materialize(house.objects, uri, tmp_path)
    rows = {row["id"]: row for row in map(json.loads, (folder / "train.jsonl").read_text().splitlines())}
    assert rows["d1"]["conversations"] == [
        {"from": "human", "value": f"<image>\n{DESCRIPTION_QUESTION}"},
        {"from": "gpt", "value": text},
    ]
    assert rows["replay/described"]["conversations"][1]["value"].startswith("Strong grain")
    table = {row["id"]: row for row in pq.read_table(folder / "data/train-00000-of-00001.parquet").to_pylist()}
    assert {name: row["conversations"] for name, row in rows.items()} == {
        name: row["conversations"] for name, row in table.items()
    }
    card = (folder / "README.md").read_text()
    assert "| a description | 2 |" in card
    assert "Strong" not in card


def test_every_sample_leads_back_to_its_decision_and_prototype(house):
    with house.server() as channel:
        lineage = read_rows(house.objects, house.build(channel), Lineage)
    assert {row.id: (row.decision_id, row.sample_id, row.prototype_id, row.route) for row in lineage} == {
        f"d{n}": (f"d{n}", f"sample-{n}", "p0", "self") for n in range(3)
    }
    assert {row.image_uri for row in lineage} == set(house.image_uris[:3])


def test_a_leaking_image_is_dropped_with_the_reason(house):
    leaking = house.image_uris[1].removeprefix("sha256:")
    house.gate.leaks = {leaking: "patient"}
    with house.server() as channel:
        uri = house.build(channel, is_quality_assurance_off=True)
    assert len(read_rows(house.objects, uri, Conversation)) == 2
    dropped = read_rows(house.objects, uri, Dropped)
    assert [(row.image_id, row.reason, row.detail) for row in dropped] == [(leaking, "leak: patient", "g")]


def test_a_leakage_check_that_cannot_be_made_ends_the_build(house):
    house.gate.is_down = True
    with house.server() as channel, pytest.raises(FailedPrecondition, match="no hashes"):
        house.build(channel)


def test_an_image_that_no_image_set_describes_ends_the_build(house):
    house.decisions.append(decision(9, put_image(house.objects, 99)))
    with house.server() as channel, pytest.raises(FailedPrecondition, match="leakage cannot be checked"):
        house.build(channel)
    assert house.gate.requests == []


def test_near_duplicate_images_and_texts_are_kept_once_the_experts_first(house):
    house.hashes[:2] = ["0" * 16, "0" * 15 + "1"]
    first, second = house.image_uris[0], house.image_uris[2]
    house.decisions = [
        decision(0, first, answer="A"),
        decision(1, house.image_uris[1], answer="A", expert_action="accept", route="expert"),
        decision(2, second, answer="B"),
        decision(3, second, answer="B", question="What  is wrong?"),
    ]
    with house.server() as channel:
        uri = house.build(channel)
    kept = {row.id for row in read_rows(house.objects, uri, Conversation)}
    dropped = {row.id: (row.reason, row.detail) for row in read_rows(house.objects, uri, Dropped)}
    assert kept == {"d1", "d2"}
    assert dropped == {
        "d0": ("near-duplicate image", house.image_uris[1].removeprefix("sha256:")),
        "d3": ("near-duplicate text", "d2"),
    }


def test_the_same_slice_with_another_degradation_and_answer_is_kept(house):
    house.hashes[:3] = ["0" * 16, "0" * 15 + "1", "0" * 15 + "3"]
    house.decisions = [decision(n, house.image_uris[n], answer=answer) for n, answer in enumerate("ABC")]
    with house.server() as channel:
        uri = house.build(channel)
    assert read_rows(house.objects, uri, Dropped) == []


def test_what_an_earlier_round_taught_about_nearly_the_same_picture_is_not_taught_again(house):
    house.hashes[:3] = ["0" * 16, "f" * 16, "0" * 15 + "1"]
    with house.server() as channel:
        house.decisions = [decision(0, house.image_uris[0], answer="A"), decision(1, house.image_uris[1], answer="A")]
        first = house.build(channel, round=1)
        house.decisions = [
            decision(2, house.image_uris[2], answer="A"),  # nearly the picture of d0, and the same answer
            decision(3, house.image_uris[2], answer="B", question="Is it sharp?"),
        ]
        second = house.build(channel, operation_id="second", round=2, earlier_uris=[first])
        third = house.build(
            channel, operation_id="third", round=3, earlier_uris=[first, second], is_quality_assurance_off=True
        )
    dropped = [(row.id, row.reason, row.detail) for row in read_rows(house.objects, second, Dropped)]
    assert dropped == [("d2", "repeats round 1", "d0")]
    assert first in read_manifest(house.objects, second).parents
    assert read_rows(house.objects, third, Dropped) == []


@pytest.mark.parametrize("is_off", [False, True])
def test_what_earlier_rounds_taught_is_put_in_again_where_asked_and_counts_against_the_total(house, is_off):
    def build(channel, round_number, earlier):
        return house.build(
            channel,
            operation_id=f"round-{round_number}",
            round=round_number,
            earlier_uris=earlier,
            is_earlier_replayed=True,
            replay_uri=house.replay(),
            total_samples=4,
            is_quality_assurance_off=is_off,
        )

    house.hashes[:3] = ["0" * 16, "f" * 16, "0f" * 8]
    uris = []
    with house.server() as channel:
        for number in range(3):
            house.decisions = [decision(number, house.image_uris[number], answer="A")]
            uris.append(build(channel, number + 1, uris))
    third = {row.id: row.learned_in for row in read_rows(house.objects, uris[2], Lineage) if row.kind == "new"}
    assert third == {"d0": 1, "d1": 2, "d2": None}
    counts = read_manifest(house.objects, uris[2]).counts
    assert (counts["new"], counts["earlier"], counts["replay"], counts["samples"]) == (1, 2, 1, 4)


def test_without_quality_assurance_duplicates_stay_and_leaks_do_not(house):
    house.hashes[:2] = [house.hashes[2]] * 2
    house.gate.leaks = {house.image_uris[0].removeprefix("sha256:"): "same_pixels"}
    with house.server() as channel:
        uri = house.build(channel, is_quality_assurance_off=True, tfidf_threshold=0)
    assert {row.id for row in read_rows(house.objects, uri, Conversation)} == {"d1", "d2"}


def test_a_sample_that_cannot_be_trained_on_is_dropped(house):
    house.decisions[0] = replace(house.decisions[0], answer="Z")
    house.decisions[1] = replace(house.decisions[1], question="Is <image> blurred?")
    with house.server() as channel:
        uri = house.build(channel)
    reasons = {row.id: row.reason for row in read_rows(house.objects, uri, Dropped)}
    assert reasons == {"d0": "the answer is no option", "d1": "the text holds <image>"}


def test_replay_is_drawn_by_the_seed_checked_for_leaks_and_traced(house):
    replay_uri = house.replay()
    with house.server() as channel:
        uri = house.build(channel, replay_uri=replay_uri, replay_ratio=0.5)
        again = house.build(channel, operation_id="again", run_id="x", replay_uri=replay_uri, replay_ratio=0.5)
        house.gate.leaks = {house.image_uris[3].removeprefix("sha256:"): "session"}
        without = house.build(channel, operation_id="leak", replay_uri=replay_uri, replay_ratio=0.5)
    replayed = [row for row in read_rows(house.objects, uri, Lineage) if row.kind == "replay"]
    assert len(replayed) == 2
    assert all(row.id == f"replay/{row.item_id}" for row in replayed)
    assert uri == again
    counts = {"new": 3, "samples": 3, "dropped": 3, "replay_lacking": 2}
    assert read_manifest(house.objects, without).counts == counts


def test_replay_fills_the_dataset_up_to_its_total_and_counts_what_is_lacking(house):
    replay_uri = house.replay()
    with house.server() as channel:
        found = {
            total: read_manifest(
                house.objects,
                house.build(
                    channel, operation_id=f"b{total}", replay_uri=replay_uri, replay_ratio=9, total_samples=total
                ),
            ).counts
            for total in (2, 3, 5, 8)
        }
    three = {"new": 3, "samples": 3, "dropped": 0}
    assert found == {
        2: three,  # a new sample is never left out for the total
        3: three,
        5: {"new": 3, "replay": 2, "samples": 5, "dropped": 0},
        8: {"new": 3, "replay": 3, "samples": 6, "dropped": 0, "replay_lacking": 2},
    }


def test_no_new_sample_is_an_error_that_counts_the_reasons(house):
    house.gate.leaks = {uri.removeprefix("sha256:"): "patient" for uri in house.image_uris}
    with house.server() as channel, pytest.raises(FailedPrecondition, match="leak: patient: 3"):
        house.build(channel)


def test_the_seed_decides_on_the_order_alone(house):
    with house.server() as channel:
        orders = [
            [
                row.id
                for row in read_rows(house.objects, house.build(channel, operation_id=f"b{s}", seed=s), Conversation)
            ]
            for s in range(6)
        ]
    assert {tuple(sorted(order)) for order in orders} == {("d0", "d1", "d2")}
    assert len({tuple(order) for order in orders}) > 1
