/** The headers of what is taken along as a file: RFC 6266, with a name that every system and every terminal bears. */

/** File systems take 255 bytes; kind, ending and a number that browsers put behind it need some of them. */
const NAME_BYTES_MAX = 200;

export interface Attachment {
  /** What it is; stands in front, so that the name is never one that a system keeps for itself. */
  readonly kind: string;
  /** What people called it. */
  readonly name: string;
  /** Without a dot in front. */
  readonly ending: string;
  readonly type: string;
}

export function attachmentHeaders({ kind, name, ending, type }: Attachment): Record<string, string> {
  const whole = `${kind}-${safeName(name)}.${ending}`;
  // Old readers take the first form; it has nothing that would need an escape.
  const plain = whole
    .normalize("NFKD")
    .replaceAll(/[^A-Za-z0-9._-]/g, "_")
    .replaceAll(/_+/g, "_");
  return {
    "Content-Type": type,
    "Content-Disposition": `attachment; filename="${plain}"; filename*=UTF-8''${extended(whole)}`,
    "X-Content-Type-Options": "nosniff",
  };
}

/** Without what separates folders, acts on a screen or turns its direction, and without dots and blanks at the ends. */
function safeName(name: string): string {
  const clean = name
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\\/:*?"<>|%]/gu, " ")
    .replaceAll(/\s+/g, " ");
  return shortened(clean).replaceAll(/^[\s.]+|[\s.]+$/g, "") || "unnamed";
}

function shortened(text: string): string {
  const encoder = new TextEncoder();
  let short = "";
  let sizeBytes = 0;
  for (const letter of text) {
    sizeBytes += encoder.encode(letter).length;
    if (sizeBytes > NAME_BYTES_MAX) break;
    short += letter;
  }
  return short;
}

/** `ext-value` of RFC 8187: what `encodeURIComponent` leaves, without the four that are not among its letters. */
function extended(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
