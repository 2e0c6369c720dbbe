import { expect, it } from 'vitest';
import { FlowConnection } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { startFlowApp } from '../../support/flow-app.js';
import { recordTelemetry } from '../../support/telemetry.js';
import { until } from '../../support/until.js';

it("counts the losses and returns of an application's connection, under its name", async () => {
  await using telemetry = recordTelemetry();
  await using server = await EmbeddedNatsServer.start();
  await using app = await startFlowApp(server.url, [], { name: 'shop', reconnectWait: '20ms' });
  const connection = app.get(FlowConnection);
  expect(await telemetry.metric('flow.connection.status_changes')).toEqual([]);
  for (const times of [1, 2]) {
    await server.kill();
    await until(() => connection.status === 'disconnected', { what: 'the loss' });
    await server.restart();
    await until(() => connection.status === 'connected', { what: 'the return' });
    const changes = await telemetry.metric('flow.connection.status_changes');
    expect(changes.map(({ attributes, value }) => ({ ...attributes, value }))).toEqual([
      { 'flow.connection.name': 'shop', 'flow.connection.status': 'disconnected', value: times },
      { 'flow.connection.name': 'shop', 'flow.connection.status': 'connected', value: times },
    ]);
  }
});
