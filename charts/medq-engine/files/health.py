"""Ask the gRPC health service of each address given until it serves; ends with 1 if one does not within two minutes."""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

failed = 0
for target in sys.argv[1:]:
    try:
        with grpc.insecure_channel(target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=120, wait_for_ready=True)
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    except grpc.RpcError as error:
        status = error.code().name
    failed |= status != "SERVING"
    sys.stdout.write(f"{target} {status}\n")
sys.exit(failed)
