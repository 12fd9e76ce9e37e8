"""What the worker can do: functions of a task, a connection, and the task's heartbeat. What they return completes the task."""
import json
import os
import signal


class Cancelled(Exception):
    """The workflow no longer wants this activity, or another worker has it."""

    kind, retryable = "cancelled", False

    def __init__(self):
        super().__init__("stopped on request")


class Failure(Exception):
    """Says how an activity failed, and whether and when to try again."""

    def __init__(self, message, kind, retryable=True, retry_after=None):
        super().__init__(message)
        self.kind, self.retryable, self.retry_after = kind, retryable, retry_after


def complete(db, task, result):
    """In the transaction that writes, it makes both happen exactly once. WF018, and no write, if the task is not ours any more."""
    db.execute("SELECT aion.complete_activity(%s, %s)", (task["task_token"], json.dumps(result)))


def model(text, task):
    """Stands for a service outside of the database. Told the key, such a service does a thing once, however often it is asked."""
    assert task["idempotency_key"]
    if "busy" in text and task["attempt"] == 1:
        raise Failure("too many requests", kind="rate_limited", retry_after="1 s")
    if "poison" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    return [len(text), len(text.split(" "))]


def embed_chunk(task, db, _):
    """Writes to this database and completes in one transaction: neither is there without the other, so it is done exactly once."""
    key = (task["input"]["doc_id"], task["input"]["chunk"])
    text = db.execute("SELECT body FROM chunk WHERE doc_id = %s AND chunk = %s", key).fetchone()["body"]
    vector = model(text, task)  # no transaction is open while it works
    with db.transaction():
        db.execute("INSERT INTO embedding VALUES (%s, %s, %s, %s)", (*key, vector, task["idempotency_key"]))
        complete(db, task, {"dimensions": len(vector)})


def summarise(task, db, beat):
    """Takes long: says after each page how far it is, and the next attempt goes on from there."""
    done = task["heartbeat_details"] or {"pages": 0, "summary": ""}
    pages = "SELECT chunk, body FROM chunk WHERE doc_id = %s AND chunk > %s ORDER BY chunk LIMIT 1"
    skipped = done["pages"]
    while page := db.execute(pages, (task["input"]["doc_id"], done["pages"])).fetchone():
        if "forbidden" in page["body"]:
            raise Failure("the model refuses this page", kind="content_filter", retryable=False)
        if "slow" in page["body"] and beat.cancelled.wait(600):
            raise Cancelled()
        model(page["body"], task)
        done = {"pages": page["chunk"], "summary": done["summary"] + page["body"][:1]}
        beat(done)
    return {**done, "skipped": skipped}


ACTIVITIES = {"embed_chunk": embed_chunk, "summarise": summarise}
