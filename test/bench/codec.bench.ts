/**
 * Encoding and decoding through the codecs, Protobuf against JSON, on the run record of a flow in the middle of its
 * work and on a message as small as a counter.
 *
 * node --import @swc-node/register/esm-register test/bench/codec.bench.ts [messages] [rounds]
 *
 * Figures are nanoseconds of processor time per message, the median of the rounds: others on the machine count little.
 */
import { create, toJson, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { FailureSchema, RunSchema, RunState } from '../../lib/codec/gen/flow/v1/run_pb.js';
import type { MessageCodec } from '../../lib/codec/message-codec.js';
import { codecFor, json } from '../../lib/codec/message-schema.js';

const messages = Number(process.argv[2] ?? 100_000);
const rounds = Number(process.argv[3] ?? 7);

const run = create(RunSchema, {
  flow: 'orders',
  runId: '01J9ZC0000000000000000000',
  state: RunState.RUNNING,
  startedAt: timestampFromMs(1_700_000_000_000),
  pending: 3,
  settled: ['price', 'charge', 'review'],
  metadata: { tenant: 'acme', source: 'web' },
});
const small = create(FailureSchema, { name: 'RangeError', code: 'X' });

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

function processorTimeNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function measure(work: () => unknown): number {
  const times: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const started = processorTimeNs();
    for (let index = 0; index < messages; index++) work();
    if (round >= 0) times.push((processorTimeNs() - started) / messages);
  }
  return median(times);
}

function report<T>(name: string, codec: MessageCodec<T>, value: T): void {
  const data = codec.encode(value);
  const encode = measure(() => codec.encode(value));
  const decode = measure(() => codec.decode(data));
  process.stdout.write(
    `${name.padEnd(26)}${String(data.byteLength).padStart(5)} B` +
      `  encode ${encode.toFixed(0).padStart(6)} ns  decode ${decode.toFixed(0).padStart(6)} ns\n`,
  );
}

function reportBoth<D extends DescMessage>(name: string, schema: D, value: MessageShape<D>): void {
  report(`${name}, Protobuf`, codecFor(schema), value as never);
  report(`${name}, JSON`, codecFor(json<unknown>()), toJson(schema, value));
}

reportBoth('run record', RunSchema, run);
reportBoth('two fields', FailureSchema, small);
