// Deeper nesting is given up: the search must not overflow the stack that JSON.stringify may just have overflowed.
const MAX_DEPTH = 500;

/**
 * Where in `value` the thing is that `JSON.stringify` threw at, as a clause for an error message. Walks the
 * value again, so it is called only after a failure. Nothing found (a getter or `toJSON` that throws, endless
 * nesting): `undefined`.
 */
export function findUnserializable(value: unknown): string | undefined {
  return search(value, 'the value', []);
}

function search(value: unknown, path: string, ancestors: readonly object[]): string | undefined {
  if (typeof value === 'bigint') return `${path} is a bigint; send it as text`;
  if (typeof value !== 'object' || value === null || ancestors.length > MAX_DEPTH) return undefined;
  if (ancestors.includes(value)) return `${path} refers back to an object that contains it`;
  if ('toJSON' in value) return undefined;
  const inside = [...ancestors, value];
  // Descriptors, because a getter may throw, and may be what threw in the first place.
  for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    const member = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`;
    const found = search(property.value, member, inside);
    if (found !== undefined) return found;
  }
  return undefined;
}
