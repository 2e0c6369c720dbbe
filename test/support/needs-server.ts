import type { TestContext } from 'vitest';

const byNumber = new Intl.Collator('en', { numeric: true });

/**
 * Skips the running test, with the reason in the report, when `server` is older than `lowest`.
 *
 * @param lowest For example `2.12`.
 * @param what What the test needs that version for.
 */
export function needsServer(
  context: TestContext,
  server: { readonly version: string },
  lowest: string,
  what: string,
): void {
  const older = byNumber.compare(server.version, lowest) < 0;
  context.skip(older, `${what} needs nats-server ${lowest}, this is ${server.version}`);
}
