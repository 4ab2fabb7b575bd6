"""What `make run` needs beside the service: an embedded server, and data that looks like a shop's."""
