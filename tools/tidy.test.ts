import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PROTOCOL_VERSION } from "../schema/protocol.ts";
import { VERSION } from "../schema/version.ts";
import { findTampering, findUnrecorded, presentHashes, recordedHashes } from "../test/golden/transcript.ts";
import { ROOT } from "./environment.ts";
import {
  findBadNames,
  findBrokenLinks,
  findForbiddenImports,
  findForbiddenText,
  findHastyComparisons,
  findUnprovedRules,
  type SourceFile,
} from "./tidy.ts";

/** Files git knows of, or would take: what is ignored is nobody's business. */
function listFiles(pattern: RegExp): SourceFile[] {
  const paths = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return paths
    .split("\n")
    .filter((path) => pattern.test(path) && existsSync(join(ROOT, path)))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

describe("[D1] the tree is tidy", () => {
  // The tidy files themselves quote what they forbid.
  const sources = listFiles(/\.tsx?$/).filter(({ path }) => !path.startsWith("tools/tidy."));

  test("[D1] imports follow the arrows", () => expect(findForbiddenImports(sources)).toEqual([]));
  test("[D1] no text that does not belong", () => expect(findForbiddenText(sources)).toEqual([]));
  test("[D1] no secret is compared in a time that tells where it differs", () =>
    expect(findHastyComparisons(sources)).toEqual([]));
  test("[D1] names say what a file is", () => expect(findBadNames(sources)).toEqual([]));
  test("[D1] every rule has a test and every tag a rule", () => {
    const specification = readFileSync(join(ROOT, "docs/spec.md"), "utf8");
    // The contract's tests stand in a file that the connectors' tests call; the samples below are no tests of rules.
    const tests = listFiles(/\.test\.tsx?$|^agent\/connectors\/contract\.ts$/).filter(
      ({ path }) => path !== "tools/tidy.test.ts",
    );
    const ownRule = { path: "tools/tidy.test.ts", text: 'test("[D1] tidy");' };
    expect(findUnprovedRules(specification, [...tests, ownRule])).toEqual([]);
  });
  test("[D1] links in the documents lead somewhere", () => {
    const pages = listFiles(/^(README|CHANGELOG|docs\/.*)\.md$/);
    expect(pages.flatMap((page) => findBrokenLinks(page, (path) => existsSync(join(ROOT, path))))).toEqual(
      [],
    );
  });
  test("[D1] all parts have one version", () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    expect(VERSION).toBe(manifest.version);
  });
});

describe("[L20] golden transcripts", () => {
  test("[L20] each is as it was recorded, and none is gone", () =>
    expect(findTampering(recordedHashes(), presentHashes())).toEqual([]));
  test("[L20] each version of the protocol up to the present one has its own", () =>
    expect(findUnrecorded(PROTOCOL_VERSION, Object.keys(presentHashes()))).toEqual([]));

  test("[L20] one that was changed, added without a word, or deleted is named", () => {
    const recorded = { "1/a.jsonl": "aa", "1/b.jsonl": "bb", "2/a.jsonl": "cc" };
    const present = { "1/a.jsonl": "aa", "1/b.jsonl": "b7", "3/a.jsonl": "dd" };
    expect(findTampering(recorded, present)).toEqual([
      "1/b.jsonl: was changed",
      "2/a.jsonl: is gone",
      "3/a.jsonl: its hash was not written down",
    ]);
  });
  test("[L20] a version without a session, a poll or a close is named", () => {
    const names = [
      "1/session.jsonl",
      "1/poll.jsonl",
      "1/close-4001.jsonl",
      "2/session.jsonl",
      "2/poll.jsonl",
    ];
    expect(findUnrecorded(2, names)).toEqual(["2/: no close was recorded"]);
    expect(findUnrecorded(3, names)).toHaveLength(4);
  });
});

describe("[D1] each check can fail", () => {
  const file = (path: string, text: string): SourceFile[] => [{ path, text }];
  // Not written out: in this file, too, a tag would count as the proof of a rule.
  const tag = (rule: string) => `[${rule}]`;

  test.each([
    ["agent/engine/plan.ts", 'import { a } from "../connectors/local.ts";'],
    ["agent/session.ts", 'import { b } from "./platform-deno.ts";'],
    ["agent/connectors/local.ts", 'import { c } from "../engine/plan.ts";'],
    ["durable-objects/hub.ts", 'import { d } from "../worker/app.ts";'],
    ["ui/api.ts", 'import { jobs } from "../schema/tables.ts";'],
    ["schema/job.ts", 'import { x } from "../worker/app.ts";'],
    ["schema/job.ts", 'import { eq } from "drizzle-orm";'],
    ["agent/main.ts", 'import x from "hono";'],
    ["ui/app.tsx", 'const page = await import("left-pad");'],
  ])("[D1] %s may not say %s", (path, text) =>
    expect(findForbiddenImports(file(path, text))).toHaveLength(1),
  );

  test.each([
    ["worker/a.ts", "// TODO later"],
    ["worker/a.ts", "const x = y as any;"],
    ["worker/a.test.ts", "test.only(1)"],
    ["schema/a.ts", 'import { z } from "zod";'],
    ["schema/a.ts", "export enum Colour { red }"],
    ["ui/a.tsx", "element.innerHTML = name;"],
    ["ui/a.tsx", "<p dangerouslySetInnerHTML={page} />"],
    ["worker/a.ts", "// as in /home/anna/notes"],
    ["agent/runner.ts", "Deno.readFile(path);"],
    ["worker/db/jobs.ts", "systemDb(database)"],
    ["worker/db/jobs.ts", "drizzle(env.DB)"],
    ["worker/db/jobs.ts", 'import { drizzle } from "drizzle-orm/d1";'],
  ])("[D1] %s may not hold %s", (path, text) => expect(findForbiddenText(file(path, text))).toHaveLength(1));

  test.each([
    ["worker/upperCase.ts", "x;"],
    ["worker/utils.ts", "x;"],
    ["worker/barrel.ts", 'export * from "./a.ts";\nexport { b } from "./b.ts";'],
  ])("[D1] %s is not a name or a file we want", (path, text) =>
    expect(findBadNames(file(path, text))).toHaveLength(1),
  );

  test.each([
    "if (given === secret) return;",
    "return row.tokenHash === tokenHash;",
    "if (c.env.DEV_HUB_SECRET !== given) return;",
    'x = body["state_token"] == held;',
    "while (remembered() !== cookie) x();",
  ])("[D1] %s is found out", (text) =>
    expect(findHastyComparisons(file("worker/auth/x.ts", text))).toHaveLength(1),
  );

  test.each([
    "if (secret === undefined || token === null) return;",
    'if (token === "{" || secret.kind === "oauth" || typeof token === "string") return;',
    "return await sameSecret(given, secret);",
    "if (tokens.length === keys.length) return;",
  ])("[D1] %s is no comparison of secrets", (text) =>
    expect(findHastyComparisons(file("worker/auth/x.ts", text))).toEqual([]),
  );

  test("[D1] a connector may know its own files, and no other kind", () => {
    const registry = 'import { a } from "./local.ts";\nimport { b } from "./azure-blob.ts";';
    const check = (path: string, name: string) =>
      findForbiddenImports([
        { path: "agent/connectors/registry.ts", text: registry },
        { path, text: `import { a } from "${name}";` },
      ]);
    expect(check("agent/connectors/azure-blob.ts", "./azure-blob-errors.ts")).toEqual([]);
    expect(check("agent/connectors/local.ts", "./connector.ts")).toEqual([]);
    expect(check("agent/connectors/local.ts", "./azure-blob.ts")).toHaveLength(1);
    expect(check("agent/connectors/local.ts", "./azure-blob-errors.ts")).toHaveLength(1);
  });

  test("[D1] a rule named in a comment or by a skipped test is not proved", () => {
    const tests = file(
      "a.test.ts",
      `// ${tag("A1")} above\ntest.skip("${tag("A2")} later", () => {});\ntest("${tag("A3")} ${tag("A4")} yes")`,
    );
    expect(findUnprovedRules("**A1** **A2** **A3** **A4**", tests)).toEqual([
      "docs/spec.md: no test carries [A1]",
      "docs/spec.md: no test carries [A2]",
    ]);
  });

  test("[D1] a rule without a test, and a test without a rule, are found", () => {
    const tests = file("a.test.ts", `test("${tag("A1")} yes"); test("${tag("A3")} what?");`);
    expect(findUnprovedRules("- **A1** one\n- **A2** two", tests)).toEqual([
      "docs/spec.md: no test carries [A2]",
      "a.test.ts: there is no rule A3 in docs/spec.md",
    ]);
  });

  test("[D1] a broken link is found, one elsewhere is left alone", () => {
    const page = { path: "docs/a.md", text: "[x](missing.md) [y](https://example.com) [z](b.md#part)" };
    expect(findBrokenLinks(page, (path) => path === "docs/b.md")).toEqual([
      'docs/a.md: the link "missing.md" leads nowhere',
    ]);
  });
});
