import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./environment.ts";
import { findLooseTexts } from "./loose-texts.ts";

const UI = join(ROOT, "ui");

function codeFiles(): readonly string[] {
  return readdirSync(UI, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => /\.tsx?$/.test(path) && !/\.test\.|\.d\.ts$|test-world|^texts\//.test(path));
}

test("[U85] what people read in the dashboard stands in ui/texts/, and nowhere else", () => {
  const files = codeFiles();
  expect(files.length).toBeGreaterThan(100);
  const loose = files.flatMap((path) => findLooseTexts({ path, text: readFileSync(join(UI, path), "utf8") }));
  expect(loose).toEqual([]);
});

test.each([
  ["text between tags", "<p>Nothing yet</p>", ["Nothing yet"]],
  ["one word between tags", "<b>{x}</b>; <i>Save</i>", ["Save"]],
  ["an attribute that is shown", '<Button title="save" />', ["save"]],
  ["a property that is shown", 'const x = { label: "name" }', ["name"]],
  ["a sentence anywhere", 'say("It is done")', ["It is done"]],
  ["a word with a capital", 'const x = a ? "Yes" : "No"', ["Yes", "No"]],
  ["a template", "say(`${count} files left`)", ["… files left"]],
  ["a template in a template", 'say(`${a ? "Nobody is here" : ""} x`)', ["Nobody is here"]],
  ["an error that is shown", 'throw new ApiError({ message: "Try again" })', ["Try again"]],
  ["a class", '<p class="is here" />', []],
  ["a path", "go(`/jobs/${id}`)", []],
  ["a code", 'if (state === "Running") stop("job")', []],
  ["a figure", "<p>{count} · {`${a}/${b}`}</p>", []],
  ["a type", 'type X = "Two words"', []],
])("[U85] what is found: %s", (_, text, texts) => {
  expect(findLooseTexts({ path: "x.tsx", text }).map((found) => found.text)).toEqual(texts);
});
