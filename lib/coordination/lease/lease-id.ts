import { randomBytes } from 'node:crypto';

/** An id that no other lease has: 96 random bits. */
export function newLeaseId(): string {
  return randomBytes(12).toString('base64url');
}
