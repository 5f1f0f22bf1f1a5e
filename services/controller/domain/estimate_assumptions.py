"""What the figures of an estimate rest on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from services.controller.domain.estimate import (
    CALLS_PER_IMAGE,
    JUDGE_ANCHORS,
    JUDGE_ANSWER_TOKENS,
    JUDGE_AXES,
    JUDGE_TEXT_TOKENS,
    MOST_LATER_REVIEWS,
    ORACLE_ANSWER_TOKENS,
    ORACLE_QUESTION_TOKENS,
    ORACLE_TEXT_TOKENS,
    READING_ANSWER_TOKENS,
    READING_TEXT_TOKENS,
    REVIEW_SECONDS,
    SELF_ANSWER_TOKENS,
    Plan,
)

_LAST = "Time of computers is not in the figures."


def assumptions(plans: Iterable[Plan]) -> list[str]:
    """What the figures rest on, a sentence each."""
    return [*dict.fromkeys(told for plan in plans for told in _assumptions(plan)), _LAST]


def _assumptions(plan: Plan) -> Iterator[str]:
    yield f"Each arm runs all its {plan.rounds} rounds; one that stops earlier costs less."
    if plan.n_pool is None:
        yield "The pool was not counted: where it has fewer images than are drawn, less is asked."
    if not plan.oracle.is_simulated:
        low, high = ORACLE_TEXT_TOKENS
        yield (
            f"A call to the oracle {plan.oracle.name}: {plan.oracle.image_tokens} tokens for the image as the endpoints file "
            f"says, {low} to {high} for the instructions, {ORACLE_ANSWER_TOKENS[0]} to {ORACLE_ANSWER_TOKENS[1]} for its answer "
            f"and {ORACLE_QUESTION_TOKENS[0]} to {ORACLE_QUESTION_TOKENS[1]} more for each question. "
            f"{CALLS_PER_IMAGE[0]} to {CALLS_PER_IMAGE[1]} calls an image. Tries that fail are not counted."
        )
    else:
        yield "The oracle is simulated: nothing is paid; the dollars are what the ledger notes and counts against stop.max_usd."
    if plan.expert != "none":
        low_seconds, high_seconds = REVIEW_SECONDS
        told = " The expert is simulated: no person is asked." if plan.expert == "simulated" else ""
        yield (
            f"An expert takes {low_seconds:g} to {high_seconds:g} seconds for an answer, and sees all of round 0, later "
            f"{100 * plan.audit_share:g} % (the audit) to {100 * max(MOST_LATER_REVIEWS, plan.audit_share):g} %.{told}"
        )
    if plan.judge is not None:
        yield (
            f"A judge is asked {JUDGE_AXES} times for each description, and in each evaluation for each of {JUDGE_ANCHORS} pairs "
            f"which show its drift: {JUDGE_TEXT_TOKENS[0]} to {JUDGE_TEXT_TOKENS[1]} tokens in and {JUDGE_ANSWER_TOKENS[0]} to "
            f"{JUDGE_ANSWER_TOKENS[1]} out. What it has judged before is not asked again, the pairs excepted."
        )
        if plan.n_descriptions is None:
            yield "The descriptions of dev and test could not be counted, so the judge is not in the figures."
    if plan.reader is not None:
        yield (
            "A judge is asked once what a reply means in which the rules read no option. How many these will be nobody knows: "
            "the figures go from none to an upper bound, every reply in evaluations and about drawn images. A call: "
            f"{READING_TEXT_TOKENS[0]} to {READING_TEXT_TOKENS[1]} tokens in for question, options and instructions, up to "
            f"{max(plan.reply_tokens, SELF_ANSWER_TOKENS)} more for the reply, and {READING_ANSWER_TOKENS[0]} to "
            f"{READING_ANSWER_TOKENS[1]} out. Tries that fail are not counted."
        )
        if plan.n_replies is None:
            yield "The questions of dev and test could not be counted: only replies about drawn images are in the bound."
