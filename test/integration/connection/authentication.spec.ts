import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flowOptionsFromEnv } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConnectionError } from '../../../lib/common/errors.js';
import type { ConnectionOptions } from '../../../lib/connection/connection.options.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { hasOpenssl, makeCertificates, type Certificates } from '../../support/certificates.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { recordingLog, silentLog } from '../../support/log.js';
import { needsServer } from '../../support/needs-server.js';
import { operatorSetup } from '../../support/nats-jwt.js';
import { until } from '../../support/until.js';

describe('Authentication', () => {
  let directory: string;
  let files = 0;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'flow-auth-'));
  });

  afterAll(() => rm(directory, { recursive: true }));

  async function file(content: string): Promise<string> {
    const path = join(directory, `file-${files++}`);
    await writeFile(path, content);
    return path;
  }

  async function serverWith(config: string): Promise<EmbeddedNatsServer> {
    return EmbeddedNatsServer.start({ args: ['-c', await file(config)] });
  }

  /** Publishes one message over a connection with `options`, and closes it. */
  async function expectWorks(options: ConnectionOptions): Promise<void> {
    await using connection = await FlowConnection.connect(options, silentLog);
    await connection.manager.streams.add({ name: 'S', subjects: ['s'] });
    expect(await connection.publisher.publish('s', new Uint8Array())).toMatchObject({ stream: 'S' });
  }

  /** Connecting fails at once although absent servers are waited for, and leaves no connection behind. */
  async function expectRefused(server: EmbeddedNatsServer, options: ConnectionOptions, reason: RegExp): Promise<void> {
    await using proxy = await CuttingProxy.start(server);
    const log = recordingLog();
    const connecting = FlowConnection.connect({ reconnectWait: 20, ...options, servers: proxy.url }, log);
    await expect(connecting).rejects.toBeInstanceOf(ConnectionError);
    await expect(connecting).rejects.toThrow(reason);
    expect(log.lines).toEqual([]);
    await until(() => proxy.open === 0, { what: 'the refused connection to be closed' });
    expect(proxy.accepted).toBe(1);
  }

  const refused = /No connection to NATS at 127.0.0.1:\d+: .*Authorization Violation.*Check user and password/i;

  it('takes user and password, as options or in the address', async () => {
    await using server = await serverWith('authorization { user: me, password: "s:cret" }');
    const { url: servers } = server;
    await expectWorks({ servers, user: 'me', password: 's:cret' });
    await expectWorks({ servers: servers.replace('//', '//me:s%3Acret@') });
    await expectRefused(server, { user: 'me', password: 'hunter2' }, refused);
    await expectRefused(server, {}, refused);
  });

  it('takes a token, as an option or in the address', async () => {
    await using server = await serverWith('authorization { token: open-sesame }');
    const { url: servers } = server;
    await expectWorks({ servers, token: 'open-sesame' });
    await expectWorks({ servers: servers.replace('//', '//open-sesame@') });
    await expectRefused(server, { token: 'close-sesame' }, refused);
  });

  it('takes an nkey, as an option or in a file', async () => {
    const user = nkeys.createUser();
    const seed = new TextDecoder().decode(user.getSeed());
    const other = new TextDecoder().decode(nkeys.createUser().getSeed());
    await using server = await serverWith(`authorization { users = [ { nkey: ${user.getPublicKey()} } ] }`);
    await expectWorks({ servers: server.url, nkeySeed: seed });
    await expectWorks({ servers: server.url, nkeySeedFile: await file(`${seed}\n`) });
    await expectRefused(server, { nkeySeed: other }, refused);
    await expectRefused(server, { nkeySeedFile: await file('no seed') }, /No connection to NATS/);
  });

  it('takes a credentials file', async () => {
    const { config, credentials } = operatorSetup();
    await using server = await serverWith(config);
    await expectWorks({ servers: server.url, credentialsFile: await file(credentials) });
    const strangers = await file(operatorSetup().credentials);
    await expectRefused(server, { credentialsFile: strangers }, refused);
    await expectRefused(server, { credentialsFile: await file('nonsense') }, /unable to parse credentials/);
  });

  it('goes on trying when credentials are refused later, says so once, and takes renewed ones', async () => {
    const users = [nkeys.createUser(), nkeys.createUser()];
    const [seed, renewed] = users.map((user) => new TextDecoder().decode(user.getSeed()));
    const [key, renewedKey] = users.map((user) => user.getPublicKey());
    const config = await file(`authorization { users = [ { nkey: ${key!} } ] }`);
    const seedFile = await file(seed!);
    await using server = await EmbeddedNatsServer.start({ args: ['-c', config] });
    await using proxy = await CuttingProxy.start(server);
    const log = recordingLog();
    const options = { servers: proxy.url, nkeySeedFile: seedFile, reconnectWait: 20 };
    await using connection = await FlowConnection.connect(options, log);
    await writeFile(config, `authorization { users = [ { nkey: ${renewedKey!} } ] }`);
    await server.restart();
    await until(() => log.messages('error').length > 0, { what: 'the refusal' });
    const attempts = proxy.accepted;
    await until(() => proxy.accepted > attempts + 3, { what: 'several refused attempts' });
    expect(connection.status).toBe('disconnected');
    expect(log.messages('error')).toEqual([expect.stringMatching(/the server says: .*Authorization Violation/i)]);
    await writeFile(seedFile, renewed!);
    await until(() => connection.status === 'connected', { what: 'the connection with the renewed seed' });
    await rm(seedFile);
    proxy.cut();
    await until(async () => (await connection.health()).healthy && proxy.open === 1, {
      what: 'the connection without the file',
    });
    expect(log.messages('warn').join()).toContain('authenticating with what it said before');
  });

  describe('TLS', () => {
    let certificates: Certificates;
    let strangers: Certificates;
    let skip = false;

    beforeAll(async () => {
      skip = !(await hasOpenssl());
      if (skip) return;
      certificates = await makeCertificates(directory, 'good');
      strangers = await makeCertificates(directory, 'other');
    });

    const tls = ({ caFile, certFile, keyFile }: Certificates, more = ''): string =>
      `tls { ca_file: "${caFile}", cert_file: "${certFile}", key_file: "${keyFile}" ${more} }`;

    it('connects to a server whose authority it knows, and to no other', async (context) => {
      context.skip(skip, 'openssl is needed to make certificates');
      await using server = await serverWith(tls(certificates));
      const { url: servers } = server;
      await expectWorks({ servers, tls: { caFile: certificates.caFile } });
      await expectWorks({ servers: servers.replace('nats:', 'tls:'), tls: { caFile: certificates.caFile } });
      await expectRefused(server, { tls: { caFile: strangers.caFile } }, /TLS failed: .*Check the tls option/);
      await expectRefused(server, {}, /TLS failed/);
    });

    it('shows its own certificate where the server asks for one', async (context) => {
      context.skip(skip, 'openssl is needed to make certificates');
      await using server = await serverWith(tls(certificates, ', verify: true'));
      await expectWorks({ servers: server.url, tls: certificates });
      const { certFile, keyFile } = strangers;
      const stranger = { caFile: certificates.caFile, certFile, keyFile };
      await expectRefused(server, { tls: stranger, whenAbsent: 'fail', connectTimeout: 500 }, /client certificate/);
    });

    it('speaks TLS before the first word where the server wants that, by option or variable, and at reconnects', async (context) => {
      context.skip(skip, 'openssl is needed to make certificates');
      await using usual = await serverWith(tls(certificates));
      needsServer(context, usual, '2.10.4', 'handshake_first');
      await using server = await serverWith(tls(certificates, ', handshake_first: true'));
      const { url: servers } = server;
      const { caFile } = certificates;
      await expectWorks({ servers, tls: { caFile, handshakeFirst: true } });
      const fromEnv = flowOptionsFromEnv({ NATS_URL: servers, NATS_TLS_CA: caFile, NATS_TLS_FIRST: 'true' });
      await using connection = await FlowConnection.connect({ ...fromEnv, reconnectWait: 20 }, silentLog);
      await server.restart();
      const isBack = async (): Promise<boolean> => {
        const { healthy, disconnects } = await connection.health();
        return healthy && disconnects === 1;
      };
      await until(isBack, { what: 'the return' });

      const unknown = { caFile: strangers.caFile, handshakeFirst: true };
      await expectRefused(server, { tls: unknown }, /TLS failed: .*Check the tls option/);
      // Either side waits for the other's first word.
      const silent = /no answer within 500 ms.*if the server has handshake_first.*tls\.handshakeFirst/;
      await expectRefused(server, { tls: { caFile }, whenAbsent: 'fail', connectTimeout: 500 }, silent);
      await expectRefused(server, { whenAbsent: 'fail', connectTimeout: 500 }, silent);
      // And the other way round: the first word comes where TLS should.
      await expectRefused(usual, { tls: { caFile, handshakeFirst: true } }, /TLS failed/);
    });

    it('refuses a server without TLS when TLS was asked for', async (context) => {
      context.skip(skip, 'openssl is needed to make certificates');
      await using server = await EmbeddedNatsServer.start();
      await expectRefused(server, { tls: { caFile: certificates.caFile } }, /does not support 'tls'/);
    });
  });
});
