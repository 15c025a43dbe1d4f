import { expect, test } from "vitest";
import { ApiError } from "../api.ts";
import { createForm, faultAt } from "./form.ts";

function setUp(save: (key: string) => Promise<string>) {
  const made: string[] = [];
  const form = createForm<{ name: string }, string>({
    initial: { name: "" },
    idempotencyKey: "key-1",
    check: (values) => (values.name === "" ? { name: "Give a name" } : {}),
    save: (_values, key) => save(key),
    saved: (result) => made.push(result),
  });
  return { form, made };
}

test("[U19] a form that is at fault is not sent", async () => {
  let sent = 0;
  const { form } = setUp(() => Promise.resolve(String(sent++)));
  await form.submit();
  expect(form.errors.value).toEqual({ name: "Give a name" });
  expect(sent).toBe(0);
});

test("[U9] a save is repeated with the key of the first try, however often", async () => {
  const keys: string[] = [];
  const { form, made } = setUp((key) => {
    keys.push(key);
    return keys.length < 3
      ? Promise.reject(new ApiError({ code: "NETWORK", status: 0, message: "No answer" }))
      : Promise.resolve("made");
  });
  form.set("name", "Acme");
  await form.submit();
  expect(form.problem.value).toBe("No answer");
  await form.submit();
  await form.submit();
  expect(keys).toEqual(["key-1", "key-1", "key-1"]);
  expect(made).toEqual(["made"]);
  expect(form.problem.value).toBeNull();
});

test("[U9] pressing twice saves once", async () => {
  let sent = 0;
  const { form, made } = setUp(() => Promise.resolve(`made ${++sent}`));
  form.set("name", "Acme");
  await Promise.all([form.submit(), form.submit()]);
  expect(made).toEqual(["made 1"]);
});

test("[U19] what the server finds at fault is shown at the field, also for one entry of a list", async () => {
  const fields = { name: "Taken", "options.filters.include.3": "Too long" };
  const { form } = setUp(() =>
    Promise.reject(new ApiError({ code: "VALIDATION_ERROR", status: 400, message: "Check", fields })),
  );
  form.set("name", "Acme");
  await form.submit();
  expect(faultAt(form.errors.value, "name")).toBe("Taken");
  expect(faultAt(form.errors.value, "options.filters.include")).toBe("Too long");
  expect(faultAt(form.errors.value, "options.filters.exclude")).toBeNull();
});

test("[U79] what a person sets is a change until it is saved; what the page fills in of itself is none", async () => {
  const answers = [
    () => Promise.reject(new ApiError({ code: "NETWORK", status: 0, message: "No answer" })),
    () => Promise.resolve("made"),
  ];
  const { form, made } = setUp(() => answers.shift()?.() ?? Promise.resolve("made"));
  form.fill("name", "The only one");
  expect(form.values.value.name).toBe("The only one");
  expect(form.changed.value).toBe(false);
  form.set("name", "Acme");
  expect(form.changed.value).toBe(true);
  await form.submit();
  expect(form.changed.value).toBe(true);
  await form.submit();
  expect(made).toEqual(["made"]);
  expect(form.changed.value).toBe(false);
});
