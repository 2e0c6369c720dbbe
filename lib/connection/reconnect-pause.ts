/**
 * The pause before another attempt to connect, in milliseconds: `waitMs`, and up to half of it at random, so that the
 * clients of a server that was away do not all come back in one moment.
 */
export function reconnectPause(waitMs: number): number {
  return waitMs * (1 + Math.random() / 2);
}
