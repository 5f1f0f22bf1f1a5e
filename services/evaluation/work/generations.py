"""From a free reply of a model to its row: what was chosen, and how likely the tokens were that carry the choice."""

from __future__ import annotations

from services.evaluation.domain.answer_tokens import answer_span, answer_tokens, logprobs_fault
from services.evaluation.ports import Generation
from shared.rows import annotation
from shared.rows.fields import Options


def generation_row(question_id: str, options: Options, reply: Generation, choice: str | None) -> annotation.Generation:
    """A reply as it is stored. Log-probabilities that cannot be used cost this row its entropy, and name the reason."""
    carrying = reply.token_logprobs
    if len(reply.token_ends) == len(reply.token_logprobs):
        span = answer_span(reply.text, options, choice)
        carrying = tuple(reply.token_logprobs[i] for i in answer_tokens(reply.token_ends, span))
    fault = logprobs_fault(reply.token_logprobs)
    if not fault and not carrying:
        fault = "the reply is empty"
    return annotation.Generation(
        question_id=question_id,
        answer=reply.text,
        choice=choice,
        token_logprobs=() if fault else reply.token_logprobs,
        answer_logprobs=() if fault else carrying,
        logprobs_fault=fault,
    )
