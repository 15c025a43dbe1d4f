/**
 * Finds a key that stands twice in one object of a JSON text. `JSON.parse` keeps the last of them and others keep the
 * first (RFC 8259, section 4), so a text in which one does may tell two readers two things.
 */

/** `text` must be JSON; of other texts the answer means nothing. */
export function hasDoubledKey(text: string): boolean {
  const open: (Set<string> | null)[] = [];
  // Strings as a whole, so that nothing inside one is taken for structure.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"\s*:?|[[\]{}]/gs)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (token.endsWith(":")) {
      const keys = open.at(-1);
      const key = JSON.parse(token.slice(0, -1)) as string;
      if (keys?.has(key) === true) return true;
      keys?.add(key);
    }
  }
  return false;
}
