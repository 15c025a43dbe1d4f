import { expect, test } from "vitest";
import { CROCKFORD } from "../../schema/ids.ts";
import { hashCode, newCode, normalizeCode, showCode } from "./registration-code.ts";

test("[C6] a code is eight characters of Crockford's base 32, and each of them occurs", () => {
  const codes = Array.from({ length: 2_000 }, newCode);
  for (const code of codes) expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{8}$/);
  expect(new Set(codes).size).toBe(2_000);
  expect(new Set(codes.join(""))).toEqual(new Set(CROCKFORD));
});

test("[C6] a code as it is shown is the code that was made", () => {
  const code = newCode();
  expect(showCode(code)).toMatch(/^\w{4}-\w{4}$/);
  expect(normalizeCode(showCode(code))).toBe(code);
});

test.each([
  ["as shown", "A1B0-C3D4"],
  ["in small letters", "a1b0-c3d4"],
  ["without the hyphen", "A1B0C3D4"],
  ["with spaces around it", "  A1B0 C3D4\n"],
  ["with O for zero and I for one", "AIBO-C3D4"],
  ["with l for one and o for zero", "alBo-c3d4"],
])("[C6] a code typed %s is understood", (_how, typed) => {
  expect(normalizeCode(typed)).toBe("A1B0C3D4");
});

test.each(["", "A1B0C3D", "A1B0C3D4E", "U1B0C3D4", "A1B0C3D!", "Ä1B0C3D4", "A1B0_C3D4", "-".repeat(8)])(
  "[C6] %j cannot be a code",
  (typed) => {
    expect(normalizeCode(typed)).toBeNull();
  },
);

test("[C6] the hash of a code depends on the pepper, and does not hold the code", async () => {
  const [one, two] = await Promise.all([hashCode("pepper-1", "A1B0C3D4"), hashCode("pepper-2", "A1B0C3D4")]);
  expect(one).toMatch(/^[0-9a-f]{64}$/);
  expect(one).not.toBe(two);
  expect(one).toBe(await hashCode("pepper-1", "A1B0C3D4"));
});
