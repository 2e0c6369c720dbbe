/**
 * A process whose wall clock is wrong. Arguments: server URL, skew in milliseconds. Prints, for each line it is sent, what
 * the server's clock is to it, and by how much that may be off.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { ServerClock } from '../../../lib/coordination/clock/server-clock.js';
import { silentLog } from '../../support/log.js';
import { skewClock } from './skew-clock.js';

const [url = '', skew = '0'] = process.argv.slice(2);
skewClock(Number(skew));
const connection = await FlowConnection.connect({ servers: url }, silentLog);
const clock = await ServerClock.start(connection, { mode: 'auto', log: silentLog });
const say = (): void =>
  void process.stdout.write(`${JSON.stringify({ now: clock.now(), errorMs: clock.errorMs, wall: Date.now() })}\n`);
say();
await once(createInterface({ input: process.stdin }).on('line', say), 'close');
clock.close();
await connection.close();
