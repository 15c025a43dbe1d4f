/** The browser's session: an opaque 256-bit cookie, of which only the SHA-256 is kept. */
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { App } from "../context.ts";
import { findSession, SESSION_MS_MAX, type SignedIn } from "../db/identity.ts";
import { randomToken, sha256Hex } from "../secrets.ts";

/** `__Host-`: only over a secure connection (or loopback), only this host, every path. */
export const SESSION_COOKIE = "__Host-mig_s";
const OPTIONS = { path: "/", secure: true, httpOnly: true, sameSite: "Lax" } as const;

export async function readSession(c: Context<App>): Promise<SignedIn | null> {
  const token = getCookie(c, SESSION_COOKIE);
  if (token === undefined) return null;
  return await findSession(c.env.DB, await sha256Hex(token), Date.now());
}

/** A new token for each sign-in; resolves with its hash. */
export async function giveSession(c: Context<App>): Promise<string> {
  const token = randomToken();
  setCookie(c, SESSION_COOKIE, token, { ...OPTIONS, maxAge: SESSION_MS_MAX / 1000 });
  return await sha256Hex(token);
}

export function dropSession(c: Context<App>): void {
  deleteCookie(c, SESSION_COOKIE, OPTIONS);
}

/** A cookie that lives as long as one sign-in takes. */
const SIGN_IN_COOKIE = "__Host-mig_in";
const SIGN_IN_SECONDS = 600;

/** Remembers in this browser that a sign-in was begun here (`begun`), or that this very token was shown (its hash). */
export function rememberSignIn(c: Context<App>, value: string): void {
  setCookie(c, SIGN_IN_COOKIE, value, { ...OPTIONS, maxAge: SIGN_IN_SECONDS });
}

export function rememberedSignIn(c: Context<App>): string | undefined {
  return getCookie(c, SIGN_IN_COOKIE);
}

export function forgetSignIn(c: Context<App>): void {
  deleteCookie(c, SIGN_IN_COOKIE, OPTIONS);
}
