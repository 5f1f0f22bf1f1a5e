from medq.evaluation.v1 import evaluation_pb2
from medq.oracle.v1 import oracle_pb2
from medq.retrieval.v1 import retrieval_pb2
from shared.rpc.choices import choices


def test_names_are_those_of_the_proto_without_the_enum_and_the_unspecified() -> None:
    assert choices(evaluation_pb2.Extractor.DESCRIPTOR) == {
        "strict": evaluation_pb2.EXTRACTOR_STRICT,
        "official": evaluation_pb2.EXTRACTOR_OFFICIAL,
    }
    assert choices(oracle_pb2.QuestionMode.DESCRIPTOR)["seed_rule"] == oracle_pb2.QUESTION_MODE_SEED_RULE
    assert "failure_driven" in choices(retrieval_pb2.Strategy.DESCRIPTOR)
