/** Run with every file of contract tests: what the Worker asked of D1 until its end was asked by an index. */
import { afterAll } from "vitest";
import { controlPlane } from "./harness.ts";
import { withoutIndex } from "./statements.ts";

afterAll(async () => {
  const { contractControlPlane } = globalThis as { contractControlPlane?: unknown };
  if (contractControlPlane === undefined) return;
  const slow = withoutIndex(await (await controlPlane()).statements());
  if (slow.length > 0)
    throw new Error(`[J25] Statements that read a table without an index:\n${slow.join("\n")}`);
});
