"""Who asks, and the companies of a contact."""

import sql
from loaders.batch import many

account = sql.load("account")

companies_by_contact = many(account.companies_by_contact_ids, parameter="contact_ids", column="contact_id")
