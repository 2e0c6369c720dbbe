/**
 * The sample from end to end; see README.md beside it.
 *
 *     npm run demo:api
 */
import Table from 'cli-table3';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { Instance } from './demo/instance.js';
import { sum, type Answers } from './demo/load.js';
import { documents, goesOn, killed, mails, reads, status, translations, withoutServer } from './demo/scenes.js';

const table = new Table({
  head: ['route', 'limit', 'passed', 'of them by each', '429'],
  style: { head: [], border: [], compact: true },
});

/** Runs it all, one after the other. @throws Error when something is not as it must be. */
async function demo(): Promise<void> {
  await using server = await EmbeddedNatsServer.start();
  console.log(`nats-server ${server.version} at ${server.url} (${describe(server.pid)})`);
  await using first = await Instance.start(server.url);
  await using second = await Instance.start(server.url);
  console.log(`instances at ${first.url} (pid ${first.pid}) and ${second.url} (pid ${second.pid})`);

  row('POST /documents', '300 pages, 3 each', await documents([first, second]));
  row('  one is killed', 'the same', await killed(first, second));
  await using third = await Instance.start(server.url);
  await goesOn(third);
  const both = [first, third];
  row('GET /documents/7', '100 per 10 minutes', await reads(both));
  row('POST /translations', '10 per s, 30 a day', await translations(both));
  row('POST /mails', '20 per s, waits', await mails(both));
  row('GET /status', '60 per 10 minutes', await status(both));
  if (server.pid !== undefined) {
    await server.kill();
    row('  without nats-server', '20 each', await withoutServer(both));
    await server.restart();
  }
  console.log(table.toString());
}

function row(route: string, limit: string, { passed, denied }: Answers): void {
  table.push([route, limit, sum(passed), passed.join(' + '), denied]);
}

function describe(pid: number | undefined): string {
  return pid === undefined ? 'of NATS_URL' : `pid ${pid}`;
}

try {
  await demo();
  console.log(`demo: OK ${table.length} limits kept`);
} catch (error) {
  console.log(table.toString());
  console.error(`demo: FAILED ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
