export { EmbeddedNatsServer } from './embedded-nats-server.js';
export type { EmbeddedNatsServerOptions } from './embedded-nats-server.options.js';
export { EmbeddedServerError } from './embedded-server.error.js';
export { resolveServerBinary } from './resolve-server-binary.js';
export type { ResolveServerBinaryOptions, ServerBinary } from './resolve-server-binary.js';
