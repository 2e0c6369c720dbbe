import {
  custom,
  exponential,
  fixed,
  Flow,
  flow,
  FlowStep,
  json,
  RetryLater,
  TerminalError,
} from 'nestjs-jetstream-flow';
import { type Priced } from './contract.js';
import { Busy, CardDeclined, Payments } from './payments.js';

export const Charges = flow('charges', { input: json<Priced>('Priced') });

export const policies = [
  exponential('1s', { attempts: 5, max: '5m', factor: 2, jitter: true }), // 1 s, 2 s, 4 s … each shortened at random
  fixed('10s', { attempts: 20 }),
  custom((error, attempt) => (error instanceof Busy ? `${attempt * 5}s` : 'dead-letter'), { attempts: 8 }),
];

@Flow(Charges)
export class ChargeFlow {
  constructor(private readonly payments: Payments) {}

  @FlowStep({ retry: exponential('500ms', { attempts: 8 }) })
  async charge(priced: Priced): Promise<void> {
    try {
      await this.payments.charge(priced.card, priced.total, { key: priced.id, signal: AbortSignal.timeout(5_000) });
    } catch (error) {
      // No retry can help: straight to the dead letters.
      if (error instanceof CardDeclined) throw new TerminalError('The card was declined', { cause: error });
      // The other side says when to come back: this replaces the policy's delay.
      if (error instanceof Busy) throw new RetryLater(error.retryAfterMs);
      throw error;
    }
  }
}
