"""Pages: HTML for people. A page is a client of the schema: a document beside a template, run by the engine in this
process with what its visitor may see, so that whatever a page shows, the API gives too.

One folder per page, with its document (`*.graphql`), its template and its handler (`page.py`). What all have in common
is here: `visit.py` is a request to a page, `endpoint.py` answers it, `template.py`, `language.py`, `wording.py` and
`asset.py` are what it is made with.
"""
