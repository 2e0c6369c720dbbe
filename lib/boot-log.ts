import { Logger } from '@nestjs/common';
import type { Log } from './common/log.js';

/**
 * The log of something that a boot waits for. With Nest's `bufferLogs`, nothing would be seen before the boot is over: then a
 * warning lets out what has gathered, and from there on Nest buffers no more. Later lines go to the log as they are.
 */
export class BootLog implements Log {
  private booting = true;

  constructor(private readonly inner: Log) {}

  /** The boot waits no more. */
  end(): void {
    this.booting = false;
  }

  debug(message: string): void {
    this.inner.debug(message);
  }

  log(message: string): void {
    this.inner.log(message);
  }

  warn(message: string): void {
    this.inner.warn(message);
    if (this.booting) Logger.flush();
  }

  error(message: string, stack?: string): void {
    this.inner.error(message, stack);
  }
}
