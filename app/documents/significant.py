"""A text without what means nothing, by which two spellings of one document are the same."""

from graphql import GraphQLSyntaxError, parse, strip_ignored_characters

from app.documents.identifier import hash_of


def significant_hash(text: str, most_tokens: int) -> bytes | None:
    """The SHA-256 of what is significant; None of what is no document, or of too many tokens."""
    try:
        parse(text, no_location=True, max_tokens=most_tokens)
    except (GraphQLSyntaxError, RecursionError):
        return None
    return hash_of(strip_ignored_characters(text))
