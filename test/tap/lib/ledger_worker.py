# A worker of test/tap/ledger.pl that behaves badly, as chance and its seed have it: it completes twice, answers late, fails,
# dies in its transaction, loses the connection at COMMIT and repeats the transaction.
import logging
import os
import random
import signal
import sys
import time

import psycopg

dsn, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
logging.getLogger("psycopg").setLevel(logging.ERROR)  # which warns of the connections that we lose


def connect():
    while True:
        try:
            return psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError:
            time.sleep(0.05)


def settle(db, task, broken):
    token, key, attempt = task
    try:
        with db.transaction():
            db.execute("INSERT INTO alice.fee (key, attempt) VALUES (%s, %s)", (key, attempt))
            db.execute("SELECT aion.complete_activity(%s, to_jsonb(%s::int))", (token, attempt))
            if broken:  # the worker is not told what becomes of the COMMIT
                db.pgconn.send_query(b"COMMIT")
                db.close()
                raise psycopg.OperationalError("lost")
    except psycopg.Error as e:
        if e.sqlstate != "WF018" and not broken:
            raise
        return e.sqlstate
    return None


def work(db, task):
    token, key, attempt = task
    db.execute("INSERT INTO alice.seen (key, attempt) VALUES (%s, %s)", (key, attempt))
    dice = chance.random()
    if dice < 0.05:
        os.kill(os.getpid(), signal.SIGKILL)
    if dice < 0.15:
        db.execute("SELECT aion.fail_activity(%s, 'as told', retry_after => '10 ms')", (token,))
        return
    if dice < 0.25:
        time.sleep(0.5)  # longer than its lease
    elif dice < 0.35:
        db.execute("SELECT aion.heartbeat_activity(%s, '1')", (token,))
    if dice < 0.45:
        settle(db, task, True)
        settle(connect(), task, False)  # not knowing whether it has been
        return
    settle(db, task, False)
    if dice < 0.55:
        if settle(db, task, False) != "WF018":
            print("a task was completed twice", file=sys.stderr, flush=True)


db = connect()
while True:
    try:
        if db.closed:
            db = connect()
        for row in db.execute("SELECT task_token, idempotency_key, attempt FROM aion.poll_activities('{fees}', 'w', 2, '1 s')").fetchall():
            work(db, row)
    except psycopg.Error as e:
        if e.sqlstate not in (None, "WF018", "57P01", "57P02", "57P03", "25006", "08006"):
            print(f"{e.sqlstate} {e}", file=sys.stderr, flush=True)
        if e.sqlstate != "WF018":
            db.close()
