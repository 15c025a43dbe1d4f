/** Mails that the development server did not send, for whoever has its secret. It exists where `/dev/hub` does. */
import { Hono } from "hono";
import { getCookie } from "hono/cookie";
import { html } from "hono/html";
import type { App } from "../context.ts";
import { listDevelopmentMails } from "../db/sweep.ts";
import { developmentSecret } from "../env.ts";
import type { Mail } from "../outbox/mail.ts";
import { page } from "../pages.ts";
import { notFound } from "../problems.ts";
import { sameSecret } from "../secrets.ts";

const MAILS_MAX = 50;
/** That of the development Hub, which whoever signed in there has. */
const SECRET_COOKIE = "__Host-mig_dev";

export const developmentOutbox = new Hono<App>().get("/", async (c) => {
  const expected = developmentSecret(c.env);
  if (expected === null) throw notFound();
  const given = c.req.query("secret") ?? getCookie(c, SECRET_COOKIE) ?? "";
  if (!(await sameSecret(given, expected))) {
    const content = html`<h1>Wrong development secret</h1>
      <p>Sign in with the link that "npm start" printed, and come back.</p>`;
    return await page(c, 403, "Development outbox", content);
  }
  const mails = await listDevelopmentMails(c.env.DB, MAILS_MAX);
  const content = html`<h1>Development outbox</h1>
    <p>Mails that would have been sent, newest first. Nothing leaves this machine.</p>
    ${mails.map((row) => {
      const mail = row.payload as Mail;
      return html`<article>
        <h1>${mail.subject}</h1>
        <p>To ${mail.to}${row.sentAt === null ? ", on its way" : ""}</p>
        <pre>${mail.text}</pre>
      </article>`;
    })}`;
  return await page(c, 200, "Development outbox", content);
});
