/**
 * Signing in by the Hub's token (`docs/spec.md`, section S). A token is accepted at once only in a browser in which the
 * sign-in was begun; otherwise a page asks first, so that nobody is signed in by a link somebody else made (T17).
 */
import { Hono, type Context } from "hono";
import { html } from "hono/html";
import { REFUSAL_STATUS, TokenRefused, verifyHubToken, type HubIdentity } from "../auth/hub-token.ts";
import { hubTrust, sharedKeySet } from "../auth/hub-trust.ts";
import { forgetSignIn, giveSession, rememberedSignIn, rememberSignIn } from "../auth/session-cookie.ts";
import { addressOf, type App } from "../context.ts";
import { consumeToken, recordRefusal, signIn } from "../db/identity.ts";
import { developmentSecret } from "../env.ts";
import { limitSignIn } from "../limits.ts";
import { page } from "../pages.ts";
import { sameSecret, sha256Hex } from "../secrets.ts";

const BEGUN = "begun";

export const sso = new Hono<App>()
  .get("/", async (c) => await accept(c, c.req.query("token")))
  .post("/", async (c) => {
    const { token } = await c.req.parseBody();
    return await accept(c, typeof token === "string" ? token : undefined);
  })
  .get("/start", (c) => {
    // A page of somebody else's that leads here has not made this browser begin anything.
    if (isOwn(c, "none")) rememberSignIn(c, BEGUN);
    if (developmentSecret(c.env) !== null) return c.redirect("/dev/hub", 303);
    return c.redirect(`${c.env.HUB_URL}/login?redirect=migrate`, 303);
  });

async function accept(c: Context<App>, token: string | undefined): Promise<Response> {
  if ((await limitSignIn(c)) === "refused") return await askToWait(c);
  const nowMs = Date.now();
  try {
    const identity = await verifyHubToken(token ?? "", hubTrust(c.env, sharedKeySet), nowMs);
    const tokenHash = await sha256Hex(token ?? "");
    const remembered = rememberedSignIn(c);
    // Our page confirms by its form. A second look at the same link confirms nothing.
    const isSame = await sameSecret(remembered ?? "", tokenHash);
    const confirmed = isSame && c.req.method === "POST" && isOwn(c);
    if (remembered !== BEGUN && !confirmed) {
      rememberSignIn(c, tokenHash);
      return await ask(c, identity, token ?? "");
    }
    if (!(await consumeToken(c.env.DB, identity.jti, nowMs)))
      throw new TokenRefused("token_used", identity.jti);
    forgetSignIn(c);
    const browser = {
      tokenHash: await giveSession(c),
      address: addressOf(c),
      userAgent: c.req.header("user-agent") ?? null,
    };
    await signIn(c.env.DB, identity, browser, nowMs);
    return c.redirect("/", 303);
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error;
    await recordRefusal(c.env.DB, { reason: error.reason, jti: error.jti, address: addressOf(c), nowMs });
    return await refuse(c, REFUSAL_STATUS[error.reason]);
  }
}

/** Whether our own page sent this request; a browser too old to say is held by the cookie's SameSite alone. */
function isOwn(c: Context<App>, ...also: string[]): boolean {
  return ["same-origin", ...also].includes(c.req.header("sec-fetch-site") ?? "same-origin");
}

async function ask(c: Context<App>, identity: HubIdentity, token: string): Promise<Response> {
  return await page(
    c,
    200,
    "Continue",
    html`<h1>Continue as ${identity.name}?</h1>
      <p>${identity.email}, at ${identity.tenantName}</p>
      <form method="post" action="/sso">
        <input type="hidden" name="token" value="${token}" />
        <button type="submit">Continue</button>
      </form>`,
  );
}

async function askToWait(c: Context<App>): Promise<Response> {
  return await page(
    c,
    429,
    "Please wait",
    html`<h1>Too many sign-ins from your network</h1>
      <p>Wait a minute, then start again from the Hub.</p>
      <a class="button" href="/sso/start">Sign in again</a>`,
  );
}

/** One page for every refusal; the reason is in the log only. */
async function refuse(c: Context<App>, status: 400 | 401 | 403 | 503): Promise<Response> {
  return await page(
    c,
    status,
    "Sign-in failed",
    html`<h1>You could not be signed in</h1>
      <p>The link may have lapsed: each is good for about a minute, and once. Start again from the Hub.</p>
      <a class="button" href="/sso/start">Sign in again</a>`,
  );
}
