import { z } from 'zod';
import { coordinationNameProblem, type CoordinationKind } from '../common/names.js';

/** Schema of the name of a primitive. */
export function nameSchema(kind: CoordinationKind): z.ZodType<string> {
  return z.string().refine((name) => coordinationNameProblem(kind, name) === undefined, {
    error: (issue) => coordinationNameProblem(kind, String(issue.input)) ?? '',
  });
}
