import {
  CancelledError,
  ConfigurationError,
  ConnectionError,
  EncodeError,
  JetStreamRequestError,
  MessageTooLargeError,
  PublishTimeoutError,
} from '../common/errors.js';
import type { PendingPublish } from './pending-publish.js';

const SENT_BEFORE = 'It had been sent before, without an answer: that attempt may be stored.';

/** The errors a publish can end with before the stream has said anything. */
export const publishErrors = {
  closed: (subject: string): ConnectionError =>
    new ConnectionError(`The connection is closed or closing; the publish on "${subject}" was given up.`),

  cancelled: (subject: string, signal: AbortSignal): CancelledError =>
    new CancelledError(`Publishing to "${subject}"`, { cause: signal.reason }),

  noTime: (timeoutMs: number): ConfigurationError =>
    new ConfigurationError('Publish options', [`timeoutMs: ${timeoutMs} is not a number of milliseconds above 0`]),

  tooLarge: (subject: string, size: number, limit: number): MessageTooLargeError =>
    new MessageTooLargeError(subject, size, limit),

  lost: (subject: string): ConnectionError =>
    new ConnectionError(
      `The connection was lost before the publish on "${subject}" was acknowledged; whether it is stored is ` +
        'not known. With a messageId it would have been repeated.',
    ),

  /** What was sent once is certainly not stored; of what was sent before, only the repetition. */
  forbidden({ subject, repeated }: PendingPublish, violation: Error): ConnectionError {
    const message = `The server does not let us publish to "${subject}"; grant the permission.`;
    const cause = new ConnectionError(message, { cause: violation });
    if (!repeated) return cause;
    return new ConnectionError(`${message} ${SENT_BEFORE}`, { cause });
  },

  inboxForbidden: (inbox: string, cause: Error): ConnectionError =>
    new ConnectionError(
      `The server does not let us subscribe to our reply subject "${inbox}*", so no publish can be ` +
        'acknowledged; grant the permission, or set inboxPrefix to one that is granted.',
      { cause },
    ),

  /** The stream refused the message, which is certain only of what was sent once. */
  refused(error: JetStreamRequestError, repeated: boolean): JetStreamRequestError {
    if (!repeated) return error;
    const message = `${error.message} ${SENT_BEFORE}`;
    return new JetStreamRequestError(message, error.apiCode, { repeated, cause: error });
  },

  /** The client refused to take the message. */
  notSent({ subject, repeated }: PendingPublish, error: unknown): Error {
    const reason = error instanceof Error ? error.message : String(error);
    const name = error instanceof Error ? error.name : '';
    if (repeated) {
      const message = `The publish on "${subject}" was not sent again: ${reason}. Whether it is stored is not known.`;
      return new ConnectionError(message, { cause: error });
    }
    return name === 'ClosedConnectionError' || name === 'DrainingConnectionError'
      ? new ConnectionError(`The publish on "${subject}" was not sent: ${reason}.`, { cause: error })
      : new EncodeError(`A message for "${subject}" cannot be sent: ${reason}.`, { cause: error });
  },

  /** The time of `publish` is over. */
  overdue({ subject, timeoutMs, sent, repeated, refusal }: PendingPublish, connected: boolean, limit: number): Error {
    if (sent || repeated || refusal !== undefined) {
      return new PublishTimeoutError(subject, timeoutMs, refusal === undefined ? {} : { cause: refusal });
    }
    if (!connected) {
      return new ConnectionError(
        `Not connected to NATS while a publish on "${subject}" had time (${timeoutMs} ms); it was not sent.`,
      );
    }
    const cause = new ConnectionError(`It waited for one of ${limit} places (maxPublishesInFlight) and was not sent.`);
    return new PublishTimeoutError(subject, timeoutMs, { cause });
  },
};
