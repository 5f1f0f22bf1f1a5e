"""An example of every row: `docs/datasets.md` shows them, and the tests build theirs from them."""

from __future__ import annotations

from shared.rows.annotation import (
    Account,
    Calibration,
    Decision,
    Generation,
    KnownAnswer,
    Question,
    ResidualError,
    RouteShare,
    Summary,
    Unanswered,
)
from shared.rows.benchmark import Item, Rejection
from shared.rows.evaluation import Answer, Description, Extractors, GradeMean, Perception, Score, Scores, Unscored
from shared.rows.failures import Anchor, CapabilityErrorRate, ClusteringRow, Failure, PrototypeRow
from shared.rows.fields import Row
from shared.rows.images import Image, Input, Window
from shared.rows.selection import Found, Sample, Selection
from shared.rows.training import Conversation, Dropped, Lineage, LossPoint, Training, Turn

_ID = "3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b"
_URI = f"sha256:{_ID}"
_HASH = "5d41402abc4b2a76b9719d911017c592"
_QUESTION = "Which degradation does the image show?"
_OPTIONS = {"A": "Noise", "B": "Motion", "C": "Metal artifact", "D": "None"}
_SCORE = Score(value=0.75, low=0.5, high=1.0, n=8, unscored=0, scored=0.857143, coverage=0.875)
_NO_DIFFERENCE = Score(value=0.0, low=0.0, high=0.0, n=8, unscored=0, scored=0.0, coverage=1.0)
_GRADE = GradeMean(value=1.25, low=0.875, high=1.625, n=8, unscored=0, n_sources=8)
_GRADES = GradeMean(value=5.0, low=3.5, high=6.5, n=8, unscored=0, n_sources=8)
_AUDITED = ResidualError(value=0.0, low=0.0, high=0.975, n=1, n_wrong=0, population=7, n_sources=1)

EXAMPLES: dict[type[Row], Row] = {
    type(row): row
    for row in (
        Image(
            image_id=_ID,
            image_uri=_URI,
            phash="c3d1e2f00f1e2d3c",
            width=512,
            height=512,
            window=Window(function="linear", center=40.0, width=400.0),
            modality="ct",
            source_id=_HASH,
            patient=_HASH,
            session="7d793037a0760186574b0282f2f435e7",
            split="pool",
            licence="CC-BY-4.0",
            structure="9c" * 52,
            modality_from="header",
        ),
        Input(name="0017.dcm", image_path="0017.dcm", image_id=_ID, status="stored", reason="", remedy=""),
        Item(
            item_id="17",
            image_id=_ID,
            image_uri=_URI,
            question=_QUESTION,
            options=_OPTIONS,
            answer="C",
            question_type="what",
            attribute="metal_artifact",
            severity="severe",
            scope="modality_specific",
            modality="ct",
            source_id=_HASH,
            split="dev",
        ),
        Rejection(name="18", reason="fewer than two options", remedy="fill at least the columns A and B"),
        Answer(
            arm="failure_driven",
            round=1,
            seed=0,
            model=_URI,
            run=0,
            item_id="17",
            source_id=_HASH,
            modality="ct",
            question_type="what",
            attribute="metal_artifact",
            severity="severe",
            scope="modality_specific",
            split="dev",
            answer="B. Motion",
            gold="C",
            choice="B",
            scored=True,
            correct=False,
            tokens=4,
            logprob_sum=-1.25,
        ),
        Scores(
            perception=Perception(
                overall=_SCORE,
                by_modality={"ct": _SCORE},
                by_question_type={"what": _SCORE},
                by_attribute={"metal_artifact": _SCORE},
                by_severity={"severe": _SCORE},
                by_scope={"modality_specific": _SCORE},
            ),
            extractors=Extractors(used="strict", official=_SCORE, disagreement=_NO_DIFFERENCE),
            description=Description(
                completeness=_GRADE,
                preciseness=_GRADE,
                consistency=_GRADE,
                quality_accuracy=_GRADE,
                overall=_GRADES,
                level_accuracy=_GRADE,
                by_modality={"ct": _GRADES},
                judge="gpt-4o, prompt 1",
                pass_sum=5,
                anchors={"contrary": 1.333333, "faithful": 7.666667, "partial": 4.0},
            ),
        ),
        Unscored(item_id="18", run=0, reason="The stored object is not an image.", remedy="Ingest the image again."),
        Failure(
            item_id="17",
            error_rate=0.8,
            n_scored=5,
            capabilities=("modality:ct+attribute:metal_artifact", "modality:ct", "attribute:metal_artifact"),
            prototype_id="p000",
        ),
        CapabilityErrorRate(
            capability="modality:ct+attribute:metal_artifact", n_failures=3, n_items=12, n_unscored=0, error_rate=0.25
        ),
        PrototypeRow(
            prototype_id="p000",
            members=("17",),
            image_ids=(_ID,),
            profile={"modality:ct+attribute:metal_artifact": 1.0},
            size=1,
        ),
        Anchor(image_id=_ID, is_failure=True, capabilities={"modality:ct+attribute:metal_artifact": 1}),
        ClusteringRow(n_clusters=2, silhouettes={"2": 0.31, "3": 0.28}),
        Sample(
            sample_id="0cc175b9c0f1b6a831c399e269772661",
            image_id=_ID,
            image_uri=_URI,
            modality="ct",
            source_id=_HASH,
            prototype_id="p000",
            similarity=0.912345,
            capability="modality:ct+attribute:metal_artifact",
        ),
        Selection(
            strategy="failure_driven",
            requested=500,
            selected=500,
            reason="",
            excluded={"leak_patient": 3},
            tau_sim=0.75,
            fallback="",
            found=(Found(name="p000", n_found=812, n_drawn=500, mean=0.83),),
        ),
        KnownAnswer(
            image_id=_ID,
            question=_QUESTION,
            options=_OPTIONS,
            answer="C",
            answer_text="Metal artifact",
            question_type="what",
            attribute="metal_artifact",
            severity="severe",
            scope="modality_specific",
            modality="ct",
            item_id="17",
        ),
        Question(question_id=f"{_ID}/9e107d9d372bb682", image_uri=_URI, question=_QUESTION, options=_OPTIONS),
        Generation(
            question_id=f"{_ID}/9e107d9d372bb682",
            answer="C",
            choice="C",
            token_logprobs=(-0.125, -0.0625),
            answer_logprobs=(-0.125,),
        ),
        Decision(
            decision_id="92eb5ffee6ae2fec3ad71c777531578f",
            sample_id="0cc175b9c0f1b6a831c399e269772661",
            image_id=_ID,
            image_uri=_URI,
            modality="ct",
            source_id=_HASH,
            capability="modality:ct+attribute:metal_artifact",
            prototype_id="p000",
            question=_QUESTION,
            options=_OPTIONS,
            question_type="what",
            attribute="metal_artifact",
            scope="modality_specific",
            route="self",
            audited_route="",
            answer="C",
            self_answer="C",
            reference_answer="C",
            expert_action="",
            entropy=0.09375,
            agreement=1.0,
            simulated=True,
        ),
        Unanswered(
            sample_id="0cc175b9c0f1b6a831c399e269772661",
            image_id=_ID,
            question=_QUESTION,
            options=_OPTIONS,
            reason="the oracle does not know the question",
        ),
        Summary(
            n_decided=10,
            n_decisions=10,
            routes={"self": 7, "expert": 2, "audit": 1},
            expert_actions={"accept": 2, "edit": 1},
            review_share=0.3,
            residual_error=_AUDITED,
            unanswered={},
            account={"oracle": Account(calls=10, usd=0.0071, tokens_in=2800, tokens_out=10, expert_seconds=0.0)},
            stopped={"oracle": "", "expert": ""},
            policy={"target_error_rate": 0.1},
            simulated=True,
            calibration=Calibration(
                tau_entropy=0.1875,
                target_error_rate=0.1,
                is_met=True,
                n_reviewed=210,
                n_adopted=80,
                n_wrong=2,
                upper_error_rate=0.0766,
            ),
            by_route={
                "expert": RouteShare(
                    n=2,
                    share=0.2,
                    review_share=1.0,
                    error=ResidualError(value=0.5, low=0.0, high=1.0, n=2, n_wrong=1, population=0, n_sources=2),
                ),
                "self": RouteShare(n=8, share=0.8, review_share=0.125, error=_AUDITED),
            },
            route_reasons={"the model is confident, and no choice can be read from its reply": 1},
        ),
        Conversation(
            id="92eb5ffee6ae2fec3ad71c777531578f",
            images=(f"images/{_ID}.png",),
            conversations=(
                Turn(speaker="human", value=f"<image>\n{_QUESTION}\nA. Noise\nB. Motion"),
                Turn(speaker="gpt", value="C"),
            ),
        ),
        Lineage(
            id="92eb5ffee6ae2fec3ad71c777531578f",
            kind="new",
            image_id=_ID,
            image_uri=_URI,
            modality="ct",
            source_id=_HASH,
            decision_id="92eb5ffee6ae2fec3ad71c777531578f",
            sample_id="0cc175b9c0f1b6a831c399e269772661",
            prototype_id="p000",
            capability="modality:ct+attribute:metal_artifact",
            route="self",
            simulated=True,
        ),
        Dropped(id="replay/4", kind="replay", image_id=_ID, reason="leak: patient", detail=_ID),
        Training(
            n_samples=900,
            longest_sample_tokens=118,
            n_parameters=612000,
            n_trainable=612000,
            n_steps=84,
            loss_curve=(LossPoint(step=1, loss=1.5, learning_rate=2e-05),),
            settings={"epochs": 3},
        ),
    )
}
