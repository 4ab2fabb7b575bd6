"""Why a document is not run, in the codes that clients know.

Those of hashes are Apollo Server's, on which its clients and urql send the text
(https://www.apollographql.com/docs/apollo-server/performance/apq); those of safelists are Apollo Router's
(https://www.apollographql.com/docs/graphos/routing/security/persisted-queries).
"""

from graphql import GraphQLError

from app.errors import NotAuthenticated
from app.execution.document import RequestErrors


class DocumentRefused(RequestErrors):
    """A request error of its own code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(GraphQLError(message, extensions={"code": code}))


class PersistedQueryNotSupported(DocumentRefused):
    """To who has no registered documents at all: its clients send texts from then on."""

    def __init__(self) -> None:
        super().__init__("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")


class PersistedQueryNotFound(DocumentRefused):
    """Unknown, retired and another's: nobody can tell which. Clients send the text of this document."""

    def __init__(self) -> None:
        super().__init__("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")


class NotInSafelist(DocumentRefused):
    def __init__(self) -> None:
        super().__init__("QUERY_NOT_IN_SAFELIST", "This document is not registered.")


class DocumentIdRequired(DocumentRefused):
    def __init__(self) -> None:
        super().__init__(
            "PERSISTED_QUERY_ID_REQUIRED", "Documents are asked for by the ids under which they are registered."
        )


class CallerUnknown(RequestErrors):
    """The credential is not good, so nobody can say whose documents would be meant."""

    def __init__(self, refusal: NotAuthenticated) -> None:
        super().__init__(GraphQLError(refusal.message, extensions=refusal.extensions))
