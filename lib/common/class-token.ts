/**
 * A token for one class and purpose: the same symbol at every call, and another one for another class, also when a
 * bundler has given both the same name. It is kept with the class itself, so that nothing is static here.
 *
 * @param purpose tells several tokens of one class apart
 * @param description what error messages show
 */
export function classToken(target: object, purpose: string, description: string): symbol {
  const place = Symbol.for(`nestjs-jetstream-flow:${purpose}`);
  // Only its own: a subclass must not have its parent's.
  const own = Object.getOwnPropertyDescriptor(target, place)?.value as symbol | undefined;
  if (own !== undefined) return own;
  const token = Symbol(description);
  Object.defineProperty(target, place, { value: token });
  return token;
}
