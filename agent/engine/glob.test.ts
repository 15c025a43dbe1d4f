import assert from "node:assert/strict";
import { NO_FILTERS } from "../../schema/job.ts";
import { compileFilter } from "./filter.ts";
import { compileGlob } from "./glob.ts";

function matches(pattern: string, path: string): boolean {
  return compileGlob(pattern).matches(path.split("/"));
}

/** `+` before a path that the pattern matches, `-` before one that it does not. */
function check(pattern: string, ...paths: readonly string[]): void {
  for (const path of paths) {
    assert.equal(matches(pattern, path.slice(1)), path.startsWith("+"), `${pattern} on ${path}`);
  }
}

Deno.test("[F1] a pattern without a slash matches at every depth, a file or a folder with all in it", () => {
  check("*.tmp", "+a.tmp", "+x/y/a.tmp", "+.tmp", "-a.tmp.txt", "+old.tmp/file");
  check("node_modules", "+node_modules/a/b", "+x/node_modules/c", "+node_modules", "-my_node_modules/a");
});

Deno.test("[F1] a slash in front or inside ties a pattern to the root", () => {
  check("/build", "+build", "+build/x", "-a/build");
  check("docs/*.md", "+docs/a.md", "-x/docs/a.md", "-docs/x/a.md");
});

Deno.test("[F1] a slash at the end matches folders only", () => {
  check("cache/", "+cache/a", "+x/cache/a", "-cache", "-x/cache");
  check("/cache/", "+cache/a", "-x/cache/a", "-cache");
});

Deno.test("[F1] ** stands for any number of folders, also none, and at the end for all that is inside", () => {
  check("**/a", "+a", "+x/a", "+x/y/a");
  check("a/**/b", "+a/b", "+a/x/b", "+a/x/y/b", "-a", "-b", "-x/a/b");
  check("a/**", "+a/x", "+a/x/y", "-a", "-b/a/x");
  check("**", "+a", "+a/b");
  check("a/**/", "+a/x/y", "-a/x");
});

Deno.test("[F1] *, ? and sets match within one name, by whole characters", () => {
  check("a*c", "+ac", "+abc", "+abbc", "-abcd", "-a/c");
  check("?", "+é", "+😀", "-ab", "+x/y");
  check("/?", "+é", "+😀", "-ab", "-xy");
  check("[a-c]x", "+ax", "+cx", "-dx", "-x");
  check("[!a-c]x", "-ax", "+dx");
  check("[]-]x", "+]x", "+-x", "-ax");
  check("[x", "+[x", "-x");
  check("\\*", "+*", "-a");
  check("~$*", "+~$doc.docx", "-doc.docx");
  check("*.*.bak", "+a.b.bak", "-a.bak");
});

Deno.test("[F1] case and bytes count", () => {
  check("*.TMP", "+a.TMP", "-a.tmp");
  check("\u00e9", "+\u00e9", "-e\u0301");
});

Deno.test("[F2] of all patterns that match, the last one decides", () => {
  const filter = compileFilter({
    ...NO_FILTERS,
    exclude: ["build/", "!build/keep.txt", "*.log", "!important.log"],
  });
  const moves = (path: string) => filter({ path, sizeBytes: 1, modifiedMs: 1, identity: null });
  assert.equal(moves("build/a"), false);
  assert.equal(moves("build/keep.txt"), true);
  assert.equal(moves("x/a.log"), false);
  assert.equal(moves("x/important.log"), true);
});

Deno.test("[F2] with an include list a file must match one; a list that begins with ! begins with everything", () => {
  const only = compileFilter({ ...NO_FILTERS, include: ["*.pdf", "!draft*"] });
  const but = compileFilter({ ...NO_FILTERS, include: ["!*.iso"] });
  const entry = (path: string) => ({ path, sizeBytes: 1, modifiedMs: 1, identity: null });
  assert.deepEqual(
    [only(entry("a.pdf")), only(entry("draft.pdf")), only(entry("a.txt"))],
    [true, false, false],
  );
  assert.deepEqual([but(entry("a.pdf")), but(entry("x/a.iso"))], [true, false]);
});

Deno.test("[F3] sizes are inclusive, modifiedBefore is exclusive, modifiedAfter inclusive", () => {
  const filter = compileFilter({
    ...NO_FILTERS,
    sizeBytesMin: 10,
    sizeBytesMax: 20,
    modifiedAfter: "2026-01-01T00:00:00Z",
    modifiedBefore: "2026-02-01T00:00:00Z",
  });
  const at = (sizeBytes: number, time: string) =>
    filter({ path: "a", sizeBytes, modifiedMs: Date.parse(time), identity: null });
  assert.equal(at(10, "2026-01-01T00:00:00Z"), true);
  assert.equal(at(20, "2026-01-31T23:59:59Z"), true);
  assert.equal(at(9, "2026-01-10T00:00:00Z"), false);
  assert.equal(at(21, "2026-01-10T00:00:00Z"), false);
  assert.equal(at(10, "2026-02-01T00:00:00Z"), false);
  assert.equal(at(10, "2025-12-31T23:59:59.999Z"), false);
});

Deno.test("[F4] no pattern makes matching slow", () => {
  const name = "a".repeat(4_000);
  const path = Array.from({ length: 2_000 }, () => "a").join("/");
  const begun = performance.now();
  assert.equal(matches(`${"*a".repeat(250)}b`, name), false);
  assert.equal(matches(`${"[a-z]*".repeat(80)}b`, name), false);
  assert.equal(matches(`${"**/a/".repeat(100)}b`, path), false);
  assert.equal(matches(`${"**/".repeat(160)}b`, path), false);
  // A backtracking matcher would not end within the age of the universe.
  assert.ok(performance.now() - begun < 2_000, `${performance.now() - begun} ms`);
});
