import { beforeAll, describe, expect, it } from 'vitest';
import { ConnectionError, flow, FlowClient, FlowConnection, json } from 'nestjs-jetstream-flow';
import { FlowNames, pauseSubject } from '../../../lib/common/names.js';
import { CancelledRuns } from '../../../lib/flow/control/cancelled-runs.js';
import { PauseControl } from '../../../lib/flow/control/pause-control.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { silentLog } from '../../support/log.js';

const Orders = flow('orders', { input: json() });
/** So many that they do not come in one piece. */
const REQUESTS = 3_000;

describe('reading what was cancelled and paused', () => {
  const nats = useFlowServer();
  const names = new FlowNames(Orders.name);

  beforeAll(async () => {
    await using app = await startFlowApp(nats.url, [], { consume: false });
    const flows = app.get(FlowClient);
    await flows.start(Orders, {});
    await flows.pause(Orders);
    const { publisher } = app.get(FlowConnection);
    const payload = new TextEncoder().encode('paused');
    const each = Array.from({ length: REQUESTS }, (_, number) => [
      publisher.publish(names.cancelSubject(`run-${number}`), payload),
      publisher.publish(pauseSubject(Orders.name, `step-${number}`), payload),
    ]);
    await Promise.all(each.flat());
  });

  it('ends when all of it is known', async () => {
    await using connection = await FlowConnection.connect({ servers: nats.url }, silentLog);
    const cancelled = new CancelledRuns(connection, names, Orders.retentionMs, silentLog);
    const pauses = new PauseControl(connection, silentLog);
    await Promise.all([cancelled.start(), pauses.start()]);
    expect(cancelled.has(`run-${REQUESTS - 1}`, { time: new Date() })).toBe(true);
    // One more for the flow itself.
    expect(pauses.pausesOf(Orders.name).size).toBe(REQUESTS + 1);
    await Promise.all([cancelled.stop(), pauses.stop()]);
  });

  it.each([
    [
      'cancelled',
      (connection: FlowConnection, close: () => void): Promise<void> => {
        const cancelled = new CancelledRuns(connection, names, Orders.retentionMs, silentLog);
        cancelled.onCancel(close);
        return cancelled.start();
      },
    ],
    [
      'paused',
      (connection: FlowConnection, close: () => void): Promise<void> => {
        const pauses = new PauseControl(connection, silentLog);
        pauses.onChange(close);
        return pauses.start();
      },
    ],
  ])('fails when the connection is closed for good before: %s', async (_what, read) => {
    const connection = await FlowConnection.connect({ servers: nats.url }, silentLog);
    let closing: Promise<void> | undefined;
    let known = 0;
    const close = (): void => {
      if (++known === REQUESTS / 2) closing = connection.nats.close();
    };
    await expect(read(connection, close)).rejects.toThrow(ConnectionError);
    expect(closing).toBeDefined();
    await closing;
  });
});
