import { Injectable } from '@nestjs/common';

/** Stands for a service of the reader's application. */
@Injectable()
export class Payments {
  async charge(card: string, total: number, options: { key: string; signal: AbortSignal }): Promise<string> {
    options.signal.throwIfAborted();
    return Promise.resolve(`${card}:${total}:${options.key}`);
  }
}

export class CardDeclined extends Error {}
export class Busy extends Error {
  readonly retryAfterMs = 500;
}
