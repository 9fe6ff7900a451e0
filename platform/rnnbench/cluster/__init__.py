"""Handing a sweep to a cluster: job files from the templates of deploy/, submission, and the state of the queue."""
