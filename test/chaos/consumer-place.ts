/**
 * Does a young durable consumer keep its place when nats-server is killed with SIGKILL? Measures what
 * `keepsConsumersOverCrash` in lib/connection/server-capabilities.ts claims. Run:
 *
 *   node --import @swc-node/register/esm-register test/chaos/consumer-place.ts <kills> <messages> <binary> [<binary> …]
 *
 * Each kill has a server of its own. The stream is filled; durables are made before and after that, with and
 * without a filter, some idle, one at work; publishing goes on; the server is killed within three seconds and
 * started over the same store; everything that is left is taken. A message counts as skipped when a durable
 * did not get it, before or after the kill.
 */
import { AckPolicy, StorageType } from '@nats-io/jetstream';
import { ConnectionError, PublishTimeoutError } from '../../lib/common/errors.js';
import { FlowConnection } from '../../lib/connection/flow-connection.js';
import { PullConsumer } from '../../lib/stream/pull-consumer.js';
import { EmbeddedNatsServer } from '../../lib/testing/embedded-nats-server.js';
import { silentLog } from '../support/log.js';
import { until } from '../support/until.js';

const [kills = '10', messages = '50000', ...binaries] = process.argv.slice(2);
const MESSAGES = Number(messages);
const BATCH = 500;
const ACK_WAIT_NANOS = 1_000_000_000;

/** The durables, by name: what they take, and what happens to them before the kill. */
const DURABLES = {
  early: { filter: 'p.even.>', made: 'before the messages', works: false },
  late: { filter: 'p.even.>', made: 'after the messages', works: false },
  whole: { filter: 'p.>', made: 'after the messages', works: false },
  busy: { filter: 'p.odd.>', made: 'after the messages', works: true },
} as const;
type Name = keyof typeof DURABLES;
const NAMES = Object.keys(DURABLES) as Name[];

/** Messages that each durable never got. */
async function killOnce(): Promise<Record<Name, number>> {
  await using server = await EmbeddedNatsServer.start();
  await using connection = await FlowConnection.connect({ servers: server.url, reconnectWait: 50 }, silentLog);
  const { manager } = connection;
  await manager.streams.add({ name: 'P', subjects: ['p.>'], storage: StorageType.File, max_msgs_per_subject: 1 });
  const seen = new Map(NAMES.map((name) => [name, new Set<string>()]));
  await makeDurables(connection, 'before the messages');
  for (let first = 0; first < MESSAGES; first += BATCH) await publish(connection, first);
  await makeDurables(connection, 'after the messages');

  const takers = NAMES.filter((name) => DURABLES[name].works).map((name) => take(connection, name, seen.get(name)));
  await Promise.all(takers.map((taker) => taker.start()));
  const moment = performance.now() + 200 + Math.random() * 2_800;
  const publishing = publishUntil(moment, connection);
  await until(() => performance.now() >= moment, { what: 'the moment of the kill' });
  await server.kill();
  await publishing;
  await server.restart();
  await until(() => connection.status === 'connected', { what: 'the connection', timeoutMs: 60_000 });

  const others = NAMES.filter((name) => !DURABLES[name].works).map((name) => take(connection, name, seen.get(name)));
  await Promise.all(others.map((taker) => taker.start()));
  for (const name of NAMES) {
    await until(
      async () => {
        const info = await manager.consumers.info('P', name);
        return info.num_pending === 0 && info.num_ack_pending === 0;
      },
      { what: `the rest of "${name}"`, timeoutMs: 120_000, intervalMs: 100 },
    );
  }
  await Promise.all([...takers, ...others].map((taker) => taker.stop()));
  const stored = await manager.streams.info('P', { subjects_filter: 'p.>' });
  const subjects = Object.keys(stored.state.subjects ?? {});
  const skipped = (name: Name): number => {
    const prefix = DURABLES[name].filter.replace('>', '');
    return subjects.filter((subject) => subject.startsWith(prefix) && seen.get(name)?.has(subject) !== true).length;
  };
  return { early: skipped('early'), late: skipped('late'), whole: skipped('whole'), busy: skipped('busy') };
}

async function makeDurables(connection: FlowConnection, made: string): Promise<void> {
  for (const name of NAMES.filter((candidate) => DURABLES[candidate].made === made)) {
    await connection.manager.consumers.add('P', {
      durable_name: name,
      filter_subject: DURABLES[name].filter,
      ack_policy: AckPolicy.Explicit,
      ack_wait: ACK_WAIT_NANOS,
    });
  }
}

async function publish(connection: FlowConnection, first: number): Promise<void> {
  const body = new Uint8Array(200);
  const numbers = Array.from({ length: BATCH }, (_, index) => first + index);
  await Promise.all(
    numbers.map((n) =>
      connection.publisher.publish(`p.${n % 2 === 0 ? 'even' : 'odd'}.${n}`, body, { timeoutMs: 1_000 }),
    ),
  );
}

/** Publishes until `end`; what the kill interrupts may be stored or not. */
async function publishUntil(moment: number, connection: FlowConnection): Promise<void> {
  try {
    for (let first = MESSAGES; performance.now() < moment; first += BATCH) await publish(connection, first);
  } catch (error) {
    if (!(error instanceof PublishTimeoutError || error instanceof ConnectionError)) throw error;
  }
}

/** Takes and acknowledges everything that `consumer` gets. */
function take(connection: FlowConnection, consumer: string, seen = new Set<string>()): PullConsumer {
  const taker: PullConsumer = new PullConsumer(connection, {
    stream: 'P',
    consumer,
    maxInFlight: 256,
    onError: (error) => console.error(`    ${error.message}`),
    onMessage: (delivery) => {
      seen.add(delivery.subject);
      delivery.ack();
      taker.release();
    },
  });
  return taker;
}

for (const binary of binaries) {
  process.env.NATS_SERVER_BIN = binary;
  const outcomes: Record<Name, number>[] = [];
  for (let number = 1; number <= Number(kills); number++) outcomes.push(await killOnce());
  const told = NAMES.map((name) => {
    const losses = outcomes.map((outcome) => outcome[name]);
    return `${name} kept ${losses.filter((lost) => lost === 0).length}/${kills} (worst: ${Math.max(...losses)} skipped)`;
  });
  console.log(`${binary}, ${MESSAGES} messages: ${told.join(', ')}`);
}
