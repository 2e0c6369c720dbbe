import { afterAll, beforeAll } from 'vitest';
import { EmbeddedNatsServer, type EmbeddedNatsServerOptions } from 'nestjs-jetstream-flow/testing';
import { TestStreams } from './jetstream-client.js';

/** The private server of one test file, and a client of it beside the library. */
export interface FlowServer {
  readonly server: EmbeddedNatsServer;
  readonly url: string;
  readonly streams: TestStreams;
}

/** Starts a server before the tests of the file, and stops it after them. */
export function useFlowServer(options: EmbeddedNatsServerOptions = {}): FlowServer {
  let server: EmbeddedNatsServer | undefined;
  let streams: TestStreams | undefined;
  beforeAll(async () => {
    server = await EmbeddedNatsServer.start(options);
    streams = await TestStreams.connect(server);
  });
  afterAll(async () => {
    await streams?.[Symbol.asyncDispose]();
    await server?.stop();
  });
  return {
    get server() {
      return started(server);
    },
    get url() {
      return started(server).url;
    },
    get streams() {
      return started(streams);
    },
  };
}

function started<T>(resource: T | undefined): T {
  if (resource === undefined) throw new Error('The server of this file is not started yet');
  return resource;
}
