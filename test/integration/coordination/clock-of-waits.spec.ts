import { describe, expect, it } from 'vitest';
import { makeBarrier } from '../../../lib/coordination/barrier/make-barrier.js';
import { makeWaitGroup } from '../../../lib/coordination/wait-group/make-wait-group.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordingLog } from '../../support/log.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();
const CLOCK = 'FLOW_CLOCK';

describe('when the clock cannot be measured', () => {
  it('who waits says so once, however many wait, and it is measured as soon as it can be', async () => {
    const log = recordingLog();
    await using own = await openRoom(at.url, { log });
    const group = own.use(makeWaitGroup(own.room, { name: 'clock' }));
    const barrier = own.use(makeBarrier(own.room, { name: 'clock', parties: 2 }));
    // Its subject is another stream's.
    await at.streams.manager.streams.add({ name: 'OCCUPIED', subjects: ['flow.clock'] });
    for (const key of ['a', 'b', 'c']) await group.add(key);
    const waiting = ['a', 'b', 'c'].map((key) => group.wait(key));
    const arriving = barrier.arrive('k');
    await until(() => log.messages('warn').length > 0, { what: 'the warning' });
    for (const key of ['a', 'b', 'c']) await group.done(key);
    await Promise.all([...waiting, barrier.arrive('k'), arriving]);
    expect(log.messages('warn')).toEqual([expect.stringContaining("the server's clock could not be measured")]);
    await group.add('d');
    const last = group.wait('d');
    await at.streams.manager.streams.delete('OCCUPIED');
    // Nobody asks anew: who waits is told.
    await until(async () => (await at.streams.manager.streams.names('flow.clock').next()).length > 0, {
      what: 'the clock to be measured',
    });
    await group.done('d');
    await last;
    expect(log.messages('warn')).toHaveLength(1);
    await at.streams.manager.streams.delete(CLOCK);
  });

  it('leaves nothing when it is closed before it is measured', async () => {
    await using proxy = await CuttingProxy.start(at.server);
    await using own = await openRoom(proxy.url);
    proxy.holdReplies();
    const measuring = own.room.clock();
    const closed = own.room.close();
    proxy.deliverReplies();
    const clock = await measuring;
    await closed;
    const { state } = await at.streams.manager.streams.info(CLOCK);
    // A clock that was not closed would be measured once more.
    await clock.refresh();
    expect((await at.streams.manager.streams.info(CLOCK)).state.last_seq).toBe(state.last_seq);
  });
});
