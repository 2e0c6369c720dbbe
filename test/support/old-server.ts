import type { TestContext } from 'vitest';

/** The oldest server line that is supported: Debian 12 has it. */
export const OLD_SERVER = '2.9';

/** Where the embedded server looks for that version. */
export const oldServerVariable = 'NATS_SERVER_BIN_2_9';

/** Skips the running test, with the reason in the report, when this machine has no server of {@link OLD_SERVER}. */
export function needsOldServer(context: TestContext): void {
  context.skip(process.env[oldServerVariable] === undefined, `there is no nats-server ${OLD_SERVER} on this machine`);
}
