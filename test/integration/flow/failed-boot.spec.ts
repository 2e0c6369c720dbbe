import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer, FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import { FAILING_BOOTS } from './support/failing-boots.js';

describe('a boot that fails', () => {
  const nats = useFlowServer();
  let nobody: string;

  /** A stream that the flow cannot use. */
  const addStream = async (flow: string): Promise<void> => {
    const subjects = [`flow.${flow}.>`];
    await nats.streams.manager.streams.add({ name: `FLOW_${flow}`, subjects, storage: 'memory' });
  };

  beforeAll(async () => {
    const gone = await EmbeddedNatsServer.start({ jetstream: false });
    await gone.stop();
    nobody = gone.url;
    await nats.streams.manager.streams.add({ name: 'KV_in_memory', subjects: ['$KV.in_memory.>'], storage: 'memory' });
  });

  describe('closes what was opened on all connections, when it failed for', () => {
    let proxies: { readonly one: CuttingProxy; readonly two: CuttingProxy };

    beforeEach(async () => {
      proxies = { one: await CuttingProxy.start(nats.server), two: await CuttingProxy.start(nats.server) };
    });
    afterEach(async () => {
      await Promise.all([proxies.one, proxies.two].map((proxy) => proxy[Symbol.asyncDispose]()));
      for await (const { config } of nats.streams.manager.streams.list()) {
        if (config.name.startsWith('FLOW_')) await nats.streams.manager.streams.delete(config.name);
      }
    });

    it.each(Object.entries(FAILING_BOOTS))('%s', async (_where, { stream, module, says }) => {
      if (stream !== undefined) await addStream(stream);
      const { one, two } = proxies;
      const booting = FlowTestApp.start(() => module({ one: one.url, two: two.url, nobody }), {
        server: nats,
        logger: false,
      });
      await expect(booting).rejects.toThrow(says);
      await until(() => one.open + two.open === 0, { what: 'the end of the connections' });
      expect(one.accepted).toBe(1);
    });
  });

  it('leaves nothing that keeps the process alive', async () => {
    await addStream('second');
    const names = Object.keys(FAILING_BOOTS).filter((name) => FAILING_BOOTS[name]?.stream !== 'first');
    const script = fileURLToPath(new URL('./support/failing-apps.ts', import.meta.url));
    const args = ['--import', '@swc-node/register/esm-register', script, nats.url, nobody, ...names];
    // Rejects when the process does not end by itself, or fails.
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 25_000 });
    expect(stdout.trimEnd().split('\n')).toEqual(names.map((name) => `${name}: failed`));
  });
});
