/** The few pages the Worker itself serves, around signing in. No script; one style sheet, allowed by a nonce. */
import type { Context } from "hono";
import { html, raw } from "hono/html";
import type { App } from "./context.ts";

const STYLE = `
:root { color-scheme: dark light; --back: #09090b; --card: #111113; --line: #27272a; --text: #e8eaec; --muted: #9b9b9b; --accent: #0891b2; }
@media (prefers-color-scheme: light) { :root { --back: #f6f7f8; --card: #fff; --line: #dfe2e5; --text: #14171a; --muted: #5c6670; --accent: #0e7490; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 24px; background: var(--back); color: var(--text);
  font: 16px/1.5 Inter, system-ui, sans-serif; }
main { width: min(420px, 100%); background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 28px; }
h1 { font-size: 20px; margin: 0 0 8px; } p { color: var(--muted); margin: 0 0 20px; overflow-wrap: anywhere; }
form { display: grid; gap: 12px; margin: 0 0 12px; } label { display: grid; gap: 4px; font-size: 14px; color: var(--muted); }
input, select { font: inherit; padding: 9px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--back); color: var(--text); }
button, a.button { font: inherit; font-weight: 600; display: block; text-align: center; padding: 10px 16px; border: 0; border-radius: 8px;
  background: #0e7490; color: #fff; cursor: pointer; text-decoration: none; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }`;

type Content = ReturnType<typeof html>;

/** Answers with a page. Values put into `content` by `html` are escaped. */
export function page(
  c: Context<App>,
  status: 200 | 400 | 401 | 403 | 429 | 503,
  title: string,
  content: Content,
) {
  const nonce = crypto.randomUUID();
  // Some browsers check where a form's answer redirects to, so the way back to the dashboard must be `'self'` as well.
  c.header(
    "Content-Security-Policy",
    `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  );
  return c.html(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>${title} · The One Migrate</title>
          <style nonce="${nonce}">
            ${raw(STYLE)}
          </style>
        </head>
        <body>
          <main>${content}</main>
        </body>
      </html>`,
    status,
  );
}
