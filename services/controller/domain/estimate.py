"""What a run will cost, before its first call: calls, tokens, US dollars and expert hours, as ranges, from what is planned.

A range ends where an assumption ends; each assumption is a sentence that goes with the figures
(`estimate_assumptions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from services.controller.domain.ledger import Limits

#: Tokens of the instructions and the bank that go to the oracle with an image; of its answer, and more for each question.
ORACLE_TEXT_TOKENS, ORACLE_ANSWER_TOKENS, ORACLE_QUESTION_TOKENS = (600, 1600), (150, 900), (40, 160)
#: Likewise of a judge, on one axis of one description.
JUDGE_TEXT_TOKENS, JUDGE_ANSWER_TOKENS = (300, 1200), (1, 200)
JUDGE_AXES = 4
#: The frozen pairs that a judge grades anew in each evaluation that has descriptions, so that its drift shows; and how many of
#: these evaluations an arm has in a round: dev or test, or both.
JUDGE_ANCHORS, JUDGED_SETS = 9, (1, 2)
#: Likewise of a judge that says which option a reply means; the reply comes on top. It may think before it names a letter.
READING_TEXT_TOKENS, READING_ANSWER_TOKENS = (70, 1200), (1, 1024)
#: Longest reply about a drawn image, in tokens.
SELF_ANSWER_TOKENS = 16
#: Calls for an image: where an answer cannot be used, the oracle is asked once more.
CALLS_PER_IMAGE = (1, 2)
#: Seconds of an expert for an answer that the oracle proposed; the upper end is ours, the lower one as the simulated expert's.
REVIEW_SECONDS = (30.0, 60.0)
#: Largest share of the answers after round 0 that experts are taken to see; the smallest is the audit.
MOST_LATER_REVIEWS = 0.5
_HOUR_SECONDS = 3600.0


@dataclass(frozen=True)
class Range:
    """From the least to the most; both ends count."""

    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __mul__(self, other: Range) -> Range:
        return Range(self.low * other.low, self.high * other.high)


def exactly(value: float) -> Range:
    """A range of one value."""
    return Range(value, value)


@dataclass(frozen=True)
class Endpoint:
    """Who is asked, and the price.

    Attributes:
        name: As the run's file says it.
        usd_in, usd_out: US dollars for a million tokens.
        image_tokens: What an image is counted as.
        is_simulated: Nobody is asked and nothing is paid; the ledger notes what it would have cost.
    """

    name: str
    usd_in: float
    usd_out: float
    image_tokens: int
    is_simulated: bool = False


#: What the simulated oracle notes in the ledger for a call: usual tokens of a question, and the list price of
#: `services.oracle.adapters.simulated_oracle`.
SIMULATED_TEXT_TOKENS = 30
SIMULATED_ORACLE = Endpoint("simulated", 2.50, 10.00, 255, is_simulated=True)


@dataclass(frozen=True)
class Plan:
    """What arms of a run that are alike are going to do.

    Attributes:
        n_arms, rounds: These arms, and the trainings of each at most.
        budget: Images that each draws a round.
        n_pool: Images of the pool; None where nobody has counted them.
        questions_per_image: Questions about a drawn image.
        oracle: Who pre-annotates.
        expert: "review", "simulated" or "none".
        audit_share: Share of what no expert saw that goes to review.
        overlap_share: Share of the reviews that two experts make, and a third one where they disagree.
        judge: Who judges descriptions; None: nobody.
        n_descriptions: Descriptions of dev (each `runs` times) and of test together that an evaluation asks for; None: unknown.
        reader: Who says what a reply means that no rule reads; None: nobody.
        n_replies: Replies to questions with options in an evaluation, counted likewise; None: unknown.
        reply_tokens: Longest of these replies, in tokens.
    """

    n_arms: int
    rounds: int
    budget: int
    n_pool: int | None
    questions_per_image: int
    oracle: Endpoint
    expert: str
    audit_share: float
    overlap_share: float = 0.0
    judge: Endpoint | None = None
    n_descriptions: int | None = 0
    reader: Endpoint | None = None
    n_replies: int | None = 0
    reply_tokens: int = 0


@dataclass(frozen=True)
class Line:
    """What one kind of call to one endpoint costs in one round, over all arms.

    Attributes:
        round: From 0; None: all rounds together.
        kind: "oracle", "expert", "judge" (of descriptions) or "reading" (a judge that finds the option which a reply means).
        endpoint: Who is asked: an endpoint's name, "review" or "simulated".
        is_simulated: Nobody is asked and nothing is paid.
    """

    round: int | None
    kind: str
    endpoint: str
    calls: Range
    tokens: Range
    usd: Range
    expert_hours: Range
    is_simulated: bool


def estimate(plans: Sequence[Plan]) -> list[Line]:
    """The lines of each round in order; what nobody does has none.

    Args:
        plans: At least one; together all arms of a run, which differ neither in rounds nor in what is evaluated.
    """
    evaluated = replace(plans[0], n_arms=sum(plan.n_arms for plan in plans))
    lines = []
    for number in range(evaluated.rounds + 1):
        if evaluated.judge is not None and evaluated.n_descriptions:
            lines.append(_judge(evaluated, evaluated.judge, evaluated.n_descriptions, number))
        for plan in plans:
            if plan.reader is not None and (reading := _reading(plan, plan.reader, number)).calls.high:
                lines.append(reading)
            if number < plan.rounds and (images := _drawn(plan, number)):
                lines.append(_oracle(plan, number, images))
                if plan.expert != "none":
                    lines.append(_expert(plan, number, images))
    return _summed(lines)


def totals(lines: Iterable[Line]) -> list[Line]:
    """All rounds together, a line for each kind and endpoint."""
    return _summed(replace(line, round=None) for line in lines)


def _summed(lines: Iterable[Line]) -> list[Line]:
    """Lines of the same round, kind and endpoint made one."""
    sums: dict[tuple[int | None, str, str], Line] = {}
    for line in lines:
        key = (line.round, line.kind, line.endpoint)
        before = sums.get(key)
        added = ("calls", "tokens", "usd", "expert_hours") if before else ()
        sums[key] = replace(line, **{name: getattr(before, name) + getattr(line, name) for name in added})
    return list(sums.values())


def is_real(lines: Iterable[Line]) -> bool:
    """Whether any of it is paid for, or takes the time of people."""
    return any(not line.is_simulated and (line.usd.high > 0 or line.expert_hours.high > 0) for line in lines)


def warnings(lines: Iterable[Line], limits: Limits) -> Iterator[str]:
    """Where the limits of the run are below what it may cost: arms then end early."""
    total = list(lines)
    hours = None if limits.max_expert_seconds is None else limits.max_expert_seconds / _HOUR_SECONDS
    pairs = (
        ("stop.max_usd", limits.max_usd, _sum(line.usd for line in total), "US dollars"),
        ("stop.max_expert_hours", hours, _sum(line.expert_hours for line in total), "hours of experts"),
    )
    for field, limit, needed, unit in pairs:
        if limit is not None and needed.high > limit:
            certainty = "will" if needed.low > limit else "may"
            yield (
                f"{field} is {limit:g}, and the run {certainty} need more: {needed.low:.2f} to {needed.high:.2f} {unit}. "
                "Arms end when it is spent."
            )


def _drawn(plan: Plan, number: int) -> int:
    """Images that each arm draws in a round: those that it has not drawn before."""
    left = plan.budget if plan.n_pool is None else max(0, plan.n_pool - number * plan.budget)
    return min(plan.budget, left)


def _oracle(plan: Plan, number: int, images: int) -> Line:
    oracle, n_images = plan.oracle, exactly(images * plan.n_arms)
    if oracle.is_simulated:  # a short text for each question, and a letter for an answer
        n_questions = exactly(plan.questions_per_image)
        tokens_in = exactly(oracle.image_tokens) + exactly(SIMULATED_TEXT_TOKENS) * n_questions
        return _line(number, "oracle", oracle, n_images, tokens_in, n_questions)
    answer = Range(*ORACLE_ANSWER_TOKENS) + Range(*ORACLE_QUESTION_TOKENS) * exactly(plan.questions_per_image)
    tokens_in = exactly(oracle.image_tokens) + Range(*ORACLE_TEXT_TOKENS)
    return _line(number, "oracle", oracle, n_images * Range(*CALLS_PER_IMAGE), tokens_in, answer)


def _judge(plan: Plan, judge: Endpoint, n_descriptions: int, number: int) -> Line:
    """Round 0 is the same model in each arm, so what one arm had judged may serve the others."""
    n_arms = Range(1 if number == 0 else plan.n_arms, plan.n_arms)
    anchors = exactly(plan.n_arms * JUDGE_ANCHORS) * Range(*JUDGED_SETS)
    calls = (n_arms * exactly(n_descriptions) + anchors) * exactly(JUDGE_AXES)
    return _line(number, "judge", judge, calls, Range(*JUDGE_TEXT_TOKENS), Range(*JUDGE_ANSWER_TOKENS))


def _reading(plan: Plan, reader: Endpoint, number: int) -> Line:
    """From no reply to all of them, as nobody knows which the rules will read: those of an evaluation, and about drawn images."""
    n_drawn = _drawn(plan, number) * plan.questions_per_image if number < plan.rounds else 0
    calls = Range(0, plan.n_arms * ((plan.n_replies or 0) + n_drawn))
    tokens_in = Range(*READING_TEXT_TOKENS) + Range(1, max(plan.reply_tokens, SELF_ANSWER_TOKENS))
    return _line(number, "reading", reader, calls, tokens_in, Range(*READING_ANSWER_TOKENS))


def _expert(plan: Plan, number: int, images: int) -> Line:
    share = exactly(1.0) if number == 0 else Range(plan.audit_share, max(MOST_LATER_REVIEWS, plan.audit_share))
    # An endpoint describes each image beside what it is asked; what the simulated oracle is asked is all there is.
    n_answers = plan.questions_per_image + (0 if plan.oracle.is_simulated else 1)
    opinions = Range(1 + plan.overlap_share, 1 + 2 * plan.overlap_share)
    answers = exactly(images * plan.n_arms * n_answers) * share * opinions
    hours = answers * Range(*REVIEW_SECONDS) * exactly(1 / _HOUR_SECONDS)
    is_simulated = plan.expert == "simulated"
    return Line(number, "expert", plan.expert, answers, Range(), Range(), hours, is_simulated)


def _line(number: int, kind: str, asked: Endpoint, calls: Range, tokens_in: Range, tokens_out: Range) -> Line:
    price = tokens_in * exactly(asked.usd_in) + tokens_out * exactly(asked.usd_out)
    usd = calls * price * exactly(1e-6)
    return Line(number, kind, asked.name, calls, calls * (tokens_in + tokens_out), usd, Range(), asked.is_simulated)


def _sum(ranges: Iterable[Range]) -> Range:
    return sum(ranges, Range())
