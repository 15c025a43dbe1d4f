import { expect, test } from "vitest";
import { createRouter, parsePath, pathOf } from "./router.ts";

const PATHS = [
  "/",
  "/clients",
  "/clients?q=M%C3%BCller+%26+S%C3%B6hne&status=archived&sort=name&order=descending",
  "/projects?sort=status",
  "/reports",
  "/reports?status=failed",
  "/downloads",
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
  "/jobs?state=active&q=acme&sort=name",
  "/jobs?status=failed",
  "/jobs/job_1/report",
  "/jobs/new",
  "/jobs/new?project=prj_1",
  "/jobs/job_1",
  "/agents",
  "/agents?status=offline&sort=activity&order=ascending",
  "/agents/register",
  "/agents/agt_1",
  "/settings",
  "/settings?consent=oas_1",
  "/settings?connected=con_1",
  "/settings?azure=declined",
  "/settings/storage",
  "/settings/storage/new",
  "/settings/members",
  "/settings/sessions",
  "/settings/codes",
  "/settings/api-keys",
  "/settings/webhooks",
  "/settings/audit",
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
    "/settings/nothing",
    "/settings/audit/1",
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
