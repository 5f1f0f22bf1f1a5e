import pytest

from medq.evaluation.v1 import evaluation_pb2
from medq.oracle.v1 import oracle_pb2
from medq.retrieval.v1 import retrieval_pb2
from shared.errors import InvalidArgument
from shared.rpc.choices import choices, name_of


def test_names_are_those_of_the_proto_without_the_enum_and_the_unspecified() -> None:
    assert choices(evaluation_pb2.Extractor.DESCRIPTOR) == {
        "strict": evaluation_pb2.EXTRACTOR_STRICT,
        "official": evaluation_pb2.EXTRACTOR_OFFICIAL,
        "likelihood": evaluation_pb2.EXTRACTOR_LIKELIHOOD,
        "judge": evaluation_pb2.EXTRACTOR_JUDGE,
    }
    assert choices(oracle_pb2.QuestionMode.DESCRIPTOR)["seed_rule"] == oracle_pb2.QUESTION_MODE_SEED_RULE
    assert "failure_driven" in choices(retrieval_pb2.Strategy.DESCRIPTOR)


def test_a_number_without_a_name_is_refused_and_zero_is_what_nobody_chose() -> None:
    enum = evaluation_pb2.AnswerForm.DESCRIPTOR
    assert name_of(enum, evaluation_pb2.ANSWER_FORM_OPEN, "letter") == "open"
    assert name_of(enum, 0, "letter") == "letter"
    with pytest.raises(InvalidArgument, match="no such value"):
        name_of(enum, 99, "letter")
