# A bare NOTIFY round trip between two sessions, in ms: median, p99. What a wake is compared with.
import select, sys, threading, time, psycopg


class Session:
    def __init__(self, channel):
        self.db = psycopg.connect(sys.argv[1], autocommit=True)
        self.heard = 0
        self.db.add_notify_handler(self.hear)  # called for what comes along with an answer
        self.db.execute("LISTEN " + channel)

    def hear(self, _=None):
        self.heard += 1

    def wait(self):
        while not self.heard:
            select.select([self.db], [], [])
            self.db.pgconn.consume_input()
            if self.db.pgconn.notifies():
                self.hear()
        self.heard -= 1


def answer(session):
    while True:
        session.wait()
        session.db.execute("NOTIFY pong")


threading.Thread(target=answer, args=(Session("ping"),), daemon=True).start()
session = Session("pong")
took = []
for i in range(520):
    began = time.perf_counter()
    session.db.execute("NOTIFY ping")
    session.wait()
    took.append(1000 * (time.perf_counter() - began))
    time.sleep(0.01)
took = sorted(took[20:])
print(f"{took[len(took) // 2]:.3f}|{took[len(took) * 99 // 100]:.3f}")
