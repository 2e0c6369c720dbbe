export { provisionConsumer, type DurableConfig } from './provision-consumer.js';
export { provisionStream, type NamedStreamConfig } from './provision-stream.js';
export type { ProvisionMode } from './provision-mode.js';
export { findStreamBySubject, listConsumers, type ConsumerSummary } from './stream-inventory.js';
