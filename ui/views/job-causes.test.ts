import { expect, test } from "vitest";
import type { FileFailure } from "../../schema/job.ts";
import { FILE_FAILURES } from "../contract.ts";
import { causesOf, detailOf } from "./job-causes.ts";

const failure = (path: string, code: string, message = ""): FileFailure => ({
  path,
  code: code as FileFailure["code"],
  message,
});

test("[U69] failed files are told by cause, the most frequent first, each with its paths", () => {
  const causes = causesOf([
    failure("a", "source_denied"),
    failure("b", "source_locked"),
    failure("c", "source_locked"),
  ]);
  expect(causes.map(({ code, failures }) => [code, failures.map(({ path }) => path)])).toEqual([
    ["source_locked", ["b", "c"]],
    ["source_denied", ["a"]],
  ]);
  expect(causesOf([])).toEqual([]);
});

test("[U69] every cause has plain words and a next step, and one that is not known yet says what the agent said", () => {
  for (const code of Object.keys(FILE_FAILURES)) {
    const [cause] = causesOf([failure("a", code, "as the agent says")]);
    expect(cause?.title, code).not.toBe("as the agent says");
    expect(cause?.next, code).toMatch(/\.$/);
  }
  expect(causesOf([failure("a", "from_the_future", "It is too far away")])[0]?.title).toBe(
    "It is too far away",
  );
});

test("[U69] a failed file's name is not said twice, and what else its agent says is", () => {
  const say = (message: string) => detailOf({ path: 'a "b"/c: d', message });
  expect(say('Cannot read "a "b"/c: d": access is denied')).toBe("access is denied");
  expect(say('Cannot read "other": access is denied')).toBe('Cannot read "other": access is denied');
  expect(say("The agent stopped")).toBe("The agent stopped");
});
