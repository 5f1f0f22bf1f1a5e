import yaml

from medq.evaluation.v1 import evaluation_pb2
from services.controller.configuration.failures import SelectSection
from services.controller.configuration.models import RunConfiguration
from services.controller.loop.selecting import questions_request, write_questions
from shared.objects.dataset import publish, read_rows
from shared.objects.folder import FolderObjectStore
from shared.prompts import QUALITY_QUESTIONS
from shared.rows.annotation import Question
from shared.rows.images import Image
from tests.support.rows import build, image_id
from tests.support.run_files import write_run_files


def pool_of(objects, n):
    images = sorted((image_id(f"i{i}"), "dev" if i == 0 else "pool") for i in range(n))
    rows = [build(Image, image_id=one, image_uri=f"sha256:{one}", split=split) for one, split in images]
    return publish(objects, "image-set", {"images.jsonl": rows}, counts={}, parents=[], configuration={})


def asked(objects, pool, seed=0, **section):
    return read_rows(objects, write_questions(objects, pool, SelectSection(**section), seed), Question)


def test_every_quality_question_is_asked_of_images_of_the_pool_that_chance_takes(tmp_path):
    objects = FolderObjectStore(tmp_path)
    pool = pool_of(objects, 50)
    rows = asked(objects, pool, budget=1)
    assert len({row.image_uri for row in rows}) == 10  # ten times the budget
    assert len({row.question_id for row in rows}) == len(rows) == 10 * len(QUALITY_QUESTIONS)
    assert {row.question: tuple(row.options.values()) for row in rows} == dict(QUALITY_QUESTIONS)
    assert rows == asked(objects, pool, budget=1)
    assert rows != asked(objects, pool, seed=1, budget=1)


def test_where_more_are_asked_for_than_there_are_all_of_the_pool_are_taken(tmp_path):
    objects = FolderObjectStore(tmp_path)
    rows = asked(objects, pool_of(objects, 5), uncertainty_candidates=99)
    assert {row.image_uri for row in rows} == {f"sha256:{image_id(f'i{i}')}" for i in range(1, 5)}


def test_no_judge_is_paid_for_answers_that_nobody_reads(tmp_path):
    content = write_run_files(tmp_path, evaluate={"extractor": "judge", "judge": "a-judge"})
    request = questions_request(RunConfiguration.model_validate(yaml.safe_load(content)), "r", "model", "questions")
    assert (request.extractor, request.judge) == (evaluation_pb2.EXTRACTOR_STRICT, "")
