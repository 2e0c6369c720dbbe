import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** One field of an interface, as its source declares it. */
export interface OptionField {
  readonly name: string;
  /** Text of the `@default` tag, on one line. */
  readonly defaultText: string | undefined;
}

/** The fields that the interface `name` declares itself in the source `file`. */
export function optionFields(file: string, name: string): OptionField[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const declaration = source.statements
    .filter(ts.isInterfaceDeclaration)
    .find((statement) => statement.name.text === name);
  if (declaration === undefined) throw new Error(`${file} declares no interface ${name}`);
  return declaration.members.map((member) => {
    const tag = ts.getJSDocTags(member).find(({ tagName }) => tagName.text === 'default');
    const comment = tag === undefined ? undefined : ts.getTextOfJSDocComment(tag.comment);
    return { name: member.name?.getText(source) ?? '', defaultText: comment?.replace(/\s+/g, ' ').trim() };
  });
}
