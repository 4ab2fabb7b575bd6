"""Processes, and the sockets they listen on: what lies between `serve` and a request.

`listen` makes the sockets, or takes them over from systemd. `server` is uvicorn's server, which leaves without losing a
request. `worker` is a process that answers: the only one, or one of those of `supervisor`, which starts as many as
`WORKERS` says, on one socket, and replaces them. `notify` tells systemd.
"""
