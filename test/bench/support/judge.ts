/** What a figure must come to. */
export type Aim = { readonly atLeast: number } | { readonly atMost: number };

/**
 * Prints a figure beside its aim, in one line that ends with `ok` or `MISSED`. The process ends with exit code 1 when an
 * aim is missed; what is no number misses any.
 *
 * @param what The line up to the aim, with the figure in it.
 */
export function judge(what: string, figure: number, aim: Aim): void {
  const [sign, bound, met] =
    'atLeast' in aim ? ['>=', aim.atLeast, figure >= aim.atLeast] : ['<=', aim.atMost, figure <= aim.atMost];
  if (!met) process.exitCode = 1;
  console.log(`${what}; aim ${sign} ${bound}: ${met ? 'ok' : 'MISSED'}`);
}
