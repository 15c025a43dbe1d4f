import { expect, test } from "vitest";
import { ApiError } from "../api.ts";
import { pageWith, settle } from "../test-world.ts";
import { createList, createRemote, loadAll } from "./remote.ts";

test("[U22] the old value stays while a new one is fetched, and when that fails", async () => {
  const answers: (() => Promise<string>)[] = [
    () => Promise.resolve("first"),
    () => Promise.reject(new ApiError({ code: "NETWORK", status: 0, message: "No answer" })),
  ];
  const model = createRemote(() => (answers.shift() ?? (() => Promise.resolve("last")))());
  await model.reload();
  const again = model.reload();
  expect(model.remote.value).toEqual({ state: "ready", value: "first" });
  await again;
  expect(model.remote.value).toMatchObject({ state: "failed", value: "first", problem: "No answer" });
});

test("[U22] an answer that was overtaken by a newer question, or by a write, is dropped", async () => {
  const waiting: ((value: string) => void)[] = [];
  const model = createRemote(() => new Promise<string>((resolve) => waiting.push(resolve)));
  void model.reload();
  void model.reload();
  waiting[1]?.("newer");
  waiting[0]?.("older");
  await settle();
  expect(model.value.value).toBe("newer");
  void model.reload();
  model.put("written");
  waiting[2]?.("read before the write");
  await settle();
  expect(model.value.value).toBe("written");
});

test("[U22] further pages are added behind the first, each item once", async () => {
  const pages = [pageWith([{ id: "c" }, { id: "b" }], "b"), pageWith([{ id: "b" }, { id: "a" }])];
  const list = createList((query) => Promise.resolve(query.cursor === undefined ? pages[0]! : pages[1]!));
  await list.reload();
  expect(list.hasMore.value).toBe(true);
  await list.more();
  expect(list.items.value.map((item) => item.id)).toEqual(["c", "b", "a"]);
  expect(list.hasMore.value).toBe(false);
});

test("[U22] a picker takes all pages, but not without end", async () => {
  let asked = 0;
  const endless = () => Promise.resolve(pageWith([{ id: String(asked++) }], "more"));
  expect(await loadAll(endless, new AbortController().signal)).toHaveLength(5);
});
