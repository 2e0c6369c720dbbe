import { FlowError, type FlowErrorOptions } from '../common/errors.js';

/** A nats-server could not be found, obtained, started or stopped; the message says which and what to do. */
export class EmbeddedServerError extends FlowError {
  constructor(message: string, options: FlowErrorOptions = {}) {
    super('EMBEDDED_SERVER', message, options);
  }
}
