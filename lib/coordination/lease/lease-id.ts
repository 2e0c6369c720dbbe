import { randomBytes } from 'node:crypto';

/** Makes ids that no other lease has: 96 random bits of this maker, and a number. */
export class LeaseIds {
  private readonly prefix = randomBytes(12).toString('base64url');
  private last = 0;

  next(): string {
    this.last += 1;
    return `${this.prefix}-${this.last.toString(36)}`;
  }
}
