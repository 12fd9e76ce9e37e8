// What the worker can do: functions of a task, a connection, and the task's heartbeat. What they return completes the task.
'use strict';
const { setTimeout: wait } = require('timers/promises');

// The workflow no longer wants this activity, or another worker has it.
class Cancelled extends Error {
  constructor() {
    super('stopped on request');
    Object.assign(this, { kind: 'cancelled', retryable: false });
  }
}

// Says how an activity failed, and whether and when to try again.
class Failure extends Error {
  constructor(message, { kind, retryable = true, retryAfter = null }) {
    super(message);
    Object.assign(this, { kind, retryable, retryAfter });
  }
}

// In the transaction that writes, it makes both happen exactly once. WF018, and no write, if the task is not ours any more.
async function complete(db, task, result) {
  await db.query('SELECT aion.complete_activity($1, $2)', [task.task_token, JSON.stringify(result)]);
}

async function transaction(db, body) {
  await db.query('BEGIN');
  try {
    const result = await body();
    await db.query('COMMIT');
    return result;
  } catch (error) {
    await db.query('ROLLBACK').catch(() => {}); // the error is what to tell, not that the connection is gone
    throw error;
  }
}

// Stands for a service outside of the database. Told the key, such a service does a thing once, however often it is asked.
async function model(text, task) {
  if (!task.idempotency_key) throw new Error('the model wants a key');
  if (text.includes('busy') && task.attempt === 1) throw new Failure('too many requests', { kind: 'rate_limited', retryAfter: '1 s' });
  if (text.includes('poison')) process.kill(process.pid, 'SIGKILL');
  return [text.length, text.split(' ').length];
}

// Writes to this database and completes in one transaction: neither is there without the other, so it is done exactly once.
async function embed_chunk(task, db) {
  const key = [task.input.doc_id, task.input.chunk];
  const { rows } = await db.query('SELECT body FROM chunk WHERE doc_id = $1 AND chunk = $2', key);
  const vector = await model(rows[0].body, task); // no transaction is open while it works
  await transaction(db, async () => {
    await db.query('INSERT INTO embedding VALUES ($1, $2, $3, $4)', [...key, vector, task.idempotency_key]);
    await complete(db, task, { dimensions: vector.length });
  });
}

// Takes long: says after each page how far it is, and the next attempt goes on from there.
async function summarise(task, db, beat) {
  const done = task.heartbeat_details || { pages: 0, summary: '' };
  const skipped = done.pages;
  for (;;) {
    const { rows: [page] } = await db.query('SELECT chunk, body FROM chunk WHERE doc_id = $1 AND chunk > $2 ORDER BY chunk LIMIT 1',
      [task.input.doc_id, done.pages]);
    if (!page) return { ...done, skipped };
    if (page.body.includes('forbidden')) throw new Failure('the model refuses this page', { kind: 'content_filter', retryable: false });
    if (page.body.includes('slow')) await wait(600000, null, { signal: beat.cancelled }).catch(() => { throw new Cancelled(); });
    await model(page.body, task);
    done.pages = page.chunk;
    done.summary += page.body.slice(0, 1);
    await beat(done);
  }
}

module.exports = { activities: { embed_chunk, summarise }, Cancelled };
