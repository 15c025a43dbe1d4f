import { expect, test } from "vitest";
import { createApp } from "../app.ts";
import { mayAct, POLICIES } from "./policy.ts";

/** The routes the application really has; what Hono lists under ALL are layers around them. */
function routes(): string[] {
  const listed = createApp().routes.filter(({ method }) => method !== "ALL");
  return listed.map(({ method, path }) => `${method} ${path}`);
}

test("[C2] every route stands in the policy table, and every line of the table has a route", () => {
  expect([...new Set(routes())].sort()).toEqual(Object.keys(POLICIES).sort());
});

test("[C2] no route is there twice", () => {
  expect(routes().length).toBe(new Set(routes()).size);
});

test("[C2] nothing but signing in, health and registering is open to anybody", () => {
  const open = Object.keys(POLICIES).filter((route) => POLICIES[route] === "public");
  expect(open.filter((route) => !/ \/(sso|dev)(\/|$)/.test(route)).sort()).toEqual([
    "GET /api/azure/callback",
    "GET /api/docs",
    "GET /api/health",
    "GET /api/openapi.json",
    "POST /api/agent/register",
  ]);
});

test("[C2] a role may do what a lesser one may, and not more", () => {
  const roles = ["viewer", "member", "admin", "owner"] as const;
  for (const [rank, role] of roles.entries()) {
    for (const [least, needed] of roles.entries()) expect(mayAct(role, needed)).toBe(rank >= least);
  }
});
