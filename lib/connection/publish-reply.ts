import type { Msg } from '@nats-io/transport-node';
import { JetStreamRequestError } from '../common/errors.js';
import type { PublishResult } from './publish.options.js';

/** What came back for a publish. */
export type PublishReply =
  | { readonly kind: 'stored'; readonly ack: Omit<PublishResult, 'repeated'> }
  /** Certainly not stored, and another try may succeed in a moment. */
  | { readonly kind: 'not-now'; readonly error: JetStreamRequestError }
  | {
      readonly kind: 'conflict';
      readonly message: string;
      readonly apiCode: number;
      readonly lastSequence?: number;
    }
  | { readonly kind: 'refused'; readonly error: JetStreamRequestError };

/** `apiCode` of the error for "nobody listens on this subject", which has no code of JetStream's. */
const NO_RESPONDERS = 503;

const WRONG_LAST_SEQUENCE = 10071;
const WRONG_LAST_SEQUENCE_UNKNOWN = 10164;
const STORE_FAILED = 10077;
/** Cluster without leader, not the leader, too many requests queued. */
const PASSING: ReadonlySet<number> = new Set([10008, 10009, 10167]);

interface AckBody {
  readonly stream?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

const decoder = new TextDecoder();

/** Reads the reply to a publish on `subject`. Never throws. */
export function readReply(subject: string, message: Msg): PublishReply {
  const data = message.data;
  if (data.length === 0) return withoutBody(subject, message);
  const body = parse(data);
  if (body?.error !== undefined) return failed(subject, body.error);
  if (body?.stream === undefined || body.seq === undefined) {
    return {
      kind: 'refused',
      error: new JetStreamRequestError(
        `The reply to a publish on "${subject}" is no acknowledgement of a stream; does a plain subscriber answer there?`,
        0,
      ),
    };
  }
  return { kind: 'stored', ack: { stream: body.stream, sequence: body.seq, duplicate: body.duplicate === true } };
}

function withoutBody(subject: string, message: Msg): PublishReply {
  const code = message.headers?.code ?? 0;
  const error = new JetStreamRequestError(
    code === NO_RESPONDERS
      ? `No stream listens on "${subject}". Create one that captures the subject, or see whether JetStream is enabled and up.`
      : `The reply to a publish on "${subject}" is empty (status ${code}); does a plain subscriber answer there?`,
    code,
  );
  return code === NO_RESPONDERS ? { kind: 'not-now', error } : { kind: 'refused', error };
}

function failed(subject: string, error: NonNullable<AckBody['error']>): PublishReply {
  const apiCode = error.err_code ?? 0;
  const description = error.description ?? 'no description';
  const message = `The stream refused a publish on "${subject}": ${description} (${apiCode}).`;
  if (apiCode === WRONG_LAST_SEQUENCE || apiCode === WRONG_LAST_SEQUENCE_UNKNOWN) {
    const last = /wrong last sequence: (\d+)/.exec(description)?.[1];
    return { kind: 'conflict', message, apiCode, ...(last !== undefined && { lastSequence: Number(last) }) };
  }
  // A server that is shutting down still answers, after its stores were closed.
  const passing = PASSING.has(apiCode) || (apiCode === STORE_FAILED && description.includes('closed'));
  return { kind: passing ? 'not-now' : 'refused', error: new JetStreamRequestError(message, apiCode) };
}

function parse(data: Uint8Array): AckBody | undefined {
  try {
    const body: unknown = JSON.parse(decoder.decode(data));
    return typeof body === 'object' && body !== null ? body : undefined;
  } catch {
    // Not JSON: the caller reports it as no acknowledgement.
    return undefined;
  }
}
