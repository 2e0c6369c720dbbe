export { flowLogMixin } from './flow-log-mixin.js';
export type { LogMixin } from './flow-log-mixin.js';
export { flowLogger } from './flow-logger.js';
