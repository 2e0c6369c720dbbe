/** One of the processes of provision-together.spec.ts: provisions what it is told, prints "done". */
import {
  provisionConsumer,
  provisionStream,
  type DurableConfig,
  type NamedStreamConfig,
} from '../../../lib/stream/provision.js';
import { silentLog } from '../../support/log.js';
import { connectTo } from './stream-room.js';

const [url = '', text = ''] = process.argv.slice(2);
const { config, consumers } = JSON.parse(text) as { config: NamedStreamConfig; consumers: DurableConfig[] };
const connection = await connectTo({ url });
await provisionStream(connection, config, 'auto', silentLog);
for (const consumer of consumers) await provisionConsumer(connection, config.name, consumer, 'auto', silentLog);
await connection.close();
console.log('done');
