# A bare NOTIFY round trip between two sessions, in ms: median, p99. What a wake is compared with.
import sys, threading, time, psycopg

def listen(channel):
    session = psycopg.connect(sys.argv[1], autocommit=True)
    session.execute("LISTEN " + channel)
    return session

def answer(session):
    for _ in session.notifies():
        session.execute("NOTIFY pong")

threading.Thread(target=answer, args=(listen("ping"),), daemon=True).start()
session = listen("pong")
answers = session.notifies()
took = []
for i in range(520):
    began = time.perf_counter()
    session.execute("NOTIFY ping")
    next(answers)
    took.append(1000 * (time.perf_counter() - began))
    time.sleep(0.01)
took = sorted(took[20:])
print(f"{took[len(took) // 2]:.3f}|{took[len(took) * 99 // 100]:.3f}")
