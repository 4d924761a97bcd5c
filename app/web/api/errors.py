"""What can be wrong with a request, as clients of Prometheus's API are told. Pure."""

from enum import StrEnum

from app.engine.model import EvaluationError, WrongKind
from app.engine.promql.errors import ParseError
from app.engine.request import QueryCanceled, QueryTimeout
from app.errors import CallError, Code


class ErrorKind(StrEnum):
    """`errorType` of an answer."""

    BAD_DATA = "bad_data"
    EXECUTION = "execution"
    CANCELED = "canceled"
    TIMEOUT = "timeout"
    INTERNAL = "internal"

    @property
    def status(self) -> int:
        """Of HTTP, as Thanos has it."""
        return _STATUS[self]


_STATUS = {
    ErrorKind.BAD_DATA: 400,
    ErrorKind.EXECUTION: 422,
    ErrorKind.CANCELED: 503,
    ErrorKind.TIMEOUT: 503,
    ErrorKind.INTERNAL: 500,
}


class ApiError(Exception):
    """An answer that is an error.

    :param text: for the client; it never shows anything internal.
    """

    def __init__(self, kind: ErrorKind, text: str) -> None:
        self.kind = kind
        self.text = text
        super().__init__(text)


def bad_data(text: str) -> ApiError:
    """The request is at fault."""
    return ApiError(ErrorKind.BAD_DATA, text)


def timed_out(where: str) -> ApiError:
    """The query's time is over.

    :param where: it was: ``query queue``.
    """
    return ApiError(ErrorKind.TIMEOUT, f"query timed out in {where}")


def api_error(error: Exception) -> ApiError | None:
    """What an exception is to a client; None: a fault of ours."""
    match error:
        case ApiError():
            return error
        case ParseError() | WrongKind():
            return bad_data(str(error))
        case EvaluationError():
            return ApiError(ErrorKind.EXECUTION, str(error))
        case QueryTimeout():
            return ApiError(ErrorKind.TIMEOUT, str(error) or timed_out("expression evaluation").text)
        case QueryCanceled():
            return ApiError(ErrorKind.CANCELED, str(error) or "query was canceled in expression evaluation")
        case CallError(code=Code.INVALID_ARGUMENT):
            return bad_data(error.message)
        case CallError():
            return ApiError(ErrorKind.EXECUTION, error.message)
        case _:
            return None
