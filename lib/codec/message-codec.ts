/**
 * Turns messages of one type into bytes and back. Codecs hold no state: one instance serves any number of
 * concurrent callers.
 */
export interface MessageCodec<T> {
  /** Media type of the bytes, for the content type header: `application/json`, `application/protobuf; messageType="…"`. */
  readonly contentType: string;

  /** Name of the message type, as errors and the graph check show it. */
  readonly typeName: string;

  /**
   * The bytes of `value`, in memory of their own.
   *
   * @throws EncodeError when `value` is not of the type, or holds what the format has no form for.
   */
  encode(value: T): Uint8Array;

  /**
   * The message in `data`. The result may share memory with `data` (Protobuf `bytes` fields do): leave `data`
   * unchanged as long as the message lives.
   *
   * @throws DecodeError when `data` is not a message of the type; the same bytes will never decode.
   */
  decode(data: Uint8Array): T;
}
