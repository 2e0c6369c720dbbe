/** A fenced block of a Markdown text. */
export interface CodeBlock {
  /** The word after the fence, for example `ts`; empty when there is none. */
  readonly language: string;
  readonly text: string;
  /** Line of the fence, from 1. */
  readonly line: number;
}

/** The fenced blocks of a Markdown text, in order. */
export function codeBlocks(markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    if (!line.startsWith('```')) open?.lines.push(line);
    else if (open === undefined) open = { language: line.slice(3).trim(), line: index + 1, lines: [] };
    else {
      blocks.push({ language: open.language, line: open.line, text: open.lines.join('\n') });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`The block of line ${open.line} is not closed`);
  return blocks;
}

/** Targets of the headings of a Markdown text, as code hosts make them. */
export function headingAnchors(markdown: string): Set<string> {
  const headings = outsideBlocks(markdown).filter((line) => /^#{1,6} /.test(line));
  return new Set(
    headings.map((heading) =>
      heading
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** Targets of the links of a Markdown text. */
export function linkTargets(markdown: string): string[] {
  return outsideBlocks(markdown).flatMap((line) =>
    Array.from(line.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target),
  );
}

/** Whether `text` stands in `source`, line by line, at whatever indentation. */
export function containsLines(source: string, text: string): boolean {
  const lines = source.split('\n');
  const wanted = text.split('\n');
  const first = wanted[0] ?? '';
  return lines.some((line, start) => {
    if (!line.endsWith(first)) return false;
    const indentation = line.slice(0, line.length - first.length);
    if (indentation.trim() !== '') return false;
    return wanted.every((want, offset) => lines[start + offset] === (want === '' ? '' : indentation + want));
  });
}

function outsideBlocks(markdown: string): string[] {
  let inside = false;
  return markdown.split('\n').filter((line) => {
    const isFence = line.startsWith('```');
    if (isFence) inside = !inside;
    return !inside && !isFence;
  });
}
