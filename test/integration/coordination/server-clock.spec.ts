import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConfigurationError } from '../../../lib/common/errors.js';
import { CLOCK_SUBJECT } from '../../../lib/common/names.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { ServerClock } from '../../../lib/coordination/clock/server-clock.js';
import { AskedProcess } from '../../support/asked-process.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordingLog, silentLog } from '../../support/log.js';
import { needsOldServer, OLD_SERVER } from '../../support/old-server.js';
import { until } from '../../support/until.js';

const at = useFlowServer();
const HOUR_MS = 3_600_000;
/** What clocks of one machine drift apart in a test. */
const DRIFT_MS = 5;

/** A clock shows what another one does, to within so many milliseconds, however long this process is held up in between. */
function expectSame(clock: { now(): number }, other: { now(): number }, errorMs: number): void {
  const before = other.now();
  const now = clock.now();
  const after = other.now();
  expect(now).toBeGreaterThan(before - errorMs - DRIFT_MS);
  expect(now).toBeLessThan(after + errorMs + DRIFT_MS);
}

async function openClock(): Promise<{ clock: ServerClock; connection: FlowConnection } & AsyncDisposable> {
  const connection = await FlowConnection.connect({ servers: at.url, reconnectWait: '50ms' }, silentLog);
  const clock = await ServerClock.start(connection, { mode: 'auto', log: silentLog });
  return {
    clock,
    connection,
    async [Symbol.asyncDispose]() {
      clock.close();
      await connection.close();
    },
  };
}

/** What another process says of the server's clock. */
interface View {
  readonly now: number;
  readonly errorMs: number;
  readonly wall: number;
}

const script = new URL('./clock-process.ts', import.meta.url);

/** Another process's view of the server's clock, asked for whenever it is needed. */
async function openProcess(skewMs: number) {
  const child = new AskedProcess(script, [at.url, String(skewMs)]);
  await child.next();
  return {
    ask: async () => JSON.parse(await child.ask('now')) as View,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

describe('ServerClock', () => {
  it('is the clock of the server, to within what it says', async () => {
    const started = performance.now();
    await using here = await openClock();
    const tookMs = performance.now() - started;
    // The server runs on this machine.
    expectSame(here.clock, Date, here.clock.errorMs);
    // Half of the shortest of five round trips.
    expect(here.clock.errorMs).toBeLessThan(tookMs / 10 + 1);
  });

  it('is the same in processes whose own clocks are an hour apart', { timeout: 60_000 }, async () => {
    await using here = await openClock();
    await using late = await openProcess(-HOUR_MS);
    await using early = await openProcess(HOUR_MS);
    const before = here.clock.now();
    const [there, elsewhere] = await Promise.all([late.ask(), early.ask()]);
    const after = here.clock.now();
    expect(there.wall).toBeLessThan(before - HOUR_MS / 2);
    expect(elsewhere.wall).toBeGreaterThan(after + HOUR_MS / 2);
    for (const { now, errorMs } of [there, elsewhere]) {
      const slack = here.clock.errorMs + errorMs + DRIFT_MS;
      expect(now).toBeGreaterThan(before - slack);
      expect(now).toBeLessThan(after + slack);
    }
  });

  it('goes on while the server is away, and is measured anew when it is back', async () => {
    const log = recordingLog();
    await using connection = await FlowConnection.connect({ servers: at.url, reconnectWait: '50ms' }, silentLog);
    const clock = await ServerClock.start(connection, { mode: 'auto', log });
    const before = clock.now();
    await at.server.kill();
    await until(() => connection.status === 'disconnected', { what: 'the connection is lost' });
    await clock.refresh();
    expect(clock.now()).toBeGreaterThan(before);
    await at.server.restart();
    await until(() => connection.status === 'connected', { what: 'the connection is back' });
    await clock.refresh();
    expectSame(clock, Date, clock.errorMs);
    clock.close();
  });

  it('is measured by many at once, of which one makes the stream, on an old server', async (context) => {
    needsOldServer(context);
    await using server = await EmbeddedNatsServer.start({ version: OLD_SERVER });
    const connect = () => FlowConnection.connect({ servers: server.url }, silentLog);
    const connections = await Promise.all(Array.from({ length: 8 }, connect));
    const { streams } = await jetstreamManager(connections[0]!.nats);
    for (let round = 0; round < 50; round++) {
      const starting = connections.map((connection) => ServerClock.start(connection, { mode: 'auto', log: silentLog }));
      for (const clock of await Promise.all(starting)) clock.close();
      await streams.delete('FLOW_CLOCK');
    }
    await Promise.all(connections.map((connection) => connection.close()));
  });

  it('says once that it is not measured, each time the server is silent', async () => {
    await using proxy = await CuttingProxy.start(at.server);
    const log = recordingLog();
    const options = { servers: proxy.url, reconnectWait: '50ms', publishTimeout: 100 } as const;
    await using connection = await FlowConnection.connect(options, silentLog);
    const clock = await ServerClock.start(connection, { mode: 'auto', log });
    for (const silences of [1, 2]) {
      proxy.dropRepliesAfter(0);
      for (let attempts = 0; attempts < 3; attempts++) await clock.refresh();
      expect(log.messages('warn')).toHaveLength(silences);
      proxy.restore();
      await until(() => connection.status === 'connected', { what: 'the connection is back' });
      const { last_seq: before } = (await at.streams.manager.streams.info('FLOW_CLOCK')).state;
      await until(
        async () => {
          await clock.refresh();
          return (await at.streams.manager.streams.info('FLOW_CLOCK')).state.last_seq >= before + 5;
        },
        { what: 'it to be measured' },
      );
    }
    clock.close();
  });

  it('is refused where its stream keeps no readings, and says what to do', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await FlowConnection.connect({ servers: server.url }, silentLog);
    const { streams } = await jetstreamManager(connection.nats);
    // Whatever nobody consumes is gone at once.
    await streams.add({ name: 'FLOW_CLOCK', subjects: [CLOCK_SUBJECT], retention: 'interest' });
    const start = () => ServerClock.start(connection, { mode: 'auto', log: silentLog });
    const error: unknown = await start().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as ConfigurationError).problems).toEqual([
      'does not keep what is stored until it is read: delete it, for it to be made anew, or give it retention "limits", max_msgs ' +
        '1000 and max_age 2 minutes',
    ]);
    expect((error as Error).message).toContain('Stream "FLOW_CLOCK"');
    await streams.delete('FLOW_CLOCK');
    (await start()).close();
  });

  it('needs no rights to make streams where its own is there', async () => {
    await using made = await openClock();
    await using connection = await FlowConnection.connect({ servers: at.url }, silentLog);
    const clock = await ServerClock.start(connection, { mode: 'off', log: silentLog });
    expectSame(clock, made.clock, clock.errorMs + made.clock.errorMs);
    clock.close();
  });
});
