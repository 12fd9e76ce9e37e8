"""Says that a task goes on, and hears whether it is still wanted."""
import json
import os
import threading

import psycopg

from activities import Cancelled

SECONDS = float(os.environ.get("HEARTBEAT", "5"))  # well below the heartbeat_timeout of the activities


class Heartbeat(threading.Thread):
    """Has a connection of its own: what is said in the transaction of the work is heard when that commits."""

    def __init__(self, connect, task):
        super().__init__(daemon=True)
        self.connect, self.token, self.details, self.over = connect, task["task_token"], None, False
        self.cancelled, self.due = threading.Event(), threading.Event()

    def __call__(self, details):
        """Tells how far the work is, for the next attempt to go on from."""
        self.details = json.dumps(details)
        self.due.set()
        if self.cancelled.is_set():
            raise Cancelled()

    def run(self):
        db = None
        while not self.cancelled.is_set():
            self.due.wait(SECONDS)
            self.due.clear()
            if self.over:
                break
            try:
                if db is None or db.closed:  # work that is done at once never has one
                    db = self.connect()
                unwanted = db.execute("SELECT aion.heartbeat_activity(%s, %s) AS unwanted",
                                      (self.token, self.details)).fetchone()["unwanted"]
            except psycopg.Error as error:
                unwanted = error.sqlstate == "WF018"  # after any other error the next may be heard
            if unwanted:
                self.cancelled.set()
        if db is not None:
            db.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.due.set()
        self.join()
