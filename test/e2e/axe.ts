/** What axe-core finds on a page (WCAG 2.2 AA). */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Axe {
  run(options: object): Promise<{
    violations: { id: string; help: string; nodes: { target: string[]; failureSummary?: string }[] }[];
  }>;
}

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];

/**
 * `all_but_targets`: how large targets are cannot be examined while something lies over them, such as a dialog, or a bar
 * that stays below. `colours`: all that a theme changes.
 */
const RULES = {
  all: {
    runOnly: { type: "tag", values: [...TAGS, "wcag22a", "wcag22aa"] },
    rules: { "target-size": { enabled: true } },
  },
  all_but_targets: { runOnly: { type: "tag", values: TAGS } },
  colours: { runOnly: { type: "rule", values: ["color-contrast"] } },
} as const;

/** A line for each violation; none when there is nothing to complain of. */
export async function runAxe(page: Page, what: keyof typeof RULES): Promise<string[]> {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  return await page.evaluate(async (rules) => {
    const { axe } = globalThis as unknown as { axe: Axe };
    const { violations } = await axe.run({ resultTypes: ["violations"], ...rules });
    return violations.map(
      ({ id, help, nodes }) =>
        `${id} (${help}): ${nodes
          .slice(0, 3)
          .map(({ target, failureSummary }) => `${target.join(" ")} ${failureSummary ?? ""}`)
          .join(" | ")}`,
    );
  }, RULES[what]);
}
