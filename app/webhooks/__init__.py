"""Webhooks: partners are called with what the feed of changes tells, in order, however long they were away.

An endpoint is a cursor over the feed, and a queue of what was read from there and is not delivered yet. No queue of a
library stands between: moving the cursor and storing what it passed has to be one statement, or a kill between the two
would lose events or tell them twice, and an order that fails has to keep the events behind it, and them alone, waiting.
"""
