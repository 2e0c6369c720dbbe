import 'reflect-metadata';

/** Where the flow decorators keep what they were given. Only the decorators and their accessor use these keys. */
export const FlowMetadataKey = {
  /** On the class: the contract. */
  contract: 'nestjs-jetstream-flow:contract',
  /** On the prototype and method name: the list of step options, one per decorator. */
  steps: 'nestjs-jetstream-flow:steps',
} as const;
