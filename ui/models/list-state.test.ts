import { expect, test } from "vitest";
import { askOf, isNarrowed, isPlain, listText, parseList, PLAIN_LIST, sortedBy } from "./list-state.ts";

const parse = (text: string) => parseList(new URLSearchParams(text), ["active", "archived"]);

test("[U60] what a list shows stands in its address, and leads back to the same", () => {
  for (const text of [
    "",
    "q=acme",
    "q=M%C3%BCller+%26+S%C3%B6hne",
    "status=archived",
    "sort=name",
    "q=a&status=active&sort=activity&order=ascending",
  ])
    expect(listText(parse(text))).toBe(text);
  expect(isPlain(parse(""))).toBe(true);
  expect(askOf(parse("q=a&status=active&sort=name&order=descending"))).toEqual({
    search: "a",
    status: "active",
    sort: "name",
    order: "descending",
  });
  expect(askOf(PLAIN_LIST)).toEqual({});
});

test("[U60] what nobody can mean is left out", () => {
  for (const text of ["sort=size", "status=gone", "order=ascending", "sort=", "q=%20%20"])
    expect(isPlain(parse(text)), text).toBe(true);
  expect(parse("sort=name&order=sideways").order).toBeNull();
});

test("[U61] a head that is pressed sorts, turns the order round, and then leaves the list as it was", () => {
  const first = sortedBy(PLAIN_LIST, "name");
  expect(first).toMatchObject({ sort: "name", order: null });
  const second = sortedBy(first, "name");
  expect(second).toMatchObject({ sort: "name", order: "descending" });
  expect(sortedBy(second, "name")).toEqual(PLAIN_LIST);
  expect(sortedBy(sortedBy(PLAIN_LIST, "activity"), "activity").order).toBe("ascending");
  expect(sortedBy(second, "status")).toMatchObject({ sort: "status", order: null });
});

test("[U60] a list is narrowed by a search or a part, not by its order", () => {
  expect(isNarrowed(parse("sort=name"))).toBe(false);
  expect(isNarrowed(parse("q=a"))).toBe(true);
  expect(isNarrowed(parse("status=active"))).toBe(true);
});
