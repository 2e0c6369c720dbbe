/**
 * A process that does random operations on a few keys and prints each as a `ChainRecord`, one a line.
 * Arguments: url, name, operations, keys.
 */
import { CancelledError, FlowError, OutcomeUnknownError } from '../../../lib/common/errors.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { UNCHANGED } from '../../../lib/store/engine/change.js';
import { createObjectStore } from '../../../lib/store/engine/create-object-store.js';
import { silentLog } from '../../support/log.js';
import { Chains, ChainSchema, type ChainRecord } from './chain-history.js';

type Kind = ChainRecord['kind'];
type Result = Pick<ChainRecord, 'chain' | 'existed'>;

const [url = '', name = '', operations = '0', keys = '1'] = process.argv.slice(2);
const IN_FLIGHT = 4;
/** Adding is what can go wrong; deleting often would leave short chains. */
const KINDS: readonly Kind[] = [
  ...Array<Kind>(10).fill('add'),
  ...Array<Kind>(4).fill('again'),
  ...Array<Kind>(3).fill('read'),
  'keep',
  'keep',
  'delete',
  'reset',
];
const random = (below: number): number => Math.floor(Math.random() * below);
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

const connection = await FlowConnection.connect({ servers: url, reconnectWait: '50ms' }, silentLog);
const options = { bucket: 'chains', schema: ChainSchema };
const store = await createObjectStore(connection, new Chains(), options, { mode: 'auto', log: silentLog });

async function run(kind: Kind, id: string, key: string, signal: AbortSignal | undefined): Promise<Result> {
  const at = { id: key };
  const write = signal === undefined ? {} : { signal };
  switch (kind) {
    case 'add':
      return { chain: await store.update(at, id, write) };
    case 'again':
      return { chain: await store.update(at, id, { ...write, idempotencyKey: id }) };
    case 'read':
      return { chain: await store.read(at) };
    case 'keep':
      return { chain: await store.modify(at, () => UNCHANGED) };
    case 'delete':
      return { existed: await store.delete(at, write) };
    case 'reset':
      return { chain: await store.reset(at, write) };
  }
}

async function record(kind: Kind, id: string, key: string): Promise<void> {
  // A few callers lose their patience.
  const signal = random(20) === 0 ? AbortSignal.timeout(random(20)) : undefined;
  const invoked = now();
  let ending: Pick<ChainRecord, 'outcome' | 'error'> & Result;
  try {
    ending = { outcome: 'done', ...(await run(kind, id, key, signal)) };
  } catch (error) {
    if (!(error instanceof FlowError)) throw error;
    const isSent = error instanceof CancelledError && error.message.includes('perhaps applied');
    const isUnknown = error instanceof OutcomeUnknownError || isSent;
    ending = { outcome: isUnknown ? 'unknown' : 'failed', error: error.message };
  }
  const line: ChainRecord = { id, kind, key, invoked, returned: now(), ...ending };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

let started = 0;
await Promise.all(
  Array.from({ length: IN_FLIGHT }, async () => {
    while (started < Number(operations)) {
      const id = `${name}-${(started += 1)}`;
      const key = `k${random(Number(keys))}`;
      const kind = KINDS[random(KINDS.length)] ?? 'add';
      await record(kind, id, key);
      // The same again, as after a redelivery.
      if (kind === 'again') await record(kind, id, key);
    }
  }),
);
await store.close();
await connection.close();
