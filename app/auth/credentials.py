"""What customers log in with, and what is wrong with what does not look like it."""

import re

LONGEST_EMAIL = 255
SHORTEST_PASSWORD = 6
LONGEST_PASSWORD_BYTES = 4_096

EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f-\x9f]+@[^\s@.\x00-\x1f\x7f-\x9f]+(\.[^\s@.\x00-\x1f\x7f-\x9f]+)*")


def faults_of_email(email: str) -> list[str]:
    if not email:
        return ["The email field is required."]
    if len(email) > LONGEST_EMAIL:
        return [f"The email field must not be greater than {LONGEST_EMAIL} characters."]
    return [] if EMAIL.fullmatch(email) else ["The email field must be a valid email address."]


def faults_of_password(password: str) -> list[str]:
    if not password.strip():
        return ["The password field is required."]
    if len(password) < SHORTEST_PASSWORD:
        return [f"The password field must be at least {SHORTEST_PASSWORD} characters."]
    # The count of characters spares the encoding of a very long text.
    too_long = len(password) > LONGEST_PASSWORD_BYTES
    if too_long or len(password.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD_BYTES:
        return [f"The password field must not be greater than {LONGEST_PASSWORD_BYTES} bytes."]
    return []
