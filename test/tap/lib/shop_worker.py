# A worker of test/tap/examples.pl for the orders of examples/order_saga.sql. The bank and the carrier are other systems: what they
# have done is done, whatever becomes of the worker, which may die before it tells, be too late, or say that it does not know.
import os
import random
import signal
import sys
import time

import psycopg

dsn, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)


def work(db, task):
    token, activity, order = task
    dice = chance.random()
    if activity == "take_payment" and order["amount"] > 10000:
        db.execute("SELECT aion.fail_activity(%s, 'card declined', kind => 'declined')", (token,))
        return
    if dice < 0.05:
        time.sleep(1.2)  # longer than an attempt may take: the bank may hear of the refund first
    done = db.execute("SELECT ask_outside(%s, %s)", (activity, psycopg.types.json.Jsonb(order))).fetchone()[0]
    if 0.05 < dice < 0.1:
        os.kill(os.getpid(), signal.SIGKILL)
    if 0.1 < dice < 0.2:
        db.execute("SELECT aion.fail_activity(%s, 'no answer')", (token,))
        return
    if 0.2 < dice < 0.25:
        time.sleep(1.2)
    db.execute("SELECT aion.complete_activity(%s, %s)", (token, psycopg.types.json.Jsonb(done)))


db = None
while True:
    try:
        if db is None or db.closed:
            db = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
        for row in db.execute("SELECT task_token, activity, input FROM aion.poll_activities('{shop}', 'w', wait => '1 s')").fetchall():
            try:
                work(db, row)
            except psycopg.errors.RaiseException as e:
                db.execute("SELECT aion.fail_activity(%s, %s)", (row[0], str(e)))
    except psycopg.Error as e:
        if e.sqlstate == "WF018":
            continue  # too late
        if e.sqlstate not in (None, "57P01", "57P02", "57P03", "25006", "08006"):
            print(f"{e.sqlstate} {e}", file=sys.stderr, flush=True)
        if db is not None:
            db.close()
        time.sleep(0.05)
