export { FlowThrottlerStorage } from './flow-throttler-storage.js';
export type { FlowThrottlerStorageOptions } from './flow-throttler-storage.options.js';
export type { ThrottlerRecord } from './throttle.js';
