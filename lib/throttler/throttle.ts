import type { ThrottlerState } from '../codec/gen/flow/v1/throttler_pb.js';

/** Entries of a state: more hits than these share entries. */
const MAX_ENTRIES = 256;

/** One hit, as the throttler tells of it. */
export interface Hit {
  readonly ttlMs: number;
  readonly limit: number;
  /** 0: no block beyond the hits themselves. */
  readonly blockMs: number;
}

/** What the throttler wants to know; times in whole seconds. */
export interface ThrottlerRecord {
  readonly totalHits: number;
  readonly timeToExpire: number;
  readonly isBlocked: boolean;
  readonly timeToBlockExpire: number;
}

/** What a hit came to. */
export interface Throttled {
  readonly record: ThrottlerRecord;
  /** The state has changed; otherwise it was only looked at. */
  readonly changed: boolean;
}

/**
 * Counts one hit, with the outcome of `@nestjs/throttler`'s own storage: each hit counts for `ttlMs`. Without a block those over the
 * limit are not counted; with one the first of them blocks the key for `blockMs`, after which it starts anew. A hit without a block
 * is not held by one, and leaves it as it is. Changes `state`. Pure.
 */
export function throttle(state: ThrottlerState, hit: Hit, clockMs: number): Throttled {
  const denied = denial(state, hit, clockMs);
  if (denied !== undefined) return { record: denied, changed: false };
  const now = Math.max(clockMs, state.atMs);
  const hasBlock = hit.blockMs > 0;
  // Whoever asks for a block and is not denied has outlived the last one.
  if (hasBlock && state.blockedUntilMs > 0) {
    state.expiresMs = [];
    state.hits = [];
    state.blockedUntilMs = 0;
  }
  state.atMs = now;
  count(state, now, hit.ttlMs);
  const totalHits = sum(state.hits);
  const isBlocked = hasBlock && totalHits > hit.limit;
  if (isBlocked) state.blockedUntilMs = now + hit.blockMs;
  const timeToExpire = seconds(state.windowEndsMs - now);
  const timeToBlockExpire = isBlocked ? seconds(hit.blockMs) : 0;
  return { record: { totalHits, timeToExpire, isBlocked, timeToBlockExpire }, changed: true };
}

/**
 * The outcome for a hit that is not counted; `undefined` when it would be. Changes nothing in `state` that has to be stored: what has
 * expired goes, and the window begins anew when it is over.
 */
export function denial(state: ThrottlerState, hit: Hit, clockMs: number): ThrottlerRecord | undefined {
  const now = Math.max(clockMs, state.atMs);
  if (state.windowEndsMs <= now) state.windowEndsMs = now + hit.ttlMs;
  const live = prune(state, now);
  const denied = { timeToExpire: seconds(state.windowEndsMs - now), isBlocked: true };
  if (hit.blockMs > 0) {
    if (state.blockedUntilMs <= now) return undefined;
    return { ...denied, totalHits: live, timeToBlockExpire: seconds(state.blockedUntilMs - now) };
  }
  if (live < hit.limit) return undefined;
  const [first = state.windowEndsMs] = state.expiresMs;
  return { ...denied, totalHits: live + 1, timeToBlockExpire: seconds(first - now) };
}

/** For how long after its last hit a state means something, in whole milliseconds: times of today are exact to less than one. */
export function lifetime({ atMs, windowEndsMs, blockedUntilMs, expiresMs }: ThrottlerState): number {
  return Math.floor(Math.max(windowEndsMs, blockedUntilMs, expiresMs.at(-1) ?? 0) - atMs);
}

/** Takes out the hits that have expired. @returns how many are left. */
function prune(state: ThrottlerState, now: number): number {
  let expired = 0;
  while (expired < state.expiresMs.length && (state.expiresMs[expired] ?? 0) <= now) expired++;
  state.expiresMs.splice(0, expired);
  state.hits.splice(0, expired);
  return sum(state.hits);
}

/** Adds a hit; one that comes soon after the last, as long as many are counted, is counted with it and expires with both. */
function count(state: ThrottlerState, now: number, ttlMs: number): void {
  const expires = now + ttlMs;
  const last = state.expiresMs.length - 1;
  const shares = last >= MAX_ENTRIES - 1 && expires - (state.expiresMs[last] ?? 0) < ttlMs / MAX_ENTRIES;
  if (shares || state.expiresMs[last] === expires) {
    state.expiresMs[last] = expires;
    state.hits[last] = (state.hits[last] ?? 0) + 1;
    return;
  }
  // With another ttl than before it may expire first.
  let at = state.expiresMs.length;
  while (at > 0 && (state.expiresMs[at - 1] ?? 0) > expires) at--;
  state.expiresMs.splice(at, 0, expires);
  state.hits.splice(at, 0, 1);
}

function seconds(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1_000));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
