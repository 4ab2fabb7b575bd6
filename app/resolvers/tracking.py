"""Where a customer follows a parcel: a carrier's template with the code put in."""

from urllib.parse import quote, urlsplit

PLACE = "{code}"


def tracking_url(code: str, template: str | None) -> str | None:
    """The template with `code` percent-encoded in place of each `{code}`.

    None without a template, or where it is no http or https URL with a host of its own: a link that customers click
    must not run a script or lead to a host that the code chose.
    """
    if not template:
        return None
    try:
        parts = urlsplit(template)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or PLACE in parts.netloc:
        return None
    return template.replace(PLACE, quote(code, safe=""))
