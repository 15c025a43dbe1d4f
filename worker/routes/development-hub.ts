/**
 * A stand-in for the Hub, for development only: it mints the same tokens the Hub mints. It exists only when a development
 * secret is set and the environment is `development` (`env.ts`, `app.ts`), and asks for that secret.
 */
import { Hono, type Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { html } from "hono/html";
import { SignJWT } from "jose";
import * as z from "zod";
import { role } from "../../schema/api.ts";
import { HUB_ISSUER, PLATFORM } from "../auth/hub-token.ts";
import { rememberSignIn } from "../auth/session-cookie.ts";
import type { App } from "../context.ts";
import { developmentSecret } from "../env.ts";
import { page } from "../pages.ts";
import { notFound, parse } from "../problems.ts";
import { sameSecret } from "../secrets.ts";

/** So that "Sign in" works again after "Sign out", without the link. */
const SECRET_COOKIE = "__Host-mig_dev";

const person = z.object({
  secret: z.string().optional(),
  name: z.string().min(1).max(100).default("Olivia Owner"),
  email: z.email().default("olivia@example.com"),
  role: role.default("owner"),
  tenant: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/)
    .default("demo-msp"),
});

export const developmentHub = new Hono<App>()
  .get("/", async (c) => {
    const secret = c.req.query("secret") ?? getCookie(c, SECRET_COOKIE) ?? "";
    return await page(c, 200, "Development Hub", form(secret));
  })
  .post("/", async (c) => await signInAs(c, await c.req.parseBody()))
  .get("/sign-in", async (c) => await signInAs(c, c.req.query()));

async function signInAs(c: Context<App>, fields: unknown): Promise<Response> {
  const who = parse(person, fields);
  const expected = developmentSecret(c.env);
  if (expected === null) throw notFound();
  if (!(await sameSecret(who.secret ?? "", expected))) {
    return await page(
      c,
      403,
      "Development Hub",
      html`<h1>Wrong development secret</h1>
        <p>Use the sign-in link that "npm start" printed.</p>`,
    );
  }
  setCookie(c, SECRET_COOKIE, expected, { path: "/", secure: true, httpOnly: true, sameSite: "Strict" });
  rememberSignIn(c, "begun");
  return c.redirect(`/sso?token=${await mint(c, who)}`, 303);
}

async function mint(c: Context<App>, who: z.output<typeof person>): Promise<string> {
  return await new SignJWT({
    platform: PLATFORM,
    hub_user_id: `dev-${who.tenant}-${who.email}`,
    email: who.email,
    name: who.name,
    orgRole: who.role,
    tenantId: who.tenant,
    tenantSlug: who.tenant,
    tenantName: who.tenant === "demo-msp" ? "Demo MSP" : who.tenant,
    entitlements: [PLATFORM],
  })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuer(HUB_ISSUER)
    .setIssuedAt()
    .setJti(crypto.randomUUID())
    .sign(new TextEncoder().encode(c.env.PORTAL_SSO_SECRET));
}

function form(secret: string) {
  return html`<h1>Development Hub</h1>
    <p>Stands in for the Hub on this machine. It does not exist in production.</p>
    <form method="post" action="/dev/hub">
      ${secret === "" ? html`<label>Development secret <input name="secret" type="password" required /></label>` : html`<input type="hidden" name="secret" value="${secret}" />`}
      <label>Name <input name="name" value="Olivia Owner" required maxlength="100" /></label>
      <label>E-mail <input name="email" type="email" value="olivia@example.com" required /></label>
      <label
        >Organization <input name="tenant" value="demo-msp" required pattern="[a-z0-9\\-]{1,40}"
      /></label>
      <label
        >Role
        <select name="role">
          <option value="owner">Owner</option>
          <option value="admin">Admin</option>
          <option value="member">Member</option>
          <option value="viewer">Viewer</option>
        </select>
      </label>
      <button type="submit">Sign in</button>
    </form>`;
}
