import { Injectable, ServiceUnavailableException } from '@nestjs/common';
import { CancelledError, InjectRateLimiter, RateLimiter } from 'nestjs-jetstream-flow';
import { MAILS } from './limits.js';

const PATIENCE_MS = 20_000;

/** A limit that others set: nobody is turned away, everybody waits for their turn, over all instances. */
@Injectable()
export class MailService {
  constructor(@InjectRateLimiter(MAILS.name) private readonly turns: RateLimiter) {}

  /** @throws ServiceUnavailableException when the turn does not come in time. */
  async send(): Promise<void> {
    try {
      await this.turns.waitFor('provider', { signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch (error) {
      if (error instanceof CancelledError)
        throw new ServiceUnavailableException('Too many mails wait', { cause: error });
      throw error;
    }
    // Here the provider would be called.
  }
}
