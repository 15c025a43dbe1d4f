/**
 * Names from customers' disks, made safe to look at.
 *
 * A file name may hold characters that hide or reorder what is around them (`invoice\u202Efdp.exe` looks like a PDF).
 * Here such characters are found and written as `\u{202E}`, so that a person sees the name that is there. Joiners that
 * emoji and several scripts need (U+200C, U+200D) are left alone.
 */
export interface TextPart {
  readonly text: string;
  /** True where the text is our writing of a character that must not act. */
  readonly escaped: boolean;
}

const ACTING_CHARACTER =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;

export function splitActing(text: string): readonly TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const match of text.matchAll(ACTING_CHARACTER)) {
    if (match.index > end) parts.push({ text: text.slice(end, match.index), escaped: false });
    parts.push({ text: writeEscape(match[0]), escaped: true });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), escaped: false });
  return parts;
}

/** The same as one string, for titles and sentences. */
export function visibleText(text: string): string {
  return splitActing(text)
    .map((part) => part.text)
    .join("");
}

/** The same, with its line breaks and tabs as they are: for whatever a page may show, its own texts among them. */
export function visibleLines(text: string): string {
  // Nearly every text ends here, and there are many.
  if (!/[^\x20-\x7e]/.test(text)) return text;
  return text
    .split(/([\t\n\r])/)
    .map((part, index) => (index % 2 === 0 ? visibleText(part) : part))
    .join("");
}

function writeEscape(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
}
