import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { MAILS, PAGES, READS, READS_WITHOUT_SERVER, STATUS, TRANSLATIONS } from '../limits.js';
import type { Instance } from './instance.js';
import { CONNECTIONS, send, sum, type Answers, type Load } from './load.js';

/** Each run of the demo has users and keys of its own: a server that others use may know those of earlier runs. */
const run = randomUUID();
const PAGES_EACH = 3;
const DOCUMENTS = PAGES.limit / PAGES_EACH;

/** A limiter in a controller: by user, each request costs three pages. */
export async function documents(instances: readonly Instance[]): Promise<Answers> {
  const answers = await send({ ...makeDocuments('ada'), requests: DOCUMENTS }, instances);
  expectCounts(answers, { passed: DOCUMENTS, denied: DOCUMENTS });
  for (const denial of answers.denials) expectBetween('Retry-After', Number(denial['retry-after']), 1, 3600);
  return answers;
}

/** The same, and the instance that the load came to first is killed when half of the limit is used. */
export async function killed(survivor: Instance, victim: Instance): Promise<Answers> {
  let total = 0;
  let atSurvivor: Promise<Answers> | undefined;
  let kill: Promise<void> | undefined;
  const onPassed = (): void => {
    total++;
    if (total >= DOCUMENTS / 4) atSurvivor ??= send(load, [survivor]);
    if (total >= DOCUMENTS / 2) kill ??= victim.kill();
  };
  const load: Load = { ...makeDocuments('bob'), requests: DOCUMENTS, onPassed };
  const before = await send(load, [victim]);
  await kill;
  const after = await atSurvivor;
  assert(after !== undefined, 'the instance to be killed let nobody through');
  // What it had allowed, and did not come to say any more, is used all the same.
  expectBetween('documents of bob', total, DOCUMENTS - CONNECTIONS, DOCUMENTS);
  return { ...after, passed: [...after.passed, ...before.passed], denied: after.denied + before.denied };
}

/** A new instance knows what was used before it was there. */
export async function goesOn(fresh: Instance): Promise<void> {
  expectCounts(await send({ ...makeDocuments('bob'), requests: 1 }, [fresh]), { passed: 0, denied: 1 });
}

/** The guard: by API key, with header fields. */
export async function reads(instances: readonly Instance[]): Promise<Answers> {
  const answers = await send({ ...readDocuments('reader'), requests: READS.limit }, instances);
  expectCounts(answers, { passed: READS.limit, denied: READS.limit });
  for (const denial of answers.denials) {
    assert.equal(denial['ratelimit-policy'], `"reads";q=${READS.limit};w=600`);
    assert.match(denial.ratelimit ?? '', /^"reads";r=0;t=\d+$/);
    expectBetween('Retry-After', Number(denial['retry-after']), 1, 600);
  }
  return answers;
}

/** Two limits at once: there is something left of the day, but not for this second; then nothing of the day. */
export async function translations(instances: readonly Instance[]): Promise<Answers> {
  const [second, day] = TRANSLATIONS.limits;
  let lastPassed = 0;
  const started = performance.now();
  const onPassed = (): number => (lastPassed = performance.now());
  const headers = { 'x-api-key': `translator-${run}` };
  const load: Load = { method: 'POST', path: '/translations', headers, requests: 80, perSecond: 20, onPassed };
  const answers = await send(load, instances);

  expectCounts(answers, { passed: day.limit, denied: instances.length * load.requests - day.limit });
  expectAtLeast('seconds for the translations', (lastPassed - started) / 1000, day.limit / second.limit - 1);
  const last = answers.denials.at(-1);
  assert.match(last?.ratelimit ?? '', /"day";r=0;t=\d+/);
  expectBetween('Retry-After', Number(last?.['retry-after']), 3600, 86_400);
  return answers;
}

/** Everybody waits for their turn: nobody is turned away. */
export async function mails(instances: readonly Instance[]): Promise<Answers> {
  const answers = await send({ method: 'POST', path: '/mails', requests: 30 }, instances);
  expectCounts(answers, { passed: 30 * instances.length, denied: 0 });
  expectAtLeast('seconds for the mails', answers.seconds, (30 * instances.length) / MAILS.limit - 1);
  return answers;
}

/** The guard of @nestjs/throttler, with our storage. */
export async function status(instances: readonly Instance[]): Promise<Answers> {
  const headers = { 'x-api-key': `monitor-${run}` };
  const answers = await send({ method: 'GET', path: '/status', headers, requests: STATUS.limit }, instances);
  expectCounts(answers, { passed: STATUS.limit, denied: STATUS.limit });
  for (const denial of answers.denials) expectBetween('Retry-After', Number(denial['retry-after']), 1, 600);
  return answers;
}

/** Without nats-server each instance limits by itself. */
export async function withoutServer(instances: readonly Instance[]): Promise<Answers> {
  const each = READS_WITHOUT_SERVER.limit;
  const answers = await send({ ...readDocuments('other'), requests: 2 * each }, instances);
  expectCounts(answers, { passed: each * instances.length, denied: each * instances.length });
  return answers;
}

function makeDocuments(user: string): Omit<Load, 'requests'> {
  const headers = { 'x-user-id': `${user}-${run}` };
  return { method: 'POST', path: '/documents', headers, body: { pages: PAGES_EACH } };
}

function readDocuments(key: string): Omit<Load, 'requests'> {
  return { method: 'GET', path: '/documents/7', headers: { 'x-api-key': `${key}-${run}` } };
}

function expectCounts({ passed, denied, others }: Answers, expected: { passed: number; denied: number }): void {
  assert.deepEqual({ passed: sum(passed), denied, others }, { ...expected, others: [] });
}

function expectBetween(what: string, value: number, least: number, most: number): void {
  assert(value >= least && value <= most, `${what}: ${value} is not from ${least} to ${most}`);
}

function expectAtLeast(what: string, value: number, least: number): void {
  assert(value >= least, `${what}: ${value.toFixed(2)} is less than ${least}`);
}
