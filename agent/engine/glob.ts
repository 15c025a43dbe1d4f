/**
 * Globs in the manner of .gitignore, matched in time linear in pattern × path: a pattern a stranger wrote must not be
 * able to stop a scan.
 *
 * - `*` any run of characters but `/`; `?` one character but `/`; `[a-z]`, `[!a-z]` one of a set; `\` takes the next
 *   character as it is.
 * - `**` as a whole segment: any number of folders, also none; at the end: everything inside.
 * - A pattern with a `/` at its front or in its middle is matched from the root; one without, at every depth.
 * - A `/` at the end matches folders only. A pattern that matches a folder matches all that is in it.
 * - `!` at the front takes back what an earlier pattern matched: of all patterns that match, the last one decides. Unlike
 *   in Git, this also holds for a file inside a folder that is matched, because we look into every folder anyway.
 * - Case counts, and so does every byte: `é` written in one or in two characters are different names. `#` means itself.
 */
export interface Glob {
  readonly negated: boolean;
  /** `path` is that of a file, relative, with `/`. */
  matches(path: readonly string[]): boolean;
}

type Segment =
  | { readonly kind: "any_folders" }
  | { readonly kind: "name"; readonly matches: (name: string) => boolean };
type Token =
  | { readonly kind: "character"; readonly character: string }
  | { readonly kind: "one" }
  | { readonly kind: "run" }
  | {
      readonly kind: "set";
      readonly negated: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

export function compileGlob(pattern: string): Glob {
  const negated = pattern.startsWith("!");
  let rest = negated ? pattern.slice(1) : pattern;
  const foldersOnly = rest.endsWith("/");
  if (foldersOnly) rest = rest.slice(0, -1);
  const anchored = rest.includes("/");
  const names = rest.split("/").filter((name) => name !== "");
  const segments: Segment[] = names.map((name) =>
    name === "**" ? { kind: "any_folders" } : { kind: "name", matches: compileName(name) },
  );
  if (!anchored) segments.unshift({ kind: "any_folders" });
  const insideOnly = names.at(-1) === "**";
  // "a/**" is all that is in "a", so its last place asks for one name more.
  if (insideOnly) segments.push({ kind: "name", matches: () => true });
  return { negated, matches: (path) => names.length > 0 && matchesPath(segments, path, foldersOnly) };
}

/** True if the last of the globs that match `path` is not a negated one; `initial` if none matches. */
export function decide(globs: readonly Glob[], path: string, options: { initial: boolean }): boolean {
  const names = path.split("/");
  for (let index = globs.length - 1; index >= 0; index--) {
    const glob = globs[index] as Glob;
    if (glob.matches(names)) return !glob.negated;
  }
  return options.initial;
}

/**
 * Walks the path once, keeping the set of places in the pattern that the walk may be at. There is nothing to go back to:
 * each name is held against each place at most once.
 */
function matchesPath(segments: readonly Segment[], path: readonly string[], foldersOnly: boolean): boolean {
  const end = segments.length;
  let places = new Uint8Array(end + 1);
  enter(segments, places, 0);
  for (const [depth, name] of path.entries()) {
    const next = new Uint8Array(end + 1);
    for (const [place, segment] of segments.entries()) {
      if (places[place] === 0) continue;
      if (segment.kind === "any_folders") enter(segments, next, place);
      else if (segment.matches(name)) enter(segments, next, place + 1);
    }
    // The whole pattern matched a folder on the way, or the file itself.
    if (next[end] === 1 && (depth < path.length - 1 || !foldersOnly)) return true;
    places = next;
  }
  return false;
}

/** Marks a place, and those behind it that `**` reaches without a name. */
function enter(segments: readonly Segment[], places: Uint8Array, from: number): void {
  for (let place = from; ; place++) {
    places[place] = 1;
    if (segments[place]?.kind !== "any_folders") return;
  }
}

function compileName(glob: string): (name: string) => boolean {
  const tokens = tokenize(glob);
  if (tokens.every((token) => token.kind === "character")) {
    const wanted = textOf(tokens);
    return (name) => name === wanted;
  }
  // "*.tmp" and "~$*" are most of what people write.
  const [first, ...others] = tokens;
  if (first?.kind === "run" && others.every((token) => token.kind === "character")) {
    const ending = textOf(others);
    return (name) => name.endsWith(ending);
  }
  return (name) => matchesName(tokens, Array.from(name));
}

function textOf(tokens: readonly Token[]): string {
  return tokens.map((token) => (token.kind === "character" ? token.character : "")).join("");
}

/** The same walk over the characters of one name: each is held against each token at most once. */
function matchesName(tokens: readonly Token[], characters: readonly string[]): boolean {
  let places = new Uint8Array(tokens.length + 1);
  pass(tokens, places, 0);
  for (const character of characters) {
    const next = new Uint8Array(tokens.length + 1);
    let alive = false;
    for (const [place, token] of tokens.entries()) {
      if (places[place] === 0) continue;
      if (token.kind === "run") pass(tokens, next, place);
      else if (admits(token, character)) pass(tokens, next, place + 1);
      else continue;
      alive = true;
    }
    if (!alive) return false;
    places = next;
  }
  return places[tokens.length] === 1;
}

function pass(tokens: readonly Token[], places: Uint8Array, from: number): void {
  for (let place = from; ; place++) {
    places[place] = 1;
    if (tokens[place]?.kind !== "run") return;
  }
}

function admits(token: Exclude<Token, { kind: "run" }>, character: string): boolean {
  switch (token.kind) {
    case "character":
      return token.character === character;
    case "one":
      return true;
    case "set":
      return token.ranges.some(([low, high]) => low <= character && character <= high) !== token.negated;
  }
}

function tokenize(glob: string): readonly Token[] {
  const characters = Array.from(glob);
  const tokens: Token[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] as string;
    if (character === "*") {
      if (tokens.at(-1)?.kind !== "run") tokens.push({ kind: "run" });
    } else if (character === "?") {
      tokens.push({ kind: "one" });
    } else if (character === "\\" && at + 1 < characters.length) {
      at++;
      tokens.push({ kind: "character", character: characters[at] as string });
    } else if (character === "[") {
      const set = readSet(characters, at);
      // A "[" that nothing closes means itself.
      if (set === null) tokens.push({ kind: "character", character });
      else {
        tokens.push(set.token);
        at = set.end;
      }
    } else {
      tokens.push({ kind: "character", character });
    }
  }
  return tokens;
}

function readSet(characters: readonly string[], start: number): { token: Token; end: number } | null {
  let at = start + 1;
  const negated = characters[at] === "!" || characters[at] === "^";
  if (negated) at++;
  const ranges: (readonly [string, string])[] = [];
  // A "]" in first place belongs to the set.
  const first = at;
  while (at < characters.length) {
    let low = characters[at] as string;
    if (low === "]" && at > first) return { token: { kind: "set", negated, ranges }, end: at };
    if (low === "\\" && at + 1 < characters.length) low = characters[++at] as string;
    const high = characters[at + 2];
    if (characters[at + 1] === "-" && high !== undefined && high !== "]") {
      ranges.push([low, high]);
      at += 3;
    } else {
      ranges.push([low, low]);
      at++;
    }
  }
  return null;
}
