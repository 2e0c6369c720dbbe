// Finds or obtains the nats-server that the embedded server will use, and says in one line which it is.
import { resolveServerBinary } from '../lib/testing/resolve-server-binary.js';

if (process.env.NATS_URL) {
  console.log(`nats-server: the running one of NATS_URL, ${process.env.NATS_URL}`);
} else {
  try {
    const binary = await resolveServerBinary({ onProgress: (line) => console.log(line) });
    console.log(`nats-server ${binary.version} from ${binary.source}: ${binary.path}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
