/** A line that a pino logger wrote. */
export type PinoLine = Readonly<Record<string, unknown>>;

/** Destination of a pino logger that keeps the lines. */
export class LogLines {
  readonly lines: PinoLine[] = [];

  write(text: string): void {
    this.lines.push(JSON.parse(text) as PinoLine);
  }

  /** The only line with this message. */
  get(message: string): PinoLine {
    const [line, ...more] = this.lines.filter((candidate) => candidate.msg === message);
    if (line === undefined || more.length > 0) {
      throw new Error(`Expected one line "${message}", found ${more.length + (line ? 1 : 0)} of ${this.lines.length}.`);
    }
    return line;
  }
}
