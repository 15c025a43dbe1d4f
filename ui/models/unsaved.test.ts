import { expect, test } from "vitest";
import { createUnsaved } from "./unsaved.ts";

function setUp() {
  const unsaved = createUnsaved();
  const gone: string[] = [];
  return { unsaved, gone, leave: (where: string) => unsaved.leave(() => gone.push(where)) };
}

test("[U79] where nothing was typed nobody is asked", () => {
  const { unsaved, gone, leave } = setUp();
  leave("clients");
  expect(gone).toEqual(["clients"]);
  expect(unsaved.leaving.value).toBeNull();
});

test("[U79] whoever stays keeps what they typed, and is asked again the next time", () => {
  const { unsaved, gone, leave } = setUp();
  unsaved.note({});
  leave("clients");
  unsaved.stay();
  expect(gone).toEqual([]);
  leave("jobs");
  expect(unsaved.leaving.value).not.toBeNull();
  unsaved.discard();
  expect(gone).toEqual(["jobs"]);
  expect(unsaved.any.value).toBe(false);
});

test("[U79] a form that is saved or gone is not asked about, another one is", () => {
  const { unsaved, gone, leave } = setUp();
  const [one, other] = [{}, {}];
  unsaved.note(one);
  unsaved.note(one);
  unsaved.note(other);
  unsaved.forget(one);
  leave("clients");
  expect(gone).toEqual([]);
  unsaved.stay();
  unsaved.forget(other);
  leave("jobs");
  expect(gone).toEqual(["jobs"]);
});
