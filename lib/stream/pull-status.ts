import type { Msg } from '@nats-io/transport-node';

/**
 * What the server says about a pull request instead of sending a message:
 *
 * - `heartbeat`: the request stands, nothing to deliver;
 * - `ended`: the request is over, `undelivered` places of it are free again; ask anew;
 * - `lost`: the server gave up this consumer's requests (new leader, shutdown); ask anew after a look around;
 * - `gone`: the consumer or its stream is not there;
 * - `refused`: the server will never grant a request like this one.
 */
export type PullStatus =
  | { readonly kind: 'heartbeat' }
  | { readonly kind: 'ended'; readonly undelivered: number }
  | { readonly kind: 'lost' | 'gone' | 'refused'; readonly reason: string };

const GONE = new Set(['consumer deleted', 'stream deleted', 'no responders']);
const OVER = new Set(['batch completed', 'message size exceeds maxbytes']);

/** Reads a status message. `batch` is what the request it answers had asked for. */
export function readPullStatus(message: Msg, batch: number): PullStatus {
  const code = message.headers?.code ?? 0;
  const text = message.headers?.description.toLowerCase() ?? '';
  const reason = text === '' && code === 503 ? 'no responders' : text;
  if (code === 100) return { kind: 'heartbeat' };
  if (GONE.has(reason)) return { kind: 'gone', reason };
  if (code === 404 || code === 408 || OVER.has(reason)) {
    const left = message.headers?.get('Nats-Pending-Messages') ?? '';
    return { kind: 'ended', undelivered: left === '' ? batch : Number(left) };
  }
  if (code === 400 || reason === 'consumer is push based' || reason.startsWith('exceeded maxrequest')) {
    return { kind: 'refused', reason: `${code} ${reason}` };
  }
  return { kind: 'lost', reason: `${code} ${reason}` };
}
