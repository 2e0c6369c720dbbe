import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** One export request that a collector was sent. */
export interface OtlpRequest {
  /** For example `/v1/traces`. */
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
}

/** The part of OTLP's JSON that tests look at. */
export interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue?: string } }[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly { name: string; traceId: string; spanId: string; parentSpanId: string | undefined }[];
    }[];
  }[];
}

/** A real OTLP collector over HTTP, in this process, that keeps what it is sent. */
export class OtlpCollector implements AsyncDisposable {
  readonly requests: OtlpRequest[] = [];
  private readonly server = createServer((request, response) => {
    this.take(request).then(
      () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });

  static async start(): Promise<OtlpCollector> {
    const collector = new OtlpCollector();
    await new Promise<void>((resolve) => collector.server.listen(0, '127.0.0.1', resolve));
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Everything sent to `path` as JSON. */
  json<T>(path: string): T[] {
    return this.requests
      .filter((request) => request.path === path)
      .map((request) => JSON.parse(request.body.toString()) as T);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async take(request: IncomingMessage): Promise<void> {
    const body = await buffer(request);
    this.requests.push({ path: request.url ?? '', contentType: request.headers['content-type'] ?? '', body });
  }
}
