#!/usr/bin/env python3
"""A worker for external activities: claims them from a task queue, executes them, and says what came of it.

    python3 worker.py "dbname=shop user=payments" bank

Needs psycopg 3 (Debian: python3-psycopg). Stops gracefully on SIGTERM: it finishes what it has and claims nothing more.
Works through a connection pooler in transaction mode: nothing depends on a session. Set idle_in_transaction_session_timeout
for the role, so that what a frozen worker has written and not committed does not stand in the way of its successor.
"""
import json
import os
import signal
import socket
import sys
import threading

import psycopg


class Cancelled(Exception):
    """The workflow no longer wants this activity."""


class Failure(Exception):
    """Says how an activity failed: kind, and whether to try again."""

    def __init__(self, message, kind=None, retryable=True):
        super().__init__(message)
        self.kind, self.retryable = kind, retryable


def charge(task, connection):
    """An activity. It may use the connection of the outcome: then its writes and the outcome are one transaction."""
    if task["input"].get("card") == "stolen":
        raise Failure("the card was declined", kind="card declined", retryable=False)
    # Somebody else's system is told the key, so that it does the same thing once, however often it is asked.
    connection.execute(
        "INSERT INTO payment (key, amount) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (task["idempotency_key"], task["input"]["amount"]))
    return {"paid": task["input"]["amount"], "attempt": task["attempt"]}


ACTIVITIES = {"charge": charge}


class Heartbeat:
    """Says from another connection that a task goes on, and hears whether it is still wanted."""

    def __init__(self, dsn, token, seconds):
        self.cancelled, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.beat, args=(dsn, token, seconds), daemon=True)

    def beat(self, dsn, token, seconds):
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not self.over.wait(seconds):
                try:
                    row = connection.execute("SELECT aion.heartbeat_activity(%s)", (token,)).fetchone()
                except psycopg.errors.DatabaseError:
                    row = (True,)  # WF018: somebody else has it now
                if row[0]:
                    self.cancelled.set()
                    return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def execute(dsn, connection, task, beat):
    """Executes a task; effect and outcome are one transaction, so neither is there without the other."""
    try:
        with Heartbeat(dsn, task["task_token"], beat) as heartbeat, connection.transaction():
            result = ACTIVITIES[task["activity"]](task, connection)
            if heartbeat.cancelled.is_set():
                raise Cancelled()
            connection.execute("SELECT aion.complete_activity(%s, %s)", (task["task_token"], json.dumps(result)))
    except Cancelled:
        pass
    except psycopg.errors.DatabaseError as error:
        if error.sqlstate != "WF018":  # it was not ours any more, and what we did is rolled back
            fail(connection, task, Failure(str(error), kind="database"))
    except Exception as error:  # pylint: disable=broad-except
        fail(connection, task, error if isinstance(error, Failure) else Failure(repr(error)))


def fail(connection, task, failure):
    try:
        connection.execute("SELECT aion.fail_activity(%s, %s, %s, %s)",
                           (task["task_token"], str(failure), failure.kind, failure.retryable))
    except psycopg.errors.DatabaseError as error:
        if error.sqlstate != "WF018":
            raise


def main():
    dsn, queue = sys.argv[1], sys.argv[2]
    beat = float(os.environ.get("HEARTBEAT", "5"))
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    name = f"{socket.gethostname()}:{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
        while not stopping.is_set():
            # Waits up to a few seconds for something to do, without asking again and again.
            tasks = connection.execute(
                "SELECT * FROM aion.poll_activities(%s, %s, wait => '2 s', activities => %s)",
                ([queue], name, list(ACTIVITIES))).fetchall()
            for task in tasks:
                execute(dsn, connection, task, beat)


if __name__ == "__main__":
    main()
