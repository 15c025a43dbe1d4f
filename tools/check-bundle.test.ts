import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { describeFirstView, FIRST_VIEW_KIB_MAX, weighFirstView } from "./check-bundle.ts";

const PAGE = `<script type="module" crossorigin src="/assets/index.js"></script>
  <link rel="icon" href="/icon.svg" /><link rel="stylesheet" href="/assets/index.css">`;
const file = (name: string, text: string, imports: readonly string[] = []) => ({ name, text, imports });

test("[U80] the first view is what the page names and what that imports; a page that is opened later is not in it", () => {
  const view = weighFirstView(PAGE, [
    file("assets/index.js", "a".repeat(5_000), ["assets/shared.js"]),
    file("assets/shared.js", "b", ["assets/index.js"]),
    file("assets/index.css", "c"),
    file("assets/settings.js", randomBytes(90_000).toString("base64"), ["assets/shared.js"]),
  ]);
  expect(view.files.map(({ name }) => name).toSorted()).toEqual([
    "assets/index.css",
    "assets/index.js",
    "assets/shared.js",
  ]);
  expect(view.gzipBytes).toBeLessThan(200);
  expect(describeFirstView(view)).toContain(`of at most ${FIRST_VIEW_KIB_MAX}`);
});

test("[U80] a first view that is too heavy is told with its files, the heaviest first", () => {
  const view = weighFirstView(PAGE, [
    file("assets/index.js", randomBytes(60 * 1024).toString("latin1")),
    file("assets/index.css", "c"),
  ]);
  const told = describeFirstView(view);
  expect(told).toMatch(/KiB more than the 45 KiB there may be/);
  expect(told.indexOf("index.js")).toBeLessThan(told.indexOf("index.css"));
});

test("[U80] a file that the page names and nobody built is a fault, not a light one", () => {
  expect(() => weighFirstView(PAGE, [])).toThrow(/was not built/);
});
