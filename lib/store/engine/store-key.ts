import { ConfigurationError } from '../../common/errors.js';
import { escapeToken, unescapeToken } from '../../common/names.js';

/**
 * Longest key, as it is stored: with what stands before it, it has to fit into a line of the protocol. Servers bound those at
 * 4,096 bytes and close the connection of who sends a longer one.
 */
const LONGEST_KEY = 3_072;

/** One part of a key. Any text; numbers are written in decimal. */
export type KeyPart = string | number | bigint;

/**
 * The key of an entry: the parts it was made of and the text it is stored under. Parts are escaped to what
 * every KV client accepts in a key and joined by dots.
 */
export class StoreKey {
  /** @internal Made by {@link KeySpace}. */
  constructor(
    /** The parts as the reducer's `key()` returned them, as text; without the scope. */
    readonly parts: readonly string[],
    /** The key as it is stored, and as other KV clients see it. */
    readonly text: string,
  ) {}

  toString(): string {
    return this.text;
  }
}

/** The keys of one store: all of its bucket's, or those of a scope. */
export class KeySpace {
  private readonly prefix: string;

  /** @param scope first part of every key; `undefined` for none. */
  constructor(scope: string | undefined) {
    this.prefix = scope === undefined ? '' : `${escapeToken(scope)}.`;
  }

  /** The pattern that matches every key. */
  get all(): string {
    return `${this.prefix}>`;
  }

  /** @throws ConfigurationError when there is no part, one is neither text nor number, or the key is too long. */
  keyOf(parts: KeyPart | readonly KeyPart[]): StoreKey {
    const list = toParts(parts);
    return new StoreKey(list, bounded(this.prefix + list.map(escapeToken).join('.')));
  }

  /** Text of {@link keyOf}, without the rest. */
  textOf(parts: KeyPart | readonly KeyPart[]): string {
    return typeof parts === 'string' ? bounded(this.prefix + escapeToken(parts)) : this.keyOf(parts).text;
  }

  /** The key stored as `text`, by us or by another client. */
  parse(text: string): StoreKey {
    return new StoreKey(text.slice(this.prefix.length).split('.').map(readPart), text);
  }

  /**
   * The pattern of `parts`, of which some may be the wildcards `*` (one part) and `>` (the rest, last only).
   *
   * @throws ConfigurationError when a wildcard is mixed with other text in one part, which would match nothing, or it is too
   * long.
   */
  patternOf(parts: KeyPart | readonly KeyPart[]): string {
    const list = toParts(parts);
    return bounded(this.prefix + list.map((part, index) => patternPart(part, index === list.length - 1)).join('.'));
  }
}

/** A part as text; one that another client wrote in a way we would not stays as it is. */
function readPart(part: string): string {
  try {
    const text = unescapeToken(part);
    return escapeToken(text) === part ? text : part;
  } catch (error) {
    if (error instanceof URIError) return part;
    throw error;
  }
}

function patternPart(part: string, isLast: boolean): string {
  if (part === '*' || (part === '>' && isLast)) return part;
  if (!/[*>]/.test(part)) return escapeToken(part);
  throw new ConfigurationError('KV key pattern', [
    `"${part}" mixes a wildcard with other text, or has ">" before the end; let key() return an array with one element per ` +
      'parameter, so that a wildcard stands alone in its part',
  ]);
}

function bounded(text: string): string {
  const { length } = text;
  if (length <= LONGEST_KEY) return text;
  throw new ConfigurationError('KV key', [
    `"${text.slice(0, 40)}…" is too long: ${length} characters as it is stored, ${LONGEST_KEY} fit; use a hash of it`,
  ]);
}

function toParts(parts: KeyPart | readonly KeyPart[]): string[] {
  const list = (Array.isArray as (value: unknown) => value is readonly KeyPart[])(parts) ? parts : [parts];
  if (list.length === 0) throw new ConfigurationError('KV key', ['key() returned no parts; return at least one']);
  return list.map((part) => {
    const kind = typeof part;
    if (kind !== 'string' && kind !== 'number' && kind !== 'bigint') {
      throw new ConfigurationError('KV key', [`key() returned a part of type ${kind}; return text or numbers`]);
    }
    return String(part);
  });
}
