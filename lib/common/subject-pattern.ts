/** Subjects that start with one of these tokens belong to the library or to the server. */
const RESERVED_FIRST_TOKENS: readonly string[] = ['flow', 'flow_event', '_INBOX'];

/**
 * Why `pattern` may not be an external subject that a flow listens to, as the end of a sentence that names it;
 * `undefined` when it may. `*` stands for one token, `>` for one or more at the end, as in NATS.
 */
export function externalSubjectProblem(pattern: string): string | undefined {
  if (pattern === '') return 'is empty';
  if (/[\s\p{Cc}]/u.test(pattern)) return 'contains white space or control characters';
  const tokens = pattern.split('.');
  const first = tokens[0] ?? '';
  if (tokens.includes('')) return 'has an empty token; dots separate tokens and may not begin or end it';
  if (tokens.some((token) => token.length > 1 && /[*>]/.test(token)))
    return 'uses "*" or ">" inside a token; each must be a token of its own';
  if (tokens.slice(0, -1).includes('>')) return 'has ">" before its end; ">" may only be the last token';
  if (first.startsWith('$')) return 'begins with "$", which the server reserves';
  if (RESERVED_FIRST_TOKENS.includes(first)) return `begins with "${first}.", which is reserved`;
  if (first === '*' || first === '>')
    return `begins with "${first}" and so covers reserved subjects; make the first token a word`;
  return undefined;
}
