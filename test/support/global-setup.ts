import { resolveServerBinary } from '../../lib/testing/resolve-server-binary.js';

/** Finds or obtains nats-server once, says in one line which it is, and spares the workers the search. */
export async function setup(): Promise<void> {
  if (process.env.FLOW_TEST_SERVER !== undefined) return;
  if (process.env.NATS_URL) {
    console.log('NATS_URL is not used: tests kill and restart servers, so they start private ones.');
    delete process.env.NATS_URL;
  }
  const binary = await resolveServerBinary({ onProgress: (line) => console.log(line) });
  console.log(`nats-server ${binary.version} from ${binary.source}: ${binary.path}`);
  process.env.NATS_SERVER_BIN = binary.path;
  process.env.FLOW_TEST_SERVER = binary.version;
}
