import { expect, test } from "vitest";
import { createRouter, parsePath, pathOf } from "./router.ts";

const PATHS = [
  "/",
  "/clients",
  "/clients/new",
  "/clients/cli_1",
  "/clients/cli_1/edit",
  "/projects",
  "/projects/new",
  "/projects/new?client=cli_1",
  "/projects/prj_1",
  "/projects/prj_1/edit",
  "/jobs",
  "/jobs?state=active",
  "/jobs?state=final",
  "/jobs/new",
  "/jobs/new?project=prj_1",
  "/jobs/job_1",
  "/agents",
  "/agents/register",
  "/agents/agt_1",
  "/settings",
  "/settings/storage/new",
];

test("[U11] every page has one path, and the path leads back to the page", () => {
  for (const path of PATHS) {
    expect(parsePath(path).page, path).not.toBe("not-found");
    expect(pathOf(parsePath(path))).toBe(path);
  }
});

test("[U11] a path that is no page is not found, and left to the browser when it is a link", () => {
  const { router, visited } = setUp("/");
  for (const path of [
    "/nowhere",
    "/clients/a/b",
    "/clients/a/edit/c",
    "/jobs/j/edit",
    "/settings/storage",
    "/sso/start",
    "/dev/hub",
  ]) {
    expect(parsePath(path).page, path).toBe("not-found");
    expect(router.open(path), path).toBe(false);
  }
  expect(visited).toEqual(["/"]);
});

test("[U11] a broken escape in a path is taken as it stands", () => {
  expect(parsePath("/clients/%zz")).toEqual({ page: "client", id: "%zz" });
});

test("[U11] opening, replacing and going back change the page", () => {
  const { router, visited, back } = setUp("/");
  router.open("/clients");
  router.go({ page: "client-new" });
  router.replace({ page: "client", id: "cli_1" });
  expect(visited).toEqual(["/", "/clients", "/clients/cli_1"]);
  back();
  expect(router.route.value).toEqual({ page: "clients" });
});

function setUp(start: string) {
  const visited = [start];
  const router = createRouter({
    read: () => visited.at(-1) ?? "/",
    push: (path) => visited.push(path),
    replace: (path) => visited.splice(-1, 1, path),
  });
  const back = () => {
    visited.pop();
    router.moved();
  };
  return { router, visited, back };
}
