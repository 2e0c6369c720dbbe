import type { FlowError } from '../common/errors.js';
import type { StoredMessage } from './stored-message.js';
import type { StreamConnection } from './stream-connection.js';

export interface SubjectWatchOptions {
  readonly stream: string;
  readonly filter: string;
  readonly from: 'all' | 'new' | number;
  onMessage(message: StoredMessage): void;
  onCaughtUp?(): void;
  onError(error: FlowError): void;
}

export class SubjectWatch {
  static start(connection: StreamConnection, options: SubjectWatchOptions): Promise<SubjectWatch> {
    void [connection, options];
    return Promise.reject(new Error('not yet'));
  }
  stop(): Promise<void> {
    return Promise.resolve();
  }
}
