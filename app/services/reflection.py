"""Server reflection, v1 and v1alpha: how grpcurl and its like learn what is served.

The descriptors are what protoc wrote beside the generated messages; nothing but their names is read here.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import resources
from types import ModuleType

import betterproto2
import msgspec

from app.errors import Code
from app.pb.grpc.reflection import v1, v1alpha
from app.rpc.messages import parsed
from app.rpc.model import BIDI_STREAM, ServerCall, Service

# Field numbers of google/protobuf/descriptor.proto.
_SET_FILE = 1
_FILE_NAME, _FILE_PACKAGE, _FILE_DEPENDENCY, _FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 1, 2, 3, 4, 5, 6
_NAME = 1  # of messages, fields, enums, enum values, services and methods alike
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM = 2, 3, 4
_SERVICE_METHOD, _ENUM_VALUE = 2, 2


class DescriptorFile(msgspec.Struct, frozen=True):
    """One .proto file: its serialized descriptor, what it imports, and every name it defines."""

    name: str
    serialized: bytes
    dependencies: tuple[str, ...]
    symbols: frozenset[str]


def _values(message: bytes, number: int) -> Iterator[bytes]:
    for field in betterproto2.parse_fields(message):
        if field.number == number and field.wire_type == betterproto2.WIRE_LEN_DELIM:
            yield field.value


def _first(message: bytes, number: int) -> str:
    return next((value.decode() for value in _values(message, number)), "")


def _message_symbols(message: bytes, scope: str) -> Iterator[str]:
    name = f"{scope}{_first(message, _NAME)}"
    yield name
    for field in _values(message, _MESSAGE_FIELD):
        yield f"{name}.{_first(field, _NAME)}"
    for enum in _values(message, _MESSAGE_ENUM):
        yield from _enum_symbols(enum, f"{name}.")
    for nested in _values(message, _MESSAGE_NESTED):
        yield from _message_symbols(nested, f"{name}.")


def _enum_symbols(enum: bytes, scope: str) -> Iterator[str]:
    yield f"{scope}{_first(enum, _NAME)}"
    for value in _values(enum, _ENUM_VALUE):
        yield f"{scope}{_first(value, _NAME)}"  # values live in the scope around the enum


def _file_symbols(serialized: bytes) -> Iterator[str]:
    package = _first(serialized, _FILE_PACKAGE)
    scope = f"{package}." if package else ""
    for message in _values(serialized, _FILE_MESSAGE):
        yield from _message_symbols(message, scope)
    for enum in _values(serialized, _FILE_ENUM):
        yield from _enum_symbols(enum, scope)
    for service in _values(serialized, _FILE_SERVICE):
        name = f"{scope}{_first(service, _NAME)}"
        yield name
        for method in _values(service, _SERVICE_METHOD):
            yield f"{name}.{_first(method, _NAME)}"


@lru_cache(maxsize=1)
def descriptor_files() -> dict[str, DescriptorFile]:
    """All files of the descriptor set, by their names."""
    descriptor_set = (resources.files("app.pb") / "descriptors.binpb").read_bytes()
    files = (
        DescriptorFile(
            name=_first(serialized, _FILE_NAME),
            serialized=serialized,
            dependencies=tuple(value.decode() for value in _values(serialized, _FILE_DEPENDENCY)),
            symbols=frozenset(_file_symbols(serialized)),
        )
        for serialized in _values(descriptor_set, _SET_FILE)
    )
    return {file.name: file for file in files}


def _with_dependencies(file: DescriptorFile, files: dict[str, DescriptorFile]) -> list[bytes]:
    """The file first, then all that it imports, each once."""
    found: dict[str, DescriptorFile] = {}
    pending = [file]
    while pending:
        current = pending.pop()
        if current.name not in found:
            found[current.name] = current
            pending.extend(files[name] for name in reversed(current.dependencies))
    return [each.serialized for each in found.values()]


class Reflection:
    """Stateless: answers from the descriptor set.

    :param services: full names of the services that are served.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = sorted({*services, *(f"{package}.ServerReflection" for package in _PACKAGES)})

    def services(self) -> list[Service]:
        """Both versions; they differ in nothing but the package."""
        return [
            Service(
                f"{package}.ServerReflection",
                {"ServerReflectionInfo": self._handler(messages)},
                streaming={"ServerReflectionInfo": BIDI_STREAM},
            )
            for package, messages in _PACKAGES.items()
        ]

    def _handler(self, messages: ModuleType):  # type: ignore[no-untyped-def]
        async def server_reflection_info(call: ServerCall) -> None:
            while (message := await call.receive()) is not None:
                request = parsed(messages.ServerReflectionRequest, message)
                answer = messages.ServerReflectionResponse(valid_host=request.host, original_request=request)
                self._fill(answer, request, messages)
                await call.send(bytes(answer))

        return server_reflection_info

    def _fill(self, answer, request, messages: ModuleType) -> None:  # type: ignore[no-untyped-def]
        files = descriptor_files()
        file: DescriptorFile | None = None
        wanted = ""
        if request.list_services is not None:
            answer.list_services_response = messages.ListServiceResponse(
                service=[messages.ServiceResponse(name=name) for name in self._services]
            )
            return
        if request.file_by_filename is not None:
            wanted = request.file_by_filename
            file = files.get(wanted)
        elif request.file_containing_symbol is not None:
            wanted = request.file_containing_symbol
            file = next((each for each in files.values() if wanted.lstrip(".") in each.symbols), None)
        elif request.all_extension_numbers_of_type is not None:
            wanted = request.all_extension_numbers_of_type
            if any(wanted.lstrip(".") in each.symbols for each in files.values()):
                answer.all_extension_numbers_response = messages.ExtensionNumberResponse(
                    base_type_name=wanted
                )
                return
        elif request.file_containing_extension is not None:
            wanted = f"an extension of {request.file_containing_extension.containing_type}"
        if file is None:
            answer.error_response = messages.ErrorResponse(
                error_code=int(Code.NOT_FOUND), error_message=f"not found: {wanted or 'an empty request'}"
            )
            return
        answer.file_descriptor_response = messages.FileDescriptorResponse(
            file_descriptor_proto=_with_dependencies(file, files)
        )


_PACKAGES: dict[str, ModuleType] = {"grpc.reflection.v1": v1, "grpc.reflection.v1alpha": v1alpha}
