import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** The two sockets of one connection through the proxy, and what is still let through. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes that may still pass from the server to the client. */
  allowance: number;
}

/**
 * A TCP proxy before a nats-server that can fail on demand: cut connections, refuse new ones, or lose
 * what the server answers while what the client sends still arrives (a lost reply).
 *
 * The server announces its own address to clients; give them `ignoreClusterUpdates` or connect with
 * `servers: proxy.url` only, so that they come back through the proxy.
 */
export class CuttingProxy implements AsyncDisposable {
  readonly #pairs = new Set<Pair>();
  #rejecting = false;
  #allowance = Number.POSITIVE_INFINITY;
  #accepted = 0;

  private constructor(
    private readonly listener: Server,
    private readonly upstream: { readonly port: number },
  ) {}

  /** Starts to listen on a free port of 127.0.0.1, in front of `upstream`'s current port. */
  static async start(upstream: { readonly port: number }): Promise<CuttingProxy> {
    const listener = createServer();
    const proxy = new CuttingProxy(listener, upstream);
    listener.on('connection', (client) => proxy.#accept(client));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return proxy;
  }

  /** Address for clients. */
  get url(): string {
    return `nats://127.0.0.1:${(this.listener.address() as AddressInfo).port}`;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#pairs.size;
  }

  /** Connections that were let in since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Cuts all open connections at once, both sides. New ones are let in unless {@link rejectNew}. */
  cut(): void {
    for (const pair of this.#pairs) this.#close(pair);
  }

  /** Whether new connections are closed as soon as they are made. */
  rejectNew(reject: boolean): void {
    this.#rejecting = reject;
  }

  /**
   * From now on `bytes` more pass from the server to the client on each open and new connection; the rest
   * is lost, while the client's bytes still reach the server. {@link restore} and cut end it.
   */
  dropRepliesAfter(bytes = 0): void {
    this.#allowance = bytes;
    for (const pair of this.#pairs) pair.allowance = bytes;
  }

  /**
   * Lets everything through again on *new* connections and cuts the ones that lost bytes: a stream of
   * bytes with a hole in it is none.
   */
  restore(): void {
    this.#rejecting = false;
    this.#allowance = Number.POSITIVE_INFINITY;
    for (const pair of this.#pairs) if (Number.isFinite(pair.allowance)) this.#close(pair);
  }

  /** Keeps what the server answers on the open connections back, until {@link deliverReplies}. */
  holdReplies(): void {
    for (const { server } of this.#pairs) server.pause();
  }

  /** Lets what was kept back through. */
  deliverReplies(): void {
    for (const { server } of this.#pairs) server.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.listener, 'close');
    this.listener.close();
    this.cut();
    await closed;
  }

  #accept(client: Socket): void {
    if (this.#rejecting) {
      client.destroy();
      return;
    }
    this.#accepted += 1;
    const server = connect({ host: '127.0.0.1', port: this.upstream.port });
    const pair: Pair = { client, server, allowance: this.#allowance };
    this.#pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // Breaking is what this proxy is for; each side learns of the other's end by its own close.
      socket.on('error', () => this.#close(pair));
      socket.on('close', () => this.#close(pair));
    }
    client.pipe(server);
    server.on('data', (chunk: Buffer) => {
      const passed = chunk.subarray(0, Math.min(chunk.length, pair.allowance));
      pair.allowance -= passed.length;
      if (passed.length > 0 && !client.write(passed)) server.pause();
    });
    client.on('drain', () => server.resume());
  }

  #close(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }
}
