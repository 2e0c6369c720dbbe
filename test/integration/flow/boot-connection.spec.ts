import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { connect } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  ConnectionError,
  flow,
  FlowClient,
  FlowConnection,
  FlowModule,
  FlowStep,
  json,
  type FlowModuleAsyncOptions,
  type FlowModuleOptions,
  type FlowOptionsFactory,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer, FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { recordingLog } from '../../support/log.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Line = flow('line', { input: Text, output: Text });

class Steps {
  readonly started: string[] = [];
  wait = Promise.resolve();

  @FlowStep({ flow: Line, ackWait: 400 })
  async work(text: string): Promise<string> {
    this.started.push(text);
    await this.wait;
    return `${text}!`;
  }
}

/** The address, as other providers of an application have it. */
@Injectable()
class Settings implements FlowOptionsFactory {
  static url = '';
  readonly options: FlowModuleOptions = { servers: Settings.url, name: 'from-settings' };

  createFlowOptions(): FlowModuleOptions {
    return this.options;
  }
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

describe('the connection of an application', () => {
  const nats = useFlowServer();

  /** A port where nothing listens. */
  async function freePort(): Promise<number> {
    const server = await EmbeddedNatsServer.start({ jetstream: false });
    await server.stop();
    return server.port;
  }

  it.each<[string, FlowModuleAsyncOptions]>([
    [
      'useFactory',
      {
        imports: [SettingsModule],
        inject: [Settings],
        useFactory: async (settings: Settings) => Promise.resolve(settings.createFlowOptions()),
      },
    ],
    ['useClass', { useClass: Settings }],
    ['useExisting', { imports: [SettingsModule], useExisting: Settings }],
  ])('may come from other providers: %s', async (_way, options) => {
    Settings.url = nats.url;
    const app = await FlowTestApp.start(() => ({ imports: [FlowModule.forRootAsync(options)], providers: [Steps] }), {
      server: nats,
      logger: false,
    });
    expect(await app.run(Line, 'x')).toBe('x!');
    expect(app.get(FlowConnection).name).toBe('from-settings');
    await app.close();
  });

  it('is refused with options that cannot be, whoever made them', async () => {
    expect(() => FlowModule.forRoot({ maxInFlight: 0, servers: 'http://x' })).toThrow(ConfigurationError);
    const useFactory = (): FlowModuleOptions => ({ maxInFlight: 0, shutdownTimeout: 'soon' as '1s' });
    const booting = FlowTestApp.start(() => ({ imports: [FlowModule.forRootAsync({ useFactory })] }), {
      server: nats,
      logger: false,
    });
    await expect(booting).rejects.toMatchObject({ code: 'CONFIGURATION', problems: { length: 2 } });
  });

  it('is waited for when the server comes later', async () => {
    const port = await freePort();
    const booting = startFlowApp(`nats://127.0.0.1:${port}`, [Steps]);
    let booted = false;
    void booting.then(() => (booted = true));
    await expect(startFlowApp(`nats://127.0.0.1:${port}`, [], { whenAbsent: 'fail' })).rejects.toThrow(ConnectionError);
    expect(booted).toBe(false);

    await using server = await EmbeddedNatsServer.start({ port });
    await using app = await booting;
    expect(server.url).toContain(String(port));
    expect(await app.run(Line, 'x')).toBe('x!');
  });

  it('is said to be waited for while Nest still buffers its log', async () => {
    const servers = `nats://127.0.0.1:${await freePort()}`;
    const log = recordingLog();
    @Module({ imports: [FlowModule.forRoot({ servers, waitAtMost: '3s' })] })
    class WaitingModule {}
    const booting = NestFactory.createApplicationContext(WaitingModule, {
      logger: log,
      bufferLogs: true,
      abortOnError: false,
    });
    const failed = booting.then(
      () => expect.unreachable('there is no server'),
      () => 'failed',
    );
    const heard = until(() => log.lines.some(({ message }) => message.includes('Waiting for it')), {
      what: 'the warning',
    }).then(() => 'heard');
    expect(await Promise.race([heard, failed])).toBe('heard');
    await failed;
  });

  it('is given up when the server is absent for longer than asked', async () => {
    const port = await freePort();
    const booting = startFlowApp(`nats://127.0.0.1:${port}`, [Steps], { waitAtMost: '300ms' });
    await expect(booting).rejects.toThrow(/Waited 300 ms/);
  });

  it('may be the application’s own, which stays open', async () => {
    const connection = await connect({ servers: nats.url });
    {
      await using app = await startFlowApp(nats.url, [Steps], { connection });
      expect(await app.run(Line, 'x', { runId: 'own' })).toBe('x!');
      expect(app.get(FlowConnection).nats).toBe(connection);
    }
    expect(connection.isClosed()).toBe(false);
    await connection.flush();
    await using again = await startFlowApp(nats.url, [Steps], { connection });
    expect(await again.run(Line, 'y', { runId: 'again' })).toBe('y!');
    await connection.close();
  });

  it('that is closed under running handlers costs their attempt and nothing else', async () => {
    const connection = await connect({ servers: nats.url });
    const open = gate();
    const app = await startFlowApp(nats.url, [Steps], { connection, shutdownTimeout: '5s' });
    const steps = app.get(Steps);
    steps.wait = open.opened;
    await using other = await startFlowApp(nats.url, [], { consume: false });
    const run = await other.get(FlowClient).start(Line, 'x', { runId: 'closed' });
    await until(() => steps.started.length === 1, { what: 'the handler' });
    await connection.close();
    // The lease cannot be extended any more; trying to must not harm the process. The message comes again when it is over.
    await using next = await startFlowApp(nats.url, [Steps]);
    await until(() => next.get(Steps).started.length === 1, { what: 'the end of the lease' });
    open.open();
    await app[Symbol.asyncDispose]();
    expect(await run.result()).toBe('x!');
  });
});
