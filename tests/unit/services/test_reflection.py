from types import ModuleType

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from app.pb.grpc.reflection import v1, v1alpha
from app.services.reflection import Reflection, descriptor_files
from tests.unit.services.fake_call import FakeCall

pytestmark = pytest.mark.anyio
SERVED = ["thanos.Store", "thanos.info.Info", "grpc.health.v1.Health"]


async def ask(package: str, messages: ModuleType, **request: object) -> v1.ServerReflectionResponse:
    call = FakeCall(bytes(messages.ServerReflectionRequest(host="here", **request)))
    services = {service.name: service for service in Reflection(SERVED).services()}
    await services[f"{package}.ServerReflection"].methods["ServerReflectionInfo"](call)
    (answer,) = call.sent
    parsed: v1.ServerReflectionResponse = messages.ServerReflectionResponse.parse(answer)
    assert parsed.valid_host == "here"
    assert parsed.original_request is not None
    return parsed


VERSIONS = pytest.mark.parametrize(
    ("package", "messages"), [("grpc.reflection.v1", v1), ("grpc.reflection.v1alpha", v1alpha)]
)


@VERSIONS
async def test_lists_what_is_served_and_itself(package: str, messages: ModuleType) -> None:
    answer = await ask(package, messages, list_services="")
    assert answer.list_services_response is not None
    assert {service.name for service in answer.list_services_response.service} == {
        *SERVED,
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@VERSIONS
@pytest.mark.parametrize(
    "symbol",
    [
        "thanos.Store",
        "thanos.Store.Series",
        "thanos.SeriesRequest",
        "thanos.Chunk.Encoding",
        "thanos.Chunk.XOR",
    ],
)
async def test_symbol_brings_files_that_stand_by_themselves(
    package: str, messages: ModuleType, symbol: str
) -> None:
    answer = await ask(package, messages, file_containing_symbol=symbol)
    assert answer.file_descriptor_response is not None
    pool = descriptor_pool.DescriptorPool()
    for serialized in reversed(answer.file_descriptor_response.file_descriptor_proto):
        pool.Add(descriptor_pb2.FileDescriptorProto.FromString(serialized))
    # The pool knows no methods by themselves; their service must be there.
    found = symbol.removesuffix(".Series")
    assert pool.FindFileContainingSymbol(found).name == "thanos/store/rpc.proto" or "Chunk" in symbol


@VERSIONS
async def test_file_by_name(package: str, messages: ModuleType) -> None:
    answer = await ask(package, messages, file_by_filename="thanos/info/rpc.proto")
    assert answer.file_descriptor_response is not None
    first = descriptor_pb2.FileDescriptorProto.FromString(
        answer.file_descriptor_response.file_descriptor_proto[0]
    )
    assert first.name == "thanos/info/rpc.proto"


@VERSIONS
@pytest.mark.parametrize(
    "request_",
    [
        {"file_containing_symbol": "nobody.Knows"},
        {"file_by_filename": "nowhere.proto"},
        {"all_extension_numbers_of_type": "nobody.Knows"},
        {
            "file_containing_extension": v1.ExtensionRequest(
                containing_type="thanos.Series", extension_number=7
            )
        },
        {},
    ],
)
async def test_what_is_not_there_is_said(
    package: str, messages: ModuleType, request_: dict[str, object]
) -> None:
    if "file_containing_extension" in request_:
        request_ = {
            "file_containing_extension": messages.ExtensionRequest(
                containing_type="thanos.Series", extension_number=7
            )
        }
    answer = await ask(package, messages, **request_)
    assert answer.error_response is not None
    assert answer.error_response.error_code == 5


def test_every_service_that_is_served_is_described() -> None:
    symbols = set().union(*(file.symbols for file in descriptor_files().values()))
    assert {*SERVED, "grpc.reflection.v1.ServerReflection"} <= symbols
