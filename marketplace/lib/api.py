"""What every endpoint of the API shares."""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework.exceptions import APIException
from rest_framework.pagination import PageNumberPagination

from marketplace.lib.errors import DomainError


class Pagination(PageNumberPagination):
    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100


class BodyTooLarge(DomainError):
    code = "body_too_large"
    status = 413
    message = "This is more than is read at once."


class DomainExceptionHandler(ExceptionHandler):
    """An anticipated error keeps its status, code and words in the API's envelope."""

    def convert_known_exceptions(self, exc: Exception) -> Any:
        if isinstance(exc, RequestDataTooBig):
            exc = BodyTooLarge()
        if not isinstance(exc, DomainError):
            return super().convert_known_exceptions(exc)
        answer = APIException(detail=str(exc), code=exc.code)
        answer.status_code = exc.status
        return answer
