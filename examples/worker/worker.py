#!/usr/bin/env python3
"""A worker for external activities: claims them from task queues, executes them, and says what came of it.

    CONCURRENCY=4 python3 worker.py postgresql://app@localhost/shop gpu [another queue ...]

What it can execute is in activities.py. Needs psycopg 3 (Debian: python3-psycopg). Works through a connection pooler in
transaction mode: nothing depends on a session. On SIGTERM it finishes what it has, for GRACE seconds at most, and asks for nothing
more. Set idle_in_transaction_session_timeout for the role, so that what a frozen worker has written and not committed does not
stand in the way of its successor.
"""
import functools
import os
import random
import signal
import socket
import sys
import threading
import time

import psycopg
from psycopg.rows import dict_row

from activities import ACTIVITIES, Cancelled, complete
from heartbeat import Heartbeat

NAME = f"{socket.gethostname()}:{os.getpid()}"


def say(message):
    print(message, file=sys.stderr, flush=True)


def label(task):
    return f"{task['activity']} of {task['workflow_id']}, attempt {task['attempt']}"


def execute(connect, db, task):
    with Heartbeat(connect, task) as beat:
        try:
            result = ACTIVITIES[task["activity"]](task, db, beat)
            if result is not None:  # otherwise it has completed the task by itself
                report(connect, db, task, lambda db: complete(db, task, result))
            outcome = "done"
        except Exception as error:
            outcome = fail(connect, db, task, error)
    say(f"{label(task)}: {outcome}")


def report(connect, db, task, tell):
    """Tells what came of a task: on a new connection if the old one is dead, and again until the server has heard it."""
    pause = 0.2
    while True:
        try:
            if not db.closed:
                return tell(db)
            with connect() as other:
                return tell(other)
        except psycopg.OperationalError as error:
            say(f"{label(task)}: reports again in {pause} s: {error}")
            db.close()
            time.sleep(pause)
            pause = min(2 * pause, 10)


def fail(connect, db, task, error):
    """A task that is no longer wanted fails, too: its queue has room again, and with on_cancel => 'wait' the workflow waits for it."""
    if getattr(error, "sqlstate", None) == "WF018":
        return "lost"
    kind = getattr(error, "kind", None) or getattr(error, "sqlstate", None) or type(error).__name__
    failure = (task["task_token"], str(error), kind, getattr(error, "retryable", True), getattr(error, "retry_after", None))
    try:
        report(connect, db, task, lambda db: db.execute("SELECT aion.fail_activity(%s, %s, %s, %s, %s::interval)", failure))
    except psycopg.Error as refusal:
        if refusal.sqlstate != "WF018":
            return f"failed: {kind}, which was not recorded: {refusal}"  # another attempt follows when the time of this one is up
        return "no longer wanted" if isinstance(error, Cancelled) else "lost"
    return f"failed: {kind}"


def poll(db, queues):
    """Waits for a task a little, and claims it at once: a claim that is not committed yet would hold it if we froze here."""
    return db.execute("SELECT * FROM aion.poll_activities(%s, %s, wait => '2 s', activities => %s)",
                      (queues, NAME, list(ACTIVITIES))).fetchone()


def work(connect, queues, stopping):
    """Executes one task after the other on a connection of its own; comes back when the server has been away."""
    pause = 0.0
    while not stopping.wait(pause * random.uniform(0.5, 1)):
        try:
            with connect() as db:
                while not stopping.is_set() and not db.closed:
                    task = poll(db, queues)
                    pause = 0.0
                    if task is not None:
                        execute(connect, db, task)
        except Exception as error:
            pause = min(max(2 * pause, 0.2), 10)
            say(f"again in {pause} s: {error}")


def main():
    dsn, *queues = sys.argv[1:]
    # Without prepared statements: behind a pooler the next transaction may be on another connection.
    connect = functools.partial(psycopg.connect, dsn, autocommit=True, row_factory=dict_row, prepare_threshold=None)
    stopping, signals = threading.Event(), {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    threads = [threading.Thread(target=work, args=(connect, queues, stopping), daemon=True)
               for _ in range(int(os.environ.get("CONCURRENCY", "4")))]
    for thread in threads:
        thread.start()
    signal.sigwait(signals)
    stopping.set()
    until = time.monotonic() + float(os.environ.get("GRACE", "60"))
    for thread in threads:
        thread.join(max(0, until - time.monotonic()))
    os._exit(any(thread.is_alive() for thread in threads))


if __name__ == "__main__":
    main()
