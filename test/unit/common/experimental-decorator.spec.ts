import {
  flow,
  Flow,
  FlowClient,
  FlowStep,
  InjectFlow,
  InjectObjectStore,
  json,
  KvObject,
  OnKvChange,
} from '../../../lib/index.js';
import { runInNewContext } from 'node:vm';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const Orders = flow('orders', { input: json<number>() });
class State {
  readonly count = 0;
}

/** Runs TypeScript as a tool that knows nothing of `experimentalDecorators` compiles it. */
function run(source: string): void {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, experimentalDecorators: false };
  const { outputText } = ts.transpileModule(source, { compilerOptions });
  const globals = {
    Flow,
    FlowStep,
    KvObject,
    OnKvChange,
    InjectFlow,
    InjectObjectStore,
    FlowClient,
    Orders,
    State,
    json,
  };
  runInNewContext(outputText, globals);
}

describe('without "experimentalDecorators" in tsconfig.json', () => {
  it.each([
    ['Flow', '@Flow(Orders) class A {}'],
    ['FlowStep', 'class A { @FlowStep() price() {} }'],
    ['KvObject', '@KvObject({ bucket: "b", schema: json() }) class A {}'],
    ['OnKvChange', 'class A { @OnKvChange(State) refresh() {} }'],
    ['InjectFlow', 'class A { @InjectFlow(FlowClient) flows; }'],
    ['InjectObjectStore', 'class A { @InjectObjectStore(State) states; }'],
  ])('@%s names the options that are missing', (name, source) => {
    expect(() => run(source)).toThrow(
      new RegExp(`^@${name} on "\\w+": 1 problem[^]*"experimentalDecorators": true[^]*"emitDecoratorMetadata": true`),
    );
  });
});
