import { resolveServerBinary } from '../../lib/testing/resolve-server-binary.js';
import { OLD_SERVER, oldServerVariable } from './old-server.js';

/** Set when the servers are found: vitest runs this file once for every kind of test. */
const FOUND = 'FLOW_TEST_SERVER';

/** Finds or obtains nats-server once, says in one line which it is, and spares the workers the search. */
export async function setup(): Promise<void> {
  if (process.env[FOUND] !== undefined) return;
  if (process.env.NATS_URL) {
    say('NATS_URL is not used: tests kill and restart servers, so they start private ones.');
    delete process.env.NATS_URL;
  }
  const binary = await resolveServerBinary({ onProgress: say });
  say(`nats-server ${binary.version} from ${binary.source}: ${binary.path}`);
  process.env.NATS_SERVER_BIN = binary.path;
  process.env[FOUND] = binary.version;

  try {
    const old = await resolveServerBinary({ version: OLD_SERVER, onProgress: say });
    say(`nats-server ${old.version} for the tests over an old server, from ${old.source}: ${old.path}`);
    process.env[oldServerVariable] = old.path;
  } catch (error) {
    say(`Tests over an old server are skipped. ${error instanceof Error ? error.message : String(error)}`);
  }
}

function say(line: string): void {
  console.log(line);
}
