export { EmbeddedNatsServer } from './embedded-nats-server.js';
export type { EmbeddedNatsServerOptions } from './embedded-nats-server.options.js';
export { EmbeddedServerError } from './embedded-server.error.js';
export { resolveServerBinary } from './resolve-server-binary.js';
export type { ResolveServerBinaryOptions, ServerBinary } from './resolve-server-binary.js';
export { eventually, WaitTimeoutError } from './eventually.js';
export type { EventuallyOptions } from './eventually.js';
export { FlowTestApp } from './flow-test-app.js';
export type { FlowTestOptions, FlowTestRunOptions, TestServer } from './flow-test-app.js';
