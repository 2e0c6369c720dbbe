/** How the states of one store become values, and back. */
export interface EntryCodec<State> {
  /** What one operation may change without another seeing it: a copy of a state, or the state where operations cannot fail half way. */
  readonly copy: (state: State) => State;
  /** The state of `key` in the value of an entry. @throws DecodeError */
  decode(key: string, entry: { readonly revision: number; readonly schemaVersion: number }, data: Uint8Array): State;
  /** The value of `key`. @throws EncodeError */
  encode(key: string, state: State): Uint8Array;
}
