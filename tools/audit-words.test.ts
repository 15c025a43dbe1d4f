/** Here because it reads the control plane's sources, which nothing of the dashboard may import. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ACTION_WORDS } from "../ui/views/audit-words.ts";
import { ROOT } from "./environment.ts";

test("[U38] every action that the control plane writes has its words", () => {
  const written = new Set<string>();
  for (const folder of ["worker", "durable-objects"]) {
    const root = join(ROOT, folder);
    for (const file of readdirSync(root, { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts") || file.endsWith(".test.ts")) continue;
      const text = readFileSync(join(root, file), "utf8");
      for (const call of text.matchAll(/\baudit(?:IfChanged)?\(([^)]*)/g)) {
        for (const [, action] of (call[1] ?? "").matchAll(/"([a-z_]+\.[a-z_]+)"/g)) written.add(action ?? "");
      }
    }
  }
  expect(written.size).toBeGreaterThan(30);
  for (const action of ["pause", "resume", "cancel", "finish"]) written.add(`job.${action}`);
  expect([...written].filter((action) => ACTION_WORDS[action] === undefined)).toEqual([]);
});
