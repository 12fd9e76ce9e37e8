#!/usr/bin/env node
// A worker for external activities: claims them from task queues, executes them, and says what came of it.
//
//     npm install && CONCURRENCY=4 node worker.js postgresql://app@localhost/shop gpu [another queue ...]
//
// What it can execute is in activities.js. Works through a connection pooler in transaction mode: nothing depends on a session.
// On SIGTERM it finishes what it has, for GRACE seconds at most, and asks for nothing more. Set idle_in_transaction_session_timeout
// for the role, so that what a frozen worker has written and not committed does not stand in the way of its successor.
'use strict';
const os = require('os');
const { setTimeout: wait } = require('timers/promises');
const { Pool } = require('pg');
const { activities, Cancelled } = require('./activities');

const [dsn, ...queues] = process.argv.slice(2);
const name = `${os.hostname()}:${process.pid}`;
const { CONCURRENCY = 4, HEARTBEAT = 5, GRACE = 60 } = process.env; // HEARTBEAT: well below the heartbeat_timeout of activities
const stopping = new AbortController(), running = new Set();

// A connection for each task, one to poll, and one for heartbeats.
const pool = new Pool({ connectionString: dsn, max: Number(CONCURRENCY) + 2, connectionTimeoutMillis: 10000 });
pool.on('error', () => {}); // an idle connection is lost: there will be another
pool.on('connect', (db) => db.on('error', () => {})); // one in use is lost: its next query says so

// Lends a connection; one that an error has been through is not used again.
async function withConnection(body) {
  const db = await pool.connect();
  let broken;
  try {
    return await body(db);
  } catch (error) {
    broken = error;
    throw error;
  } finally {
    db.release(broken);
  }
}

// Says on other connections than the one of the work that a task goes on, and hears whether it is wanted. Called with details it
// also tells how far the work is, for the next attempt to go on from.
function startHeartbeat(task) {
  const cancelled = new AbortController();
  const send = async (details) => {
    try {
      const { rows } = await pool.query('SELECT aion.heartbeat_activity($1, $2) AS unwanted',
        [task.task_token, details === undefined ? null : JSON.stringify(details)]);
      if (rows[0].unwanted) cancelled.abort();
    } catch (error) {
      if (error.code === 'WF018') cancelled.abort(); // after any other error the next may be heard
    }
  };
  const timer = setInterval(send, 1000 * HEARTBEAT);
  const beat = async (details) => {
    await send(details);
    if (cancelled.signal.aborted) throw new Cancelled();
  };
  return Object.assign(beat, { cancelled: cancelled.signal, stop: () => clearInterval(timer) });
}

const label = (task) => `${task.activity} of ${task.workflow_id}, attempt ${task.attempt}`;

async function execute(task) {
  const beat = startHeartbeat(task);
  let outcome = 'done';
  try {
    const result = await withConnection((db) => activities[task.activity](task, db, beat));
    if (result !== undefined) { // otherwise it has completed the task by itself
      await report(task, 'SELECT aion.complete_activity($1, $2)', [task.task_token, JSON.stringify(result)]);
    }
  } catch (error) {
    outcome = await fail(task, error);
  }
  beat.stop();
  console.error(`${label(task)}: ${outcome}`);
}

// Tells what came of a task, again until the server has heard it. Errors of the server have a severity, lost connections have none.
async function report(task, statement, values) {
  for (let pause = 200; ; pause = Math.min(2 * pause, 10000)) {
    try {
      await pool.query(statement, values);
      return;
    } catch (error) {
      if (error.severity && !/^(08|40|53|55|57|58)/.test(error.code)) throw error;
      console.error(`${label(task)}: reports again in ${pause} ms: ${error.message}`);
      await wait(pause);
    }
  }
}

// A task that is no longer wanted fails, too: its queue has room again, and with on_cancel => 'wait' the workflow waits for it.
async function fail(task, error) {
  if (error.code === 'WF018') return 'lost';
  const kind = error.kind || error.code || error.name;
  try {
    await report(task, 'SELECT aion.fail_activity($1, $2, $3, $4, $5::interval)',
      [task.task_token, error.message, kind, error.retryable !== false, error.retryAfter || null]);
    return `failed: ${kind}`;
  } catch (refusal) {
    if (refusal.code !== 'WF018') return `failed: ${kind}, which was not recorded: ${refusal.message}`; // another attempt follows
    return error instanceof Cancelled ? 'no longer wanted' : 'lost';
  }
}

// Waits for tasks a little, and claims them at once: a claim that is not committed yet would hold them if we froze here.
async function poll() {
  const { rows } = await pool.query("SELECT * FROM aion.poll_activities($1, $2, $3, wait => '2 s', activities => $4)",
    [queues, name, CONCURRENCY - running.size, Object.keys(activities)]);
  return rows;
}

async function main() {
  for (const number of ['SIGTERM', 'SIGINT']) process.on(number, () => stopping.abort());
  for (let pause = 0; !stopping.signal.aborted;) {
    try {
      if (running.size >= CONCURRENCY) {
        await Promise.race(running);
        continue;
      }
      for (const task of await poll()) {
        const work = execute(task).finally(() => running.delete(work));
        running.add(work);
      }
      pause = 0;
    } catch (error) {
      pause = Math.min(Math.max(2 * pause, 200), 10000); // the server is away, or does not let us
      console.error(`again in ${pause} ms: ${error.message}`);
      await wait(pause * (0.5 + Math.random() / 2), null, { signal: stopping.signal }).catch(() => {});
    }
  }
  await Promise.race([Promise.all(running), wait(1000 * GRACE, null, { ref: false })]);
  process.exit(running.size > 0 ? 1 : 0);
}

main();
